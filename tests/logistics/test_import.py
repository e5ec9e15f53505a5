"""What `import logistics` makes a program wait for."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import logistics
from logistics.cli.main import main

LATER = {"asyncio", "yaml", "http.server", "opentelemetry", "importlib.metadata", "cryptography", "zstandard"}
"""Heavy, and needed by few: imported when they are used."""
NEVER = {"typer", "click", "rich", "unittest", "pytest"}
"""The command line's, and the tests'."""


def modules_after(code: str) -> set[str]:
    """What a new process has imported when it has done so."""
    code = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(child.stderr.split())


def test_the_package_alone_imports_nothing_of_what_it_names() -> None:
    """Whoever wants one thing waits for that one."""
    imported = modules_after("import logistics")
    assert not {"pykka", "lmdb", "msgspec", "actors.folding", "logistics.errors"} & imported


def test_what_is_heavy_and_needed_by_few_is_imported_when_it_is_used() -> None:
    assert not (LATER | NEVER) & modules_after("from logistics import OrchestrationEngine, Queue")


def test_an_error_is_had_without_an_engine() -> None:
    assert "actors.folding" not in modules_after("from logistics import StoreInUseError")


def test_each_public_name_is_what_type_checkers_think_it_is() -> None:
    """What stands in `_HOMES` is what is imported for them."""
    source = ast.parse(inspect.getsource(logistics))
    (block,) = (each for each in source.body if isinstance(each, ast.If))
    said = {
        name.name: each.module
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }
    assert set(said) == set(logistics.__all__)
    for name, module in said.items():
        assert getattr(logistics, name) is getattr(import_module(str(module)), name), name


def test_the_decorator_is_there_whatever_was_imported_before() -> None:
    """The package `logistics.task` has its name."""
    code = "import logistics.task.queue; from logistics import task; print(task.__module__)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "logistics.orchestration.decorators\n"


def test_the_package_says_its_version_and_names_what_it_imports_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(logistics.__all__) | {"__version__"} <= set(dir(logistics))
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"logistics {logistics.__version__}\n"


def test_every_public_name_is_there_and_no_other() -> None:
    for name in logistics.__all__:
        assert getattr(logistics, name).__name__
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        logistics.Nothing  # noqa: B018
    with pytest.raises(ImportError):
        exec("from logistics import Nothing", {})


@pytest.mark.no_cover
def test_a_module_of_the_user_that_is_in_the_way_is_named(tmp_path: Path) -> None:
    other, script = tmp_path / "actors.py", tmp_path / "script.py"
    other.touch()
    script.write_text("import logistics")
    child = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(logistics.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1
    assert f"ImportError: logistics comes with a package 'actors', and Python found {other}" in child.stderr
