"""Runs survive their process: what was finished is not done again, what was cut off goes on or is adopted."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from pathlib import Path

import pytest

from actors.workflow.specs import RunStatus, StepStatus
from eventstore.errors import LogisticsError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.result import WorkflowResult
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.children import READY, kill_when_ready, run
from tests.logistics.orchestration.steps import WAIT_S, Signals

SCRIPT = f"""
import json, os, sys
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager

def note(text):
    with open("calls", "a") as file:
        file.write(text + "\\n")

def extract():
    note("extract")
    return list(range(10))

def transform(extract, factor):
    note("transform")
    if os.environ.get("HOLD"):
        print({READY!r}, flush=True)
        sys.stdin.read()
    return [factor * each for each in extract]

def load(rows):
    note("load")
    return sum(rows)

if __name__ == "__main__":
    with OrchestrationEngine() as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("pipeline")
        for step in (extract, transform, load):
            workflow.add_step(step.__name__, step)
        result = manager.run("pipeline", factor=int(sys.argv[1]))
        print(json.dumps([result.run_id, result.adopted, result.output, result.steps["transform"].attempts]))
"""


def calls(folder: Path) -> Counter[str]:
    return Counter((folder / "calls").read_text(encoding="utf-8").split())


# --- killed -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plain_children")
def test_a_killed_run_is_adopted_and_finished_steps_are_not_executed_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    kill_when_ready(["script.py", "3"], tmp_path, HOLD="1")
    assert calls(tmp_path) == {"extract": 1, "transform": 1}

    second = run(["script.py", "3"], tmp_path)
    assert second.returncode == 0, second.stderr
    run_id, adopted, output, attempts = json.loads(second.stdout)
    assert (adopted, output, attempts) == (True, 135, 2)
    assert calls(tmp_path) == {"extract": 1, "transform": 2, "load": 1}

    third = run(["script.py", "3"], tmp_path)
    new_id, adopted, output, attempts = json.loads(third.stdout)
    assert (adopted, output, attempts) == (False, 135, 1)
    assert new_id > run_id
    assert calls(tmp_path) == {"extract": 2, "transform": 3, "load": 2}

    with OrchestrationEngine(tmp_path / ".logistics") as engine:
        runs = list(WorkflowManager(engine).list_runs())
        assert [each.run_id for each in runs] == [new_id, run_id]
        assert [each.result().output for each in runs] == [135, 135]


@pytest.mark.usefixtures("plain_children")
def test_other_parameters_are_another_run(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    kill_when_ready(["script.py", "3"], tmp_path, HOLD="1")
    other = run(["script.py", "5"], tmp_path)
    assert json.loads(other.stdout)[1:] == [False, 225, 1]
    assert json.loads(run(["script.py", "3"], tmp_path).stdout)[1:3] == [True, 135]


LATE = f"""
import sys, threading
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager

engine = OrchestrationEngine()
waits = threading.Event()
engine.subscribe("job.unresolved", lambda event, position: waits.set(), after=0)
first = len(sys.argv) > 1
if not first:
    assert waits.wait(30), "the function is not there yet, and its step does not wait"

def hold():
    if first:
        print({READY!r}, flush=True)
        sys.stdin.read()
    return "gone on"

manager = WorkflowManager(engine)
manager.create("late").add_step("hold", hold)
if first:
    manager.start("late").result()
run = next(manager.list_runs())
print(run.result(30).output)
engine.close()
"""


@pytest.mark.usefixtures("plain_children")
def test_a_run_goes_on_once_its_script_has_defined_its_workflow_again(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE, encoding="utf-8")
    kill_when_ready(["late.py", "first"], tmp_path)
    second = run(["late.py"], tmp_path)
    assert (second.returncode, second.stdout) == (0, "gone on\n"), second.stderr


# --- closed and opened again in this process --------------------------------------------------------------


def run_until_closed(store: Path, signals: Signals, *, times: int = 1) -> list[str]:
    """Have `run` of a workflow that holds cut off by the end of its engine; return the ids of its runs."""
    engine = OrchestrationEngine(store)
    manager = WorkflowManager(engine)
    manager.create("w").add_step("one", steps.one).add_step("hold", steps.hold)

    def wait() -> None:
        with pytest.raises(LogisticsError):
            manager.run("w")

    threads = []
    for number in range(1, times + 1):
        signals.begun.clear()
        threads.append(threading.Thread(target=wait))
        threads[-1].start()
        assert signals.begun.wait(WAIT_S)
        assert len(list(manager.list_runs())) == number
    ids = [run.run_id for run in manager.list_runs()]
    engine.close(grace=0)
    for thread in threads:
        thread.join(WAIT_S)
    signals.go_on.set()
    return ids[::-1]


def test_runs_that_were_cut_off_are_adopted_oldest_first_and_each_once(
    tmp_path: Path, signals: Signals, caplog: pytest.LogCaptureFixture
) -> None:
    ids = run_until_closed(tmp_path / "store", signals, times=2)
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        with caplog.at_level(logging.WARNING, "logistics.workflows"):
            results = [manager.run("w") for _ in range(3)]
    assert [result.adopted for result in results] == [True, True, False]
    assert [result.run_id for result in results[:2]] == ids
    assert results[2].run_id not in ids
    warnings = [record for record in caplog.records if record.name == "logistics.workflows"]
    assert [vars(record)["run_id"] for record in warnings] == ids
    assert "was cut off by the end of its process" in warnings[0].getMessage()


def test_a_run_that_recovery_has_finished_meanwhile_is_adopted_too(tmp_path: Path, signals: Signals) -> None:
    (run_id,) = run_until_closed(tmp_path / "store", signals)
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        recovered = manager.get_run(run_id)
        assert isinstance(recovered, WorkflowRun)
        assert recovered.result(WAIT_S).outputs == {"one": 1, "hold": "held"}
        result = manager.run("w")
        assert (result.run_id, result.adopted, result.output) == (run_id, True, "held")
        assert recovered.status is RunStatus.COMPLETED
        assert not manager.run("w").adopted
    assert signals.calls.count("hold") == 3  # cut off, again, and of the new run


def test_an_attempt_cut_off_by_closing_is_not_counted(tmp_path: Path, signals: Signals) -> None:
    run_until_closed(tmp_path / "store", signals)
    with OrchestrationEngine(tmp_path / "store") as engine:
        result = WorkflowManager(engine).run("w")
    assert result.steps["hold"].attempts == 1
    assert result.steps["one"].status is StepStatus.COMPLETED


def test_what_start_began_goes_on_and_is_never_adopted(tmp_path: Path, signals: Signals) -> None:
    engine = OrchestrationEngine(tmp_path / "store")
    manager = WorkflowManager(engine)
    manager.create("w").add_step("hold", steps.hold)
    run_id = manager.start("w").run_id
    assert signals.begun.wait(WAIT_S)
    engine.close(grace=0)
    signals.go_on.set()
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        result = manager.run("w")
        assert (result.adopted, result.run_id == run_id) == (False, False)
        started = manager.get_run(run_id)
        assert started is not None
        assert started.result(WAIT_S).output == "held"


def test_results_are_the_same_after_a_restart(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("w").add_step("order", steps.place).add_step("bad", steps.fail)
        workflow.add_step("after", steps.one)
        before = manager.run("w")
    with OrchestrationEngine(tmp_path / "store") as engine:
        (run,) = WorkflowManager(engine).list_runs()
        after: WorkflowResult = run.result()
    assert after == before
    assert after["order"] == {"number": 7, "placed": before["order"]["placed"]}


def test_a_run_whose_functions_are_gone_waits_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    kill_when_ready(["script.py", "3"], tmp_path, HOLD="1")
    with OrchestrationEngine(tmp_path / ".logistics") as engine:
        manager = WorkflowManager(engine)
        (run,) = manager.list_runs()
        waits = threading.Event()
        engine.subscribe("job.unresolved", lambda _event, _position: waits.set(), after=0)
        assert waits.wait(WAIT_S)
        assert run.status is RunStatus.PARKED
        step = run.steps["transform"]
        assert step.status is StepStatus.WAITING
        assert step.error is not None
        assert "OTHER_SCRIPT" in step.error
        manager.create("pipeline").add_step("transform", steps.transform, args=[[1]])
        results: list[WorkflowResult] = []
        with caplog.at_level(logging.WARNING, "logistics.workflows"):
            thread = threading.Thread(target=lambda: results.append(manager.run("pipeline", factor=3)))
            adopted = threading.Event()
            engine.subscribe("run.adopted", lambda _event, _position: adopted.set(), after=0)
            thread.start()
            assert adopted.wait(WAIT_S)
            assert run.cancel()
            thread.join(WAIT_S)
    assert [(result.run_id, result.status) for result in results] == [(run.run_id, RunStatus.CANCELLED)]
    texts = [record.getMessage() for record in caplog.records if record.name == "logistics.workflows"]
    assert any("step 'transform'" in text and "OTHER_SCRIPT" in text for text in texts)
