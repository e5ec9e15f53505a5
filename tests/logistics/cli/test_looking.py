"""How far a long list is, is told where somebody sees it and nothing else is seen."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from logistics.audit import rehearsal
from logistics.cli import looking
from logistics.cli.looking import CLEAR, Looking
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.audit import functions


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Have a terminal, to which numbers go at once."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(looking, "PATIENCE_S", 0)
    monkeypatch.setattr(looking, "PAUSE_S", 0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(sys.stderr, Terminal)
    return sys.stderr


def test_numbers_are_told_until_the_end_and_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = terminal(monkeypatch)
    counted = Looking("jobs looked at")
    assert list(counted.found(counted.at("abc"))) == ["a", "b", "c"]
    told = "".join(f"{CLEAR}{number} jobs looked at …" for number in range(3))
    assert errors.getvalue() == told + CLEAR


def test_a_row_on_the_terminal_stands_where_the_number_was(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", errors)
    counted = Looking("jobs looked at")
    for each in counted.found(each for each in counted.at("abc") if each == "b"):
        sys.stdout.write(f"{each}\n")
    first, second, third = (f"{number} jobs looked at …" for number in range(3))
    assert errors.getvalue() == f"{CLEAR}{first}{CLEAR}{second}{CLEAR}b\n{CLEAR}{third}{CLEAR}"


def test_nothing_is_told_before_long_or_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = terminal(monkeypatch)
    monkeypatch.setattr(errors, "isatty", lambda: False)
    counted = Looking("jobs")
    assert len(list(counted.found(counted.at("abc")))) == 3
    monkeypatch.setattr(errors, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # where nothing can be taken off again
    assert len(list(Looking("jobs").at("abc"))) == 3
    assert not errors.getvalue()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(looking, "PATIENCE_S", 1e9)
    counted = Looking("jobs")
    assert len(list(counted.found(counted.at("abc")))) == 3
    assert errors.getvalue() == ""


@pytest.mark.parametrize("arguments", [["jobs"], ["jobs", "--ended"], ["runs"], ["events"]], ids=" ".join)
def test_lists_tell_how_far_they_are(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = terminal(monkeypatch)
    with OrchestrationEngine(tmp_path / "store") as engine:
        Queue("q", engine=engine).enqueue(Job("one", functions.one))
        manager = WorkflowManager(engine)
        manager.create("w").add_wait("go")
        assert manager.start("w").status == "WAITING"
    assert main([*arguments, "--json", "--store", str(tmp_path / "store")]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert f"{CLEAR}0 {arguments[0]} " in errors.getvalue()


def test_a_rehearsal_tells_how_far_it_is_and_says_where_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the year 9999 it went on for minutes without a word, and then ended somewhere."""
    errors = terminal(monkeypatch)
    monkeypatch.setattr(rehearsal, "MOST_EVENTS", 50)
    with OrchestrationEngine(tmp_path / "store") as engine:
        CronScheduler(engine=engine).schedule("often", "* * * * *", functions.one)
    told = ["rehearse", "--until", "9999-12-31T00:00:00Z", "--store", str(tmp_path / "store")]
    assert main(told) == 0
    said = capsys.readouterr().out
    assert re.search(r": 5\d events", said)
    assert "is not said" in said
    assert f"{CLEAR}0 events so far …" in errors.getvalue()
    assert errors.getvalue().endswith(CLEAR)
    assert main([*told[:2], "1m", *told[3:]]) == 0
    assert "is not said" not in capsys.readouterr().out
