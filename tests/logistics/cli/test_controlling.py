"""`logistics runs …`: what people do to runs between two runs of their program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logistics import OrchestrationEngine, RunStatus, WorkflowManager
from logistics.cli.main import main
from tests.logistics.orchestration import steps
from tests.logistics.task.functions import PATIENCE_S


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a run that waits for an approval, and one that has failed."""
    path = tmp_path / "store"
    with OrchestrationEngine(path) as engine:
        workflows = WorkflowManager(engine)
        workflow = workflows.create("ask").add_step("one", steps.one)
        workflow.add_wait("approval", schema={"ok": "bool"}).add_step(
            "other", steps.give_other, args=["done"]
        )
        engine.send(workflows.start_command("ask", "asking"))
        workflows.create("bad").add_step("one", steps.one).add_step("bad", steps.fail)
        run = workflows.get_run(engine.send(workflows.start_command("bad", "bad")))
        assert run is not None
        run.result(PATIENCE_S)
    return path


def say(store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Give an order, and return what it says."""
    assert main(["runs", *words, "--store", str(store), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["runs", *words, "--store", str(store)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_an_approval_is_given_from_the_command_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(store, capsys, "signal", "run:asking", "approval", '{"ok": true}')
    assert said == {"run": "asking", "step": "approval", "said": "sent"}
    with OrchestrationEngine(store) as engine:
        run = WorkflowManager(engine).get_run("asking")
        assert run is not None
        assert run.result(PATIENCE_S).outputs == {"one": 1, "approval": {"ok": True}, "other": "done"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("asking", "approval", "{ok}"), "VALUE: expected JSON"),
        (("asking", "approval", '{"ok": 1}'), "'ok': expected bool"),
        (("asking", "one"), "has no step 'one' that waits for a signal"),
        (("nobody", "approval"), "no run 'nobody' on record"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str
) -> None:
    said = refusal(store, capsys, "signal", *words)
    assert text in said
    assert said.count("\n") == 1


def test_a_run_is_paused_resumed_and_cancelled(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def status() -> str:
        (row,) = [each for each in listed(store, capsys) if each["run_id"] == "asking"]
        return str(row["status"])

    assert say(store, capsys, "pause", "asking")["said"] == "paused"
    assert status() == RunStatus.PAUSED
    assert say(store, capsys, "resume", "asking")["said"] == "resumed"
    assert status() == RunStatus.WAITING
    assert say(store, capsys, "cancel", "asking")["said"] == "cancelled"
    assert say(store, capsys, "cancel", "asking")["said"] == "has ended already"
    assert "has ended" in refusal(store, capsys, "pause", "asking")
    assert "has ended" in refusal(store, capsys, "signal", "asking", "approval", '{"ok": true}')


def test_a_run_that_has_failed_is_begun_again(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = say(store, capsys, "retry", "bad")["said"].removeprefix("begun again: ")
    later = say(store, capsys, "restart", "bad", "one")["said"].removeprefix("begun again: ")
    origins = {each["run_id"]: each["origin"] for each in listed(store, capsys)}
    assert origins[again] == origins[later] == "bad"
    assert "has no step 'none'" in refusal(store, capsys, "restart", "bad", "none")
    assert "has not ended" in refusal(store, capsys, "retry", "asking")


def listed(store: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["runs", "--json", "--store", str(store)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
