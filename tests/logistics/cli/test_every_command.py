"""What holds of every command: it has --json and a line in the guide, and its errors are one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from logistics.cli.app import app
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.audit import functions

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "cli.md"


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


COMMANDS = dict(commands(typer.main.get_command(app)))
NEEDED: dict[str, list[str]] = {
    "history": ["job:x"],
    "show": ["job:x"],
    "why": ["job", "x"],
    "diff": ["1"],
    "rehearse": ["--until", "2100-01-01T00:00:00Z"],
    "backup": ["copy"],
    "restore": ["copy"],
    "import": ["no such file"],
}
"""Arguments of those that look into a store and need some."""
LOOKING = ("status jobs runs show history events tail why rehearse verify replay diff backup export").split()


def test_every_command_speaks_json_is_explained_and_is_in_the_guide() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for name, command in COMMANDS.items():
        assert "--json" in {option for each in command.params for option in each.opts}, name
        assert command.help, name
        assert f"`logistics {name}" in guide, f"{name} is not in docs/guide/cli.md"


@pytest.mark.parametrize("name", LOOKING)
def test_a_store_that_is_not_there_is_one_line_and_exit_code_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name, *NEEDED.get(name, []), "--store", str(tmp_path / "none")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("logistics: ")
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", ["queue", "schedules", "session", "project"])
def test_a_group_without_a_command_lists(
    group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    with OrchestrationEngine(store) as engine:
        Queue("q", engine=engine).enqueue(Job("j", functions.one))
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
        engine.create_session()
        ProjectManager(engine=engine).create_project("p")
    said = []
    for words in ([group], [group, "list"]):
        assert main([*words, "--json", "--store", store]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""
    for option in ("--help", "-h"):
        assert main([group, option]) == 0
        assert "Usage" in capsys.readouterr().out


def test_help_that_nobody_asked_for_comes_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert "Usage" in said.out + said.err
    assert "logistics: " not in said.err


def test_the_exit_codes_of_the_guide_are_those_of_the_code() -> None:
    assert main.__doc__ is not None
    guide = GUIDE.read_text(encoding="utf-8")
    for code in ("130", "141", "143"):
        assert f"{code}:" in main.__doc__
        assert f"| {code} |" in guide


def test_shells_complete(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LOGISTICS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "logistics sta")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        main([])
    assert capfd.readouterr().out.split() == ["status"]


def test_bench_measures_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--jobs", "20", "--folder", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert min(facts.values()) > 0
    assert list(tmp_path.iterdir()) == []
    assert main(["bench", "--folder", str(tmp_path / "none")]) == 2
