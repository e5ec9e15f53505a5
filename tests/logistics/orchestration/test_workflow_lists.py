"""Steps that are called for each item of a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.queue.events import JobEnqueued
from actors.runtime.binding import BindingError
from actors.workflow.specs import RunStatus
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.support.scale import scaled


@pytest.mark.parametrize("func", [steps.double, steps.double_extract])
def test_each_item_is_a_call_and_the_outputs_are_joined_in_order(
    manager: WorkflowManager, func: object
) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("double", func, map_over="extract")  # type: ignore[arg-type]
    workflow.add_step("load", steps.load)
    result = manager.run("w")
    assert result.success
    assert result.outputs == {"extract": [1, 2, 3], "double": [2, 4, 6], "load": {"sum": 12}}
    assert (result.steps["double"].items, result.steps["double"].attempts) == (3, 3)


def test_a_list_of_a_run_parameter_and_the_outputs_of_another_list(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("first", steps.double, map_over="params.numbers", depends_on=[])
    workflow.add_step("second", steps.double, map_over="first")
    assert manager.run("w", numbers=[1, 2, 3]).output == [4, 8, 12]


def test_an_empty_list_has_an_empty_list_as_its_output(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("first", steps.double, map_over="params.numbers", depends_on=[])
    workflow.add_step("load", steps.load)
    assert manager.run("w", numbers=[]).outputs == {"first": [], "load": {"sum": 0}}


def test_what_is_no_list_fails_the_step(manager: WorkflowManager) -> None:
    manager.create("w").add_step("double", steps.double, map_over="params.numbers", depends_on=[])
    result = manager.run("w", numbers={"a": 1})
    assert result.status is RunStatus.FAILED
    assert "mapped over a list, and what it got is none" in str(result.error)


def test_no_more_items_than_allowed_are_under_way(manager: WorkflowManager) -> None:
    manager.create("w").add_step("busy", steps.is_busy, map_over="params.numbers", depends_on=[], parallel=2)
    assert max(manager.run("w", numbers=list(range(12))).output) <= 2


def test_items_that_fail_fail_the_step_after_all_have_ended(manager: WorkflowManager) -> None:
    workflow = manager.create("w")
    workflow.add_step("odd", steps.fail_odd, map_over="params.numbers", depends_on=[])
    workflow.add_step("after", steps.load)
    result = manager.run("w", numbers=[0, 1, 2, 3, 4])
    assert result.status is RunStatus.FAILED
    assert "2 of 5 items failed; item " in str(result.error)
    assert result.steps["odd"].items_ended == 5
    assert result.steps["after"].status == "SKIPPED"


def test_the_first_failure_may_stop_the_others(manager: WorkflowManager) -> None:
    workflow = manager.create("w")
    workflow.add_step(
        "odd", steps.fail_odd, map_over="params.numbers", depends_on=[], parallel=1, on_failure="stop"
    )
    result = manager.run("w", numbers=[0, 1, 2, 3, 4])
    assert "item 1: ValueError: 1 is odd; the others were stopped" in str(result.error)
    assert result.steps["odd"].attempts == 2


def test_a_condition_is_for_the_whole_list(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("double", steps.double, map_over="extract", when="len({{extract.output}}) > 5")
    assert manager.run("w").steps["double"].status == "SKIPPED"


def test_a_wide_list_is_never_in_one_message_nor_in_one_event(manager: WorkflowManager) -> None:
    wide = scaled("wide_list", 3_000)
    manager.create("w").add_step("double", steps.double, map_over="params.numbers", depends_on=[])
    run = manager.start("w", numbers=list(range(wide)))
    assert run.result(300).output == [2 * number for number in range(wide)]


def half(number: int) -> float:
    return number / 2


def test_who_takes_the_items_is_settled_before_anything_runs(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("one", steps.one, map_over="extract")
    with pytest.raises(BindingError, match="map_over: no parameter takes the items of 'extract'"):
        manager.run("w")
    manager.create("w").add_step("half", half, map_over="params.numbers")
    with pytest.raises(
        BindingError, match=r"parameter 'number': .*; an item goes to the parameter 'item', or else"
    ):
        manager.run("w", numbers=[2, 4])
    manager.create("w").add_step("double", steps.double, map_over="params.numbers")
    with pytest.raises(BindingError, match="map_over: the run is not given a parameter 'numbers'"):
        manager.run("w")


def test_a_list_goes_on_after_a_restart(tmp_path: Path, signals: steps.Signals) -> None:
    with OrchestrationEngine(tmp_path / "store", workers=2) as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("w").add_step("extract", steps.extract)
        workflow.add_step("hold", steps.hold_item, map_over="extract").add_step("load", steps.load)
        run_id = manager.start("w").run_id
        assert signals.begun.wait(steps.WAIT_S)
        engine.close(0)
    signals.go_on.set()
    with OrchestrationEngine(tmp_path / "store") as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        assert run.result(steps.WAIT_S).output == {"sum": 6}
        jobs = [event for item in range(3) for _, event in engine.history(f"job:{run_id}.1:{item}")]
        assert sum(isinstance(event, JobEnqueued) for event in jobs) == 3
