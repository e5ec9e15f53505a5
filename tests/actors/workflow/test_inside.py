"""Plans that are inside a plan are found once each, however many ways lead to them."""

from __future__ import annotations

from actors.workflow.inside import plans_inside
from actors.workflow.specs import Plan, PlanStep, StepOptions
from tests.actors.workflow.lives import EMPTY_CALL


def plan_of(*children: str) -> Plan:
    steps = (PlanStep(child, "", EMPTY_CALL, (), options=StepOptions(child=child)) for child in children)
    return Plan("w", (PlanStep("plain", "m:f", EMPTY_CALL, ()), *steps))


def test_a_plan_in_whose_runs_a_million_million_others_are_is_gone_through_once() -> None:
    """Each way to a plan was gone: forks and rehearsals of such runs never ended."""
    plans = {str(n): plan_of(str(n - 1), str(n - 1)) for n in range(1, 41)} | {"0": plan_of()}
    asked = []

    def find(plan_id: str) -> Plan:
        assert plan_id not in asked
        asked.append(plan_id)
        return plans[plan_id]

    assert list(plans_inside(plan_of("40"), find)) == [str(n) for n in range(40, -1, -1)]


def test_a_plan_is_behind_all_that_have_it() -> None:
    plans = {"a": plan_of("c"), "b": plan_of("a", "c"), "c": plan_of()}
    found = list(plans_inside(plan_of("c", "a", "b"), plans.__getitem__))
    assert found == ["b", "a", "c"]


def test_plans_by_hand_that_are_inside_each_other_are_gone_through_once() -> None:
    plans = {"a": plan_of("b"), "b": plan_of("a")}
    assert set(plans_inside(plan_of("a"), plans.__getitem__)) == {"a", "b"}
