"""What holds of every command: it has --json and a line in the guide, and its errors are one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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


LINES: dict[Any, str] = {}
"""What a list of commands says of each."""


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, entry in group.commands.items():
        if hasattr(entry, "commands"):
            yield from commands(entry, f"{before}{name} ")
        else:
            command = entry.command()
            LINES[command] = entry.help
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


ENGINE = {
    "pykka",
    "multiprocessing",
    "concurrent.futures",
    "actors.assembly",
    "actors.runtime.journal",
    "actors.runtime.pool",
    "logistics.orchestration.engine",
    "logistics.orchestration.stores",
    "yaml",
    "asyncio",
    "http.server",
}
"""What takes commands, and runs functions."""
RULES = {"actors.folding", "lmdb", "logistics.audit.store_reader"}
"""What reads a store."""


@pytest.mark.no_cover  # which imports what nobody else needs
@pytest.mark.parametrize("name", ["--help", "--version", "queue --help", "statsu"])
def test_help_is_shown_without_what_the_commands_need(name: str, tmp_path: Path) -> None:
    imported = imported_by([*name.split()], tmp_path)
    assert not (ENGINE | RULES) & imported


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "name", ["status", "jobs", "runs", "events", "tail", "history job:x", "why job x", "show x"]
)
def test_what_looks_into_a_store_imports_no_engine(name: str, tmp_path: Path) -> None:
    """And what draws tables, or walks calendars, only if there is something to draw, or to walk."""
    with OrchestrationEngine(tmp_path / "store") as engine:
        Queue("q", engine=engine).enqueue(Job("j", functions.one, job_id="x"))
    words = [*name.split(), "--json", "--store", str(tmp_path / "store")]
    imported = imported_by(words, tmp_path)
    assert imported >= RULES
    assert not (ENGINE | {"rich.console", "croniter"}) & imported


def imported_by(words: list[str], folder: Path) -> set[str]:
    """Return which modules a process has that has run a command line."""
    code = "import sys; from logistics.cli.main import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


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


def test_a_list_of_commands_says_of_each_how_its_description_begins() -> None:
    assert LINES
    for name, command in COMMANDS.items():
        assert LINES[command] == " ".join(command.help.split("\n\n")[0].split()), name


def test_a_slip_in_the_name_of_a_command_is_answered_with_the_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["statsu"]) == 2
    assert "Did you mean 'status'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("jobs --status done", "status: expected one of PENDING, SCHEDULED, .*, got 'done'"),
        ("runs --status done", "status: expected one of PENDING, RUNNING, .*, got 'done'"),
        (f"status --at {'9' * 5000}", "expected a position, an instant like .*, or a span like 2h, got '999"),
    ],
)
def test_what_is_no_status_and_no_moment_is_answered_as_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    OrchestrationEngine(tmp_path / "store").close()
    assert main([*words.split(), "--store", str(tmp_path / "store")]) == 2
    assert re.match(f"logistics: {said}", capsys.readouterr().err)


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
