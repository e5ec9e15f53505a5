"""What `import logistics` makes a program wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import logistics
from logistics.cli.main import main

LATER = {"asyncio", "yaml", "http.server", "opentelemetry", "importlib.metadata", "cryptography", "zstandard"}
"""Heavy, and needed by few: imported when they are used."""
NEVER = {"typer", "click", "rich", "unittest", "pytest"}
"""The command line's, and the tests'."""


def test_what_is_heavy_and_needed_by_few_is_imported_when_it_is_used() -> None:
    code = "import logistics, sys; print(*sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (LATER | NEVER) & set(child.stdout.split())


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
