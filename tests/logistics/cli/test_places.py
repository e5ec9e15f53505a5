"""`logistics session …` and `logistics project …`: what people set up before a run, and look at after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logistics import OrchestrationEngine
from logistics.cli.main import main


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    OrchestrationEngine(path).close()
    return path


def say(store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[Any]:
    """Give an order, and return the lines that it says."""
    assert main([*words, "--store", str(store), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_session_is_created_listed_and_closed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = say(store, capsys, "session", "create", "--name", "night", "--timeout", "60", "--sequential")
    say(store, capsys, "session", "create", "--id", "mine", "--user", "ada", "--resource", "gpu=0.5")
    mine, night = say(store, capsys, "session")
    assert (night["session_id"], night["name"], night["mode"]) == (said["session"], "night", "SEQUENTIAL")
    assert (night["timeout_seconds"], night["status"], night["completed_at"]) == (60.0, "ACTIVE", None)
    assert (mine["user_id"], mine["resource_requirements"]) == ("ada", {"gpu": 0.5})
    assert say(store, capsys, "session", "close", "mine") == [{"session": "mine", "said": "closed"}]
    assert say(store, capsys, "session", "close", "mine")[0]["said"] == "was closed already"
    assert say(store, capsys, "session", "list")[0]["status"] == "COMPLETED"
    with OrchestrationEngine(store) as engine:
        session = engine.get_session("mine")
        assert session is not None
        assert session.completed_at is not None


def test_a_run_goes_into_a_session_and_under_a_project_of_the_command_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flow.toml"
    file.write_text(
        'name = "flow"\n[[steps]]\nname = "a"\nfunction = "tests.logistics.audit.functions:one"\n'
    )
    say(store, capsys, "session", "create", "--id", "s")
    say(store, capsys, "project", "create", "p", "--description", "what it is for")
    say(store, capsys, "run", str(file), "--session", "s", "--project", "p")
    (run,) = say(store, capsys, "runs", "--session", "s", "--project", "p")
    assert run["workflow"] == "flow"
    (project,) = say(store, capsys, "project", "list")
    assert (project["project"], project["runs"], project["description"]) == ("p", 1, "what it is for")


def test_a_project_has_a_folder_and_a_status(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # one that is on record is left as it is
        say(store, capsys, "project", "create", "p", "--type", "report", "--root", str(tmp_path / "root"))
    say(store, capsys, "project", "set-status", "p", "under review")
    (project,) = say(store, capsys, "project")
    assert (project["type"], project["status"]) == ("report", "under review")
    assert Path(project["folder"]) == tmp_path / "root" / "p"
    assert Path(project["folder"]).is_dir()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["session", "close", "nobody"], "no session 'nobody' on record"),
        (["session", "create", "--resource", "gpu"], "--resource: expected NAME=AMOUNT, got 'gpu'"),
        (["session", "create", "--tasks", "0"], "max_parallel_tasks: expected a whole number from 1"),
        (["session", "create", "--id", "a b"], "session_id: expected"),
        (["project", "create", "../x"], "name: expected one path component"),
        (["project", "set-status", "p", "done"], "no project 'p' on record"),
    ],
)
def test_mistakes_change_nothing(
    words: list[str], text: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--store", str(store)]) == 2
    assert text in capsys.readouterr().err
    assert say(store, capsys, "session") == say(store, capsys, "project") == []


def test_people_see_tables(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("session", "project"):
        assert main([group, "--store", str(store)]) == 0
        assert capsys.readouterr().out == f"no {group}s\n"
    say(store, capsys, "session", "create", "--id", "s")
    assert main(["session", "--store", str(store)]) == 0
    assert "ACTIVE" in capsys.readouterr().out
