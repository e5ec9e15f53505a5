"""Whatever the graph, whoever fails, in whatever order: steps end as a ten-line oracle says."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.errors import InputError
from actors.workflow.checks import check_plan
from actors.workflow.events import StepScheduled
from actors.workflow.messages import CancelRun, PauseRun
from actors.workflow.specs import Plan, PlanStep, StepOptions
from tests.actors.workflow.lives import EMPTY_CALL, OUTCOMES, Life, expected, graphs, random_plan
from tests.support.scale import scaled


def order_is_topological(life: Life) -> bool:
    """Whether every step was scheduled after the end of all that it needs."""
    ended: set[int] = set()
    for event in (event for events in life.log for event in events):
        if isinstance(event, StepScheduled):
            if not ended.issuperset(life.plan.steps[event.step].depends_on):
                return False
        elif type(event).__name__ in {"StepCompleted", "StepFailed", "StepSkipped"}:
            ended.add(event.step)  # type: ignore[attr-defined]
    return True


@settings(max_examples=scaled("graphs", 150))
@given(graphs(), st.lists(st.sampled_from(OUTCOMES), min_size=12, max_size=12), st.integers(0, 2**32))
def test_steps_end_as_the_oracle_says_and_a_crash_between_any_two_decisions_changes_nothing(
    plan: Plan, outcomes: list[str], seed: int
) -> None:
    life = Life(plan, outcomes, Random(seed))
    life.start()
    life.play()
    assert life.ends() == expected(plan, outcomes)
    assert order_is_topological(life)
    assert not life.state.runs
    for decisions in range(1, len(life.log) + 1):
        again = life.crashed_after(decisions)
        again.play()
        assert again.ends() == life.ends()


@pytest.mark.parametrize("seed", range(scaled("large_graphs", 5)))
def test_graphs_of_two_hundred_steps_end_as_the_oracle_says(seed: int) -> None:
    random = Random(seed)
    plan = random_plan(random, 200)
    life = Life(plan, random.choices(OUTCOMES, k=200), random)
    life.start()
    life.play()
    assert life.ends() == expected(plan, life.outcomes)
    assert order_is_topological(life)


def options(*given: StepOptions | None) -> Plan:
    """A plan of steps that need nothing."""
    return Plan("w", tuple(PlanStep(f"s{i}", "m:f", EMPTY_CALL, (), options=o) for i, o in enumerate(given)))


NEEDED = StepOptions()
OPTIONAL = StepOptions(required=False, on_failure="continue")
LEFT_OUT = StepOptions(required=False, on_failure="skip")


def shop(charge: StepOptions) -> Plan:
    """What is ordered is charged, the customer is told of it, which may fail, and it is shipped."""
    steps = (("charge", charge, ()), ("tell", OPTIONAL, (0,)), ("ship", NEEDED, (1,)))
    return Plan("w", tuple(PlanStep(name, "m:f", EMPTY_CALL, needs, options=o) for name, o, needs in steps))


@pytest.mark.parametrize(
    ("charge", "outcomes", "ends"),
    [
        (NEEDED, ["fail", "ok", "ok"], ["FAILED", "SKIPPED", "SKIPPED"]),
        (NEEDED, ["ok", "fail", "ok"], ["COMPLETED", "FAILED", "COMPLETED"]),
        (NEEDED, ["skip", "ok", "ok"], ["SKIPPED", "SKIPPED", "COMPLETED"]),
        (LEFT_OUT, ["fail", "ok", "ok"], ["FAILED", "SKIPPED", "COMPLETED"]),
        (OPTIONAL, ["fail", "ok", "ok"], ["FAILED", "COMPLETED", "COMPLETED"]),
    ],
)
def test_an_optional_step_in_between_does_not_let_go_what_comes_after_a_failure_that_fails_the_run(
    charge: StepOptions, outcomes: list[str], ends: list[str]
) -> None:
    life = Life(shop(charge), outcomes, Random(0))
    life.start()
    life.play()
    assert list(life.ends()[0].values()) == ends


@pytest.mark.parametrize("first", ["r.0", "r.1"])
def test_what_may_yet_be_stopped_by_a_failure_that_fails_the_run_does_not_begin_before_it_is_known(
    first: str,
) -> None:
    steps = (
        PlanStep("charge", "m:f", EMPTY_CALL, (), options=NEEDED),
        PlanStep("greet", "m:f", EMPTY_CALL, (), options=LEFT_OUT),
        PlanStep("tell", "m:f", EMPTY_CALL, (0, 1), options=OPTIONAL),
        PlanStep("ship", "m:f", EMPTY_CALL, (2,), options=NEEDED),
    )
    life = Life(Plan("w", steps), ["fail", "fail", "ok", "ok"], Random(0))
    life.start()
    life.end(first)
    life.play()
    assert life.ends() == ({0: "FAILED", 1: "FAILED", 2: "SKIPPED", 3: "SKIPPED"}, "FAILED")


def test_what_is_skipped_on_two_ways_is_skipped_once_whatever_the_order_of_the_plan() -> None:
    steps = (
        PlanStep("a", "m:f", EMPTY_CALL, ()),
        PlanStep("c", "m:f", EMPTY_CALL, (0, 2)),
        PlanStep("b", "m:f", EMPTY_CALL, (0,)),
    )
    life = Life(Plan("w", steps), ["fail", "ok", "ok"], Random(0))
    life.start()
    life.play()
    assert life.ends() == ({0: "FAILED", 1: "SKIPPED", 2: "SKIPPED"}, "FAILED")


def test_a_failure_that_stops_ends_all_that_has_not_ended_but_what_is_done_at_the_end() -> None:
    plan = Plan(
        "w",
        (
            PlanStep("bad", "m:f", EMPTY_CALL, (), options=StepOptions(on_failure="stop")),
            PlanStep("running", "m:f", EMPTY_CALL, ()),
            PlanStep("waiting", "m:f", EMPTY_CALL, (1,)),
            PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True)),
        ),
    )
    life = Life(plan, ["fail", "ok", "ok", "ok"], Random(0))
    life.start()
    del life.jobs["r.1"]
    life.play()
    assert life.ends() == ({0: "FAILED", 1: "CANCELLED", 2: "SKIPPED", 3: "COMPLETED"}, "FAILED")


def test_a_plan_whose_ordinary_step_waits_for_a_last_one_is_refused() -> None:
    last = PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True))
    with pytest.raises(InputError, match="depends on 'tidy', which is begun after"):
        check_plan(Plan("w", (last, PlanStep("s", "m:f", EMPTY_CALL, (0,)))))


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InputError, match=r"on_failure: expected one of skip, .*stop, got 'explode'"):
        check_plan(options(StepOptions(on_failure="explode")))


def test_a_paused_run_that_is_cancelled_does_what_is_to_be_done_at_the_end() -> None:
    steps = (
        PlanStep("book", "m:f", EMPTY_CALL, (), options=StepOptions(compensate="m:g")),
        PlanStep("pay", "m:f", EMPTY_CALL, (0,)),
        PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True)),
    )
    life = Life(Plan("w", steps), ["ok", "ok", "ok"], Random(0))
    life.start()
    life.say(PauseRun(run_id="r"))
    life.end("r.0")
    life.say(CancelRun(run_id="r"))
    life.play()
    assert life.ends() == ({0: "COMPLETED", 1: "CANCELLED", 2: "COMPLETED"}, "CANCELLED")


@pytest.mark.parametrize(
    ("outcome", "after"), [("skip", "COMPLETED"), ("fail", "SKIPPED"), ("ok", "COMPLETED")]
)
def test_what_depends_on_a_step_that_its_own_condition_spared_goes_on_and_else_is_skipped_over_any_crash(
    outcome: str, after: str
) -> None:
    spares = StepOptions(when="true", on_failure="skip_if_failed")
    plan = Plan(
        "w",
        (
            PlanStep("first", "m:f", EMPTY_CALL, (), options=spares),
            PlanStep("second", "m:f", EMPTY_CALL, (0,), options=spares),
            PlanStep("third", "m:f", EMPTY_CALL, (1,)),
        ),
    )
    life = Life(plan, [outcome, "ok", "ok"], Random(0))
    life.start()
    life.play()
    steps, _ = life.ends()
    assert (steps[1], steps[2]) == (after, after)
    for decisions in range(1, len(life.log) + 1):
        again = life.crashed_after(decisions)
        again.play()
        assert again.ends() == life.ends()
