"""Conditions, optional steps, what a failure means for others, and steps at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.runtime.binding import BindingError
from actors.runtime.errors import InputError
from actors.workflow.condition import ConditionError
from actors.workflow.specs import RunStatus, StepStatus
from logistics.errors import GraphError
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.result import WorkflowResult
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals


def statuses(result: WorkflowResult) -> dict[str, str]:
    return {name: str(step.status) for name, step in result.steps.items()}


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        ("{{extract.output}}[0] == 1", True),
        ("{{extract.output}}[0] > 1", False),
        ("{{params.factor}} in [2, 3] and len({{extract.output}}) == 3", True),
        (steps.is_even, True),
    ],
)
def test_a_step_runs_if_its_condition_holds(manager: WorkflowManager, when: object, runs: bool) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("transform", steps.transform, when=when).add_step("load", steps.load)  # type: ignore[arg-type]
    result = manager.run("w", factor=2)
    assert result.status is RunStatus.COMPLETED
    assert statuses(result) == {
        "extract": "COMPLETED",
        "transform": "COMPLETED" if runs else "SKIPPED",
        "load": "COMPLETED" if runs else "SKIPPED",
    }
    if not runs:
        assert result.steps["transform"].error == "skipped: its condition does not hold"
        assert result.steps["load"].error == "skipped: step 'transform' did not complete"


def test_an_expression_brings_its_dependency_along(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    workflow.add_step("two", steps.two, depends_on=[], when="{{one.output}} == 1")
    result = manager.run("w")
    assert result["two"] == 2
    assert result.steps["one"].ended_at <= result.steps["two"].started_at  # type: ignore[operator]


def test_branches_join_with_none_in_place_of_what_was_skipped(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    workflow.add_step("left", steps.two, depends_on=["one"], when="{{one.output}} == 1", required=False)
    workflow.add_step("right", steps.two, depends_on=["one"], when="{{one.output}} != 1", required=False)
    workflow.add_step("join", steps.give_all, depends_on=["left", "right"])
    result = manager.run("w")
    assert result.success
    assert result.output == [2, None]


def test_a_condition_that_makes_no_sense_fails_its_step(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one).add_step("two", steps.two, when="{{one.output}}.ok")
    result = manager.run("w")
    assert result.status is RunStatus.FAILED
    assert "the condition '{{one.output}}.ok' makes no sense here" in str(result.steps["two"].error)


def test_an_optional_step_may_fail(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.fail, required=False)
    workflow.add_step("after", steps.give_extract)
    result = manager.run("w")
    assert result.success
    assert statuses(result) == {"extract": "FAILED", "after": "COMPLETED"}
    assert result["after"] is None


def test_others_go_on_after_a_failure_that_fails_the_run(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.fail, on_failure="continue")
    workflow.add_step("after", steps.give_extract)
    result = manager.run("w")
    assert result.status is RunStatus.FAILED
    assert statuses(result) == {"extract": "FAILED", "after": "COMPLETED"}
    assert "step 'extract' failed" in str(result.error)


def test_a_failure_may_stop_the_run(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("held", steps.hold)
    workflow.add_step("late", steps.one, depends_on=["held"])
    workflow.add_step("bad", steps.fail, depends_on=[], on_failure="stop")
    run = manager.start("w")
    result = run.result(WAIT_S)
    signals.go_on.set()
    assert result.status is RunStatus.FAILED
    assert statuses(result) == {"held": "CANCELLED", "late": "SKIPPED", "bad": "FAILED"}


@pytest.mark.parametrize(("func", "status"), [(steps.one, "COMPLETED"), (steps.fail, "FAILED")])
def test_finally_steps_run_in_their_order_whatever_happened(
    manager: WorkflowManager, signals: Signals, func: object, status: str
) -> None:
    workflow = manager.create("w").add_finally("tidy", steps.noted)
    workflow.add_step("work", func)  # type: ignore[arg-type]
    workflow.add_step("more", steps.noted).add_finally("tell", steps.noted)
    result = manager.run("w")
    assert result.status == status
    done = [call for call in signals.calls if call != "fail"]
    assert done == (["more"] if status == "COMPLETED" else []) + ["tidy", "tell"]
    assert statuses(result)["tidy"] == "COMPLETED"


def test_a_finally_step_gets_none_of_what_has_no_output(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("left", steps.fail).add_step("right", steps.two, depends_on=[])
    workflow.add_finally("tell", steps.give_all, depends_on=["left", "right"])
    result = manager.run("w")
    assert result["tell"] == [None, 2]
    assert result.output == {"right": 2}


def test_a_finally_step_runs_after_a_cancellation(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("held", steps.hold).add_finally("tidy", steps.noted)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    assert run.cancel()
    signals.go_on.set()
    result = run.result(WAIT_S)
    assert result.status is RunStatus.CANCELLED
    assert statuses(result) == {"held": "CANCELLED", "tidy": "COMPLETED"}
    assert workflow.steps == ("held", "tidy")


def test_a_finally_step_that_fails_fails_the_run(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one).add_finally("tidy", steps.fail)
    result = manager.run("w")
    assert result.status is RunStatus.FAILED
    assert "step 'tidy' failed" in str(result.error)


def test_a_second_cancellation_cuts_finally_steps_short(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("one", steps.one).add_finally("held", steps.hold)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    assert run.cancel()
    assert run.result(WAIT_S).status is RunStatus.CANCELLED
    signals.go_on.set()


def test_what_makes_no_sense_is_refused_at_once(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    with pytest.raises(ConditionError, match="expected a value at character 5"):
        workflow.add_step("two", steps.two, when="1 ==")
    with pytest.raises(
        InputError, match="on_failure: expected one of skip, skip_if_failed, continue, stop, got 'go'"
    ):
        workflow.add_step("two", steps.two, on_failure="go")
    with pytest.raises(InputError, match="required: expected True or False, got 1"):
        workflow.add_step("two", steps.two, required=1)  # type: ignore[arg-type]
    assert workflow.steps == ("one",)


def test_what_a_condition_refers_to_is_checked_before_anything_runs(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one, when="{{params.day}} == 1")
    with pytest.raises(BindingError, match=r"refers to \{\{params.day\}\}, which the run is not given"):
        manager.run("w")
    workflow.add_step("two", steps.two, when="{{nothing.output}}")
    with pytest.raises(GraphError, match="depends on 'nothing', which is no step"):
        manager.run("w", day=1)
    bound = manager.create("v").add_step("one", steps.one)
    bound.add_step("two", steps.two, when=steps.is_even, depends_on=[])
    with pytest.raises(
        BindingError, match="step 'two': when: nothing fills the required parameter 'extract'"
    ):
        manager.run("v")
    late = manager.create("u").add_finally("tidy", steps.one)
    late.add_step("early", steps.two, depends_on=["tidy"])
    with pytest.raises(GraphError, match="depends on 'tidy', a finally step, which is begun after it"):
        manager.run("u")


def test_a_file_says_the_same(manager: WorkflowManager, tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    module = "tests.logistics.orchestration.steps"
    file.write_text(
        f"""
        name = "w"
        [params.factor]
        type = "int"
        [[steps]]
        name = "extract"
        function = "{module}:extract"
        when = "{{{{params.factor}}}} > 0"
        [[steps]]
        name = "tidy"
        function = "{module}:two"
        finally = true
        [[steps]]
        name = "bad"
        function = "{module}:fail"
        required = false
        on_failure = "continue"
        [[steps]]
        name = "after"
        function = "{module}:one"
        """
    )
    manager.load(file)
    result = manager.run("w", factor=1)
    assert result.success
    assert statuses(result) == {
        "extract": "COMPLETED",
        "tidy": "COMPLETED",
        "bad": "FAILED",
        "after": "COMPLETED",
    }
    assert result.steps["after"].status is StepStatus.COMPLETED
    file.write_text(
        f"""
        name = "w"
        [[steps]]
        name = "extract"
        function = "{module}:extract"
        when = "{{{{params.factr}}}} > "
        on_failure = "explode"
        """
    )
    with pytest.raises(ConfigError, match="on_failure"):
        manager.load(file)
