"""Runs that are steps of other runs, and steps that wait for other runs."""

from __future__ import annotations

import pytest

from actors.runtime.binding import BindingError
from actors.workflow.specs import RunStatus
from logistics.errors import GraphError
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals


def test_a_step_may_be_a_run_of_another_workflow(manager: WorkflowManager) -> None:
    manager.create("inner").add_step("double", steps.double, depends_on=[])
    workflow = manager.create("outer").add_step("one", steps.one)
    workflow.add_workflow("inner", "inner", params={"item": "{{one.output}}"}).add_step("after", steps.double)
    result = manager.run("outer")
    assert result.outputs == {"one": 1, "inner": 2, "after": 4}
    child = manager.get_run(f"{result.run_id}.1")
    assert child is not None
    assert (child.name, child.status, child.parent, child.result().output) == (
        "inner",
        RunStatus.COMPLETED,
        result.run_id,
        2,
    )


def test_runs_may_be_inside_each_other_deeply(manager: WorkflowManager) -> None:
    manager.create("w0").add_step("one", steps.one)
    for depth in range(1, 9):
        manager.create(f"w{depth}").add_workflow("inner", f"w{depth - 1}")
    assert manager.run("w8").output == 1


def test_runs_inside_each_other_more_deeply_than_can_be_planned_are_refused(manager: WorkflowManager) -> None:
    manager.create("w0").add_step("one", steps.one)
    for depth in range(1, 302):
        manager.create(f"w{depth}").add_workflow("inner", f"w{depth - 1}")
    assert manager.run("w100").output == 1
    with pytest.raises(GraphError, match="more than 100 runs would be inside each other: w301 -> … -> w200"):
        manager.run("w301")


def test_a_child_that_fails_fails_the_step(manager: WorkflowManager) -> None:
    manager.create("inner").add_step("bad", steps.fail)
    manager.create("outer").add_workflow("inner", "inner").add_step("after", steps.one)
    result = manager.run("outer")
    assert result.status is RunStatus.FAILED
    assert f"run {result.run_id}.0 is FAILED: step 'bad' failed" in str(result.error)
    assert result.steps["after"].status == "SKIPPED"


def test_cancelling_and_pausing_pass_on_to_children(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("inner").add_step("hold", steps.hold).add_step("after", steps.one)
    manager.create("outer").add_workflow("inner", "inner")
    run = manager.start("outer")
    assert signals.begun.wait(WAIT_S)
    child = manager.get_run(f"{run.run_id}.0")
    assert child is not None
    assert run.status is RunStatus.WAITING
    run.pause()
    assert (run.status, child.status) == (RunStatus.PAUSED, RunStatus.PAUSED)
    run.resume()
    assert child.status is RunStatus.RUNNING
    assert run.cancel()
    assert (run.status, child.status) == (RunStatus.CANCELLED, RunStatus.CANCELLED)


def test_cancelling_a_child_fails_the_step_that_it_is(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("inner").add_step("hold", steps.hold)
    manager.create("outer").add_workflow("inner", "inner")
    run = manager.start("outer")
    assert signals.begun.wait(WAIT_S)
    child = manager.get_run(f"{run.run_id}.0")
    assert child is not None
    assert child.cancel()
    assert f"run {run.run_id}.0 is CANCELLED" in str(run.result(WAIT_S).error)


def test_a_run_keeps_the_child_that_it_began_with(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("inner").add_step("one", steps.one)
    manager.create("outer").add_step("hold", steps.hold).add_workflow("inner", "inner")
    run = manager.start("outer")
    assert signals.begun.wait(WAIT_S)
    manager.create("inner").add_step("two", steps.two)
    other = manager.start("outer")
    signals.go_on.set()
    assert (run.result(WAIT_S).output, other.result(WAIT_S).output) == (1, 2)


def test_a_plan_stays_that_only_a_child_of_a_redefined_workflow_needs(manager: WorkflowManager) -> None:
    """The plan of the old definition goes, and its child is needed by a plan that is recorded behind it."""
    manager.create("leaf").add_step("give", steps.give_either)
    manager.create("top").add_workflow("leaf", "leaf", params={"one": 1})
    assert manager.run("top").output == 1
    assert manager.run("leaf", two=2).output == 2  # with other parameters: the newest plan of its workflow
    manager.create("middle").add_workflow("leaf", "leaf", params={"one": 3})
    manager.create("top").add_workflow("middle", "middle")
    assert manager.run("top").output == 3


def test_what_cannot_be_is_named_before_anything_runs(manager: WorkflowManager) -> None:
    manager.create("a").add_workflow("b", "b")
    with pytest.raises(BindingError, match="there is no workflow 'b'"):
        manager.run("a")
    manager.create("b").add_workflow("a", "a")
    with pytest.raises(GraphError, match="a run of a workflow cannot be a step of itself: a -> b -> a"):
        manager.run("a")
    manager.create("c").add_step("double", steps.double)
    manager.create("d").add_workflow("c", "c")
    with pytest.raises(BindingError, match="nothing fills the required parameter 'item'"):
        manager.run("d")
    assert not list(manager.list_runs())


def test_a_step_waits_for_the_end_of_another_run(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("held").add_step("hold", steps.hold)
    manager.create("w").add_wait("other", run="{{params.run}}").add_step("after", steps.give_other)
    held = manager.start("held")
    run = manager.start("w", run=held.run_id)
    assert signals.begun.wait(WAIT_S)
    signals.go_on.set()
    assert run.result(WAIT_S).output == "held"
    assert manager.run("w", run=held.run_id).output == "held"


def test_waiting_for_a_run_that_fails_or_is_not_there_fails(manager: WorkflowManager) -> None:
    manager.create("bad").add_step("fail", steps.fail)
    manager.create("w").add_wait("other", run="{{params.run}}")
    bad = manager.run("bad")
    assert f"run {bad.run_id} is FAILED" in str(manager.run("w", run=bad.run_id).error)
    assert "there is no run 'nothing' on record" in str(manager.run("w", run="nothing").error)
