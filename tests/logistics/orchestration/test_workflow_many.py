"""Many runs at once, and outputs alone: fewer commits and less to read, the same answers."""

from __future__ import annotations

from typing import Any

import pytest

from actors.runtime.errors import InputError, PayloadError
from logistics.errors import RunFailedError, WorkflowNotFoundError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals


def scale(factor: int) -> int:
    return factor * 10


def fail() -> None:
    raise ValueError("no")


def test_runs_are_started_in_order_and_in_few_commits(
    engine: OrchestrationEngine, manager: WorkflowManager
) -> None:
    manager.create("w").add_step("scale", scale)
    manager.run("w", factor=0)
    before = engine.store.runtime.journal.commits
    runs = manager.start_many("w", [{"factor": number} for number in range(300)])
    assert engine.store.runtime.journal.commits - before < 100
    assert [run.run_id for run in runs] == sorted({run.run_id for run in runs})
    assert [run.output(WAIT_S) for run in runs] == [10 * number for number in range(300)]


def test_nothing_is_started_if_one_set_of_parameters_is_wrong(manager: WorkflowManager) -> None:
    manager.create("w").add_step("scale", scale)
    with pytest.raises(PayloadError, match=r"^params\['factor'\]"):
        manager.start_many("w", [{"factor": 1}, {"factor": object()}])
    wrong: Any = [{"factor": 1}, 7]
    with pytest.raises(InputError, match=r"^params\[1\]: expected a mapping of names to parameters, got 7"):
        manager.start_many("w", wrong)
    with pytest.raises(WorkflowNotFoundError):
        manager.start_many("none", [{}])
    assert list(manager.list_runs()) == []
    assert manager.start_many("w", []) == []


def test_the_output_is_that_of_the_result(manager: WorkflowManager) -> None:
    workflow = manager.create("plain").add_step("one", steps.one)
    workflow.add_step("two", steps.two, depends_on=["one"]).add_step("other", steps.two, depends_on=["one"])
    manager.create("nothing")
    manager.create("condition").add_step("one", steps.one).add_step(
        "no", steps.two, when="{{one.output}} == 2"
    )
    manager.create("list").add_step("list", steps.extract).add_step("each", scale, map_over="list")
    manager.create("optional").add_step("fail", fail, max_retries=0, required=False)
    for name in ("plain", "nothing", "condition", "list", "optional"):
        run = manager.start(name)
        assert run.output(WAIT_S) == run.result().output, name
    fork = manager.start("plain")
    fork.result(WAIT_S)
    again = fork.restart("two")
    assert again.output(WAIT_S) == again.result().output == {"two": 2, "other": 2}


def test_the_output_of_a_run_that_failed_is_an_error(manager: WorkflowManager) -> None:
    manager.create("w").add_step("fail", fail, max_retries=0)
    run = manager.start("w")
    with pytest.raises(RunFailedError, match="is FAILED: step 'fail' failed: ValueError: no"):
        run.output(WAIT_S)


def test_an_output_is_waited_for_no_longer_than_is_said(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("gated", steps.hold)
    run = manager.start("w")
    with pytest.raises(TimeoutError, match="has not ended within 0 s"):
        run.output(0)
