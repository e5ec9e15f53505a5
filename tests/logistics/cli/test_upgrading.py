"""The check before an upgrade: of a store that somebody works with, by the code that can be imported here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.queue import Queue


def asked(store: Path, here: Path) -> tuple[int, list[Any]]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "logistics.cli.main",
        "upgrade-check",
        "--json",
        "--store",
        str(store),
    ]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_f71_what_does_not_fit_is_told_while_the_store_is_in_use_and_nothing_is_called_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "checked_work.py"
    module.write_text("def work(what):\n    open('called', 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with OrchestrationEngine(tmp_path / "store") as engine:
        work = import_module("checked_work").work
        Queue("q", engine=engine).enqueue(Job("work", work, args=[1], job_id="waiting"))
        del sys.modules["checked_work"]
        before = engine.as_of().position
        module.write_text("def work(what, how):\n    pass\n")
        code, (row,) = asked(tmp_path / "store", tmp_path)
        assert (code, row["kind"], row["id"], row["blocking"]) == (1, "job", "waiting", True)
        assert "missing a required argument: 'how'" in row["problem"]
        assert engine.as_of().position == before
    assert not (tmp_path / "called").exists()


def test_a_module_that_cannot_be_imported_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(tmp_path / "store"):
        pass
    assert main(["upgrade-check", "no_such_module", "--store", str(tmp_path / "store")]) == 2
    assert "module 'no_such_module' cannot be imported: ModuleNotFoundError" in capsys.readouterr().err
    assert main(["upgrade-check", "--store", str(tmp_path / "store")]) == 0
    assert "all that is under way fits the code" in capsys.readouterr().out
