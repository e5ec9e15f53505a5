"""Words that cross on their way, runs that are gone, and what may be said to whom (F87, F91, F92, F93)."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.queue.messages import CancelOwned, JobEnded
from actors.runtime.errors import InputError, UnknownIdError
from actors.runtime.messages import Message
from actors.workflow.events import CancelSettled, RunCancelled, RunFailed
from actors.workflow.messages import CancelRun, PauseRun, ResumeRun, SignalRun, StartRun
from actors.workflow.specs import Plan, PlanStep, StepOptions, WaitPlan
from actors.workflow.state import FEW
from tests.actors.workflow.lives import EMPTY_CALL, RULES, Life, context
from tests.support.scale import scaled

CHAIN = Plan("w", (PlanStep("a", "m:f", EMPTY_CALL, ()), PlanStep("b", "m:f", EMPTY_CALL, (0,))))
INNER = Plan("inner", (PlanStep("x", "m:f", EMPTY_CALL, ()),))
OUTER = Plan("outer", (PlanStep("child", "", EMPTY_CALL, (), options=StepOptions(child="inner")),))


def ended(job_id: str, status: str = "COMPLETED", note: bytes = b"") -> JobEnded:
    return JobEnded(job_id=job_id, status=status, error="", attempts=1, ended_us=5, note=note)


PATIENT = Plan(
    "inner", (PlanStep("x", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("time", 1_000_000))),)
)


def nested(inner: Plan = INNER) -> Life:
    """A run whose step is a run, which has begun."""
    life = Life(OUTER, ["ok"], Random(0))
    life.say(
        StartRun(
            run_id="r", plan=OUTER, plan_id="o", params=b"\x80", blocking=False, children=(("inner", inner),)
        )
    )
    life.jobs.clear()
    life.say(ended("r.0", note=b"=\x80"))
    assert set(life.state.runs) == {"r", "r.0"}
    return life


@pytest.mark.parametrize("cancel_first", [True, False])
def test_f91_a_cancellation_and_an_end_that_cross_leave_one_end(cancel_first: bool) -> None:
    life = Life(CHAIN, ["ok", "ok"], Random(0))
    life.start()
    words: list[Message] = [CancelRun(run_id="r"), ended("r.0")]
    for message in words if cancel_first else reversed(words):
        life.say(message)
    finals = [event for events in life.log for event in events if event.final]
    assert [type(event) for event in finals] == [RunCancelled]
    if cancel_first:  # the queue's word settles the question whether the job was cancelled
        assert isinstance(life.log[-1][-1], CancelSettled)
        assert not life.state.cancelling
    else:
        assert list(life.state.cancelling) == ["r.1"]


def test_f91_a_failure_while_others_begin_skips_only_what_needs_it() -> None:
    steps = (
        PlanStep("a", "m:f", EMPTY_CALL, ()),
        PlanStep("b", "m:f", EMPTY_CALL, ()),
        PlanStep("c", "m:f", EMPTY_CALL, (0,)),
        PlanStep("d", "m:f", EMPTY_CALL, (1, 2)),
    )
    life = Life(Plan("w", steps), ["fail", "ok", "ok", "ok"], Random(0))
    life.start()
    life.play()
    assert life.ends() == ({0: "FAILED", 1: "COMPLETED", 2: "SKIPPED", 3: "SKIPPED"}, "FAILED")


def test_f92_a_child_does_not_outlive_the_cancellation_of_its_parent() -> None:
    life = nested()
    decision = RULES.decide(life.state, CancelRun(run_id="r"), context())
    asked = [message.job_id for _, message in decision.tells if isinstance(message, CancelOwned)]
    life.take(decision)
    assert asked == ["r.0.0"]
    assert not life.state.runs
    assert not life.state.awaited
    assert not list(RULES.settle(life.state, context()))


def test_f92_the_end_of_a_child_is_the_end_of_its_step_in_the_same_turn() -> None:
    life = nested()
    life.say(ended("r.0.0"))
    assert set(life.state.runs) == {"r"}
    for decision in RULES.settle(life.state, context()):
        life.take(decision)
    assert not life.state.runs


def test_the_end_of_a_child_whose_time_has_come_is_the_end_of_its_step_in_the_same_turn() -> None:
    """Nobody may say anything to the supervisor for days: what follows was left lying until somebody did."""
    life = nested(PATIENT)
    later = context()._replace(now_us=context().now_us + 1_000_000)
    for decision in RULES.settle(life.state, later):
        life.take(decision)
    assert not life.state.runs


def test_timers_of_what_waits_no_more_do_not_stay_in_memory_until_their_time_comes() -> None:
    wait = PlanStep("approval", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("signal", 10**12)))
    plan = Plan("w", (wait,))
    life = Life(plan, ["ok"], Random(0))
    first = StartRun(run_id="first", plan=plan, plan_id="p", params=b"\x80", blocking=False)
    life.say(first)
    for number in range(3 * FEW):
        run_id = f"r{number}"
        life.say(msgspec.structs.replace(first, run_id=run_id))
        life.say(SignalRun(run_id=run_id, step="approval", value=b"\x01"))
    assert len(life.state.timers) <= FEW
    assert life.state.timers[0][1] == "first"


@settings(max_examples=scaled("controls", 100))
@given(
    st.sampled_from([CancelRun, PauseRun, ResumeRun, SignalRun]),
    st.sampled_from(["never", "ended", "r.0"]),
)
def test_f93_what_is_said_to_a_run_that_is_not_live_is_refused_and_changes_nothing(
    command: type[Message], run_id: str
) -> None:
    life = Life(CHAIN, ["ok", "ok"], Random(0))
    life.say(StartRun(run_id="ended", plan=CHAIN, plan_id="p", params=b"\x80", blocking=False))
    life.play()
    before = life.state.dump()
    if command is CancelRun:
        decision = RULES.decide(life.state, CancelRun(run_id=run_id), context())
        assert (decision.reply, decision.events, decision.tells) == (False, [], [])
    else:
        more = {"step": "a", "value": b"\x01"} if command is SignalRun else {}
        with pytest.raises(UnknownIdError, match="is live: it has ended, or is not on record"):
            RULES.decide(life.state, command(run_id=run_id, **more), context())
    assert life.state.dump() == before


def test_f93_a_run_that_is_ending_cannot_be_paused() -> None:
    last = PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True))
    life = Life(Plan("w", (last,)), ["ok"], Random(0))
    life.start()
    with pytest.raises(InputError, match=r"is ending \(COMPLETED\): what is left cannot be paused"):
        RULES.decide(life.state, PauseRun(run_id="r"), context())


def test_a_run_that_begins_as_a_step_of_a_paused_one_is_paused_too() -> None:
    life = Life(OUTER, ["ok"], Random(0))
    life.say(
        StartRun(
            run_id="r", plan=OUTER, plan_id="o", params=b"\x80", blocking=False, children=(("inner", INNER),)
        )
    )
    life.say(PauseRun(run_id="r"))
    life.jobs.clear()
    life.say(ended("r.0", note=b"=\x80"))  # what the run is to be called with was being found out
    assert life.state.runs["r.0"].status == "PAUSED"
    assert not life.jobs
    life.say(ResumeRun(run_id="r"))
    assert list(life.jobs) == ["r.0.0"]
    life.play()
    for decision in RULES.settle(life.state, context()):
        life.take(decision)
    assert not life.state.runs


def test_a_wait_for_the_run_whose_step_it_is_fails_at_once() -> None:
    """Neither would ever end."""
    wait = PlanStep("x", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("run")))
    life = nested(Plan("inner", (wait,)))
    life.say(ended("r.0.0", note=b"=r"))
    assert set(life.state.runs) == {"r"}
    for decision in RULES.settle(life.state, context()):
        life.take(decision)
    failed = [event for events in life.log for event in events if isinstance(event, RunFailed)]
    assert [event.run_id for event in failed] == ["r.0", "r"]
    assert "it would wait for its own end" in failed[0].error


def test_a_wait_for_its_own_run_fails_at_once() -> None:
    wait = PlanStep("self", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("run")))
    life = Life(Plan("w", (wait,)), ["ok"], Random(0))
    life.start()
    life.say(ended("r.0", note=b"=r"))
    assert life.ends() == ({0: "FAILED"}, "FAILED")


def waiting(names: str, *, span_us: int = 0) -> Life:
    """Runs whose only step waits for another one, which is not known yet."""
    step = PlanStep("other", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("run", span_us)))
    life = Life(Plan("w", (step,)), ["ok"], Random(0))
    for name in names:
        life.say(StartRun(run_id=name, plan=life.plan, plan_id="p", params=b"\x80", blocking=False))
    return life


def failures(life: Life) -> dict[str, str]:
    """The errors of the runs that have failed."""
    for decision in RULES.settle(life.state, context()):
        life.take(decision)
    return {
        event.run_id: event.error for events in life.log for event in events if isinstance(event, RunFailed)
    }


def test_a_wait_that_closes_a_circle_of_runs_fails_at_once() -> None:
    """None of them would ever end."""
    life = waiting("abc")
    life.say(ended("a.0", note=b"=b"))
    life.say(ended("b.0", note=b"=c"))
    assert not failures(life)
    life.say(ended("c.0", note=b"=a"))
    found = failures(life)
    assert "run 'a' waits for the end of this one: neither would ever end" in found["c"]
    assert list(found) == ["c", "b", "a"]  # who waits for one that has failed fails


def test_a_wait_for_a_run_that_waits_for_the_run_whose_step_it_is_fails_at_once() -> None:
    wait = PlanStep("x", "", EMPTY_CALL, (), options=StepOptions(wait=WaitPlan("run")))
    life = nested(Plan("inner", (wait,)))
    life.say(StartRun(run_id="o", plan=Plan("o", (wait,)), plan_id="w", params=b"\x80", blocking=False))
    life.say(ended("o.0", note=b"=r"))
    life.say(ended("r.0.0", note=b"=o"))
    assert "run 'o' waits for the end of this one" in failures(life)["r.0"]


def test_a_circle_of_runs_one_of_which_waits_for_a_time_only_goes_on() -> None:
    life = waiting("ab", span_us=1_000_000)
    life.say(ended("a.0", note=b"=b"))
    life.say(ended("b.0", note=b"=a"))
    assert set(life.state.runs) == {"a", "b"}
    assert not failures(life)


def test_a_run_as_a_step_whose_jobs_would_have_ids_too_long_to_be_read_again_fails_its_step() -> None:
    def begun(run_id: str) -> Life:
        life = Life(OUTER, ["ok"], Random(0))
        life.say(
            StartRun(
                run_id=run_id,
                plan=OUTER,
                plan_id="o",
                params=b"\x80",
                blocking=False,
                children=(("inner", INNER),),
            )
        )
        life.say(ended(f"{run_id}.0", note=b"=\x80"))
        return life

    assert set(begun("r" * 478).state.runs) == {"r" * 478, "r" * 478 + ".0"}
    life = begun("r" * 479)
    assert not life.state.runs
    assert "more than 480 characters" in failures(life)["r" * 479]


def child(plan_id: str) -> PlanStep:
    return PlanStep(plan_id, "", EMPTY_CALL, (), options=StepOptions(child=plan_id))


def some_plans(random: Random) -> dict[str, Plan]:
    """Plans of three workflows, several of each, whose steps are runs of those below."""
    plans = {f"c{n}": Plan("c", (PlanStep(f"x{n}", "m:f", EMPTY_CALL, ()),)) for n in range(3)}
    for name in "ba":
        below = sorted(plans)
        for n in range(3):
            steps = (child(each) for each in random.sample(below, 1))
            plans[f"{name}{n}"] = Plan(name, tuple(steps))
    return plans


@settings(max_examples=scaled("plans", 60))
@given(st.integers(0, 2**32))
def test_no_plan_is_forgotten_that_a_step_of_one_which_is_kept_needs(seed: int) -> None:
    random = Random(seed)
    plans = some_plans(random)

    def inside(plan_id: str) -> list[tuple[str, Plan]]:
        """The plans of the runs that its steps are, and theirs, each behind those that have it."""
        found = {plan_id: plans[plan_id]}
        for name in "bc":
            steps = [
                step.name for plan in found.values() for step in plan.steps if step.name.startswith(name)
            ]
            found |= {each: plans[each] for each in steps if each in plans}
        return [each for each in found.items() if each[0] != plan_id]

    life = Life(CHAIN, ["ok"], random)
    for number in range(40):
        plan_id = random.choice(sorted(plans))
        of = plans[plan_id]
        life.say(
            StartRun(
                run_id=f"r{number}",
                plan=of,
                plan_id=plan_id,
                params=b"\x80",
                blocking=False,
                children=tuple(inside(plan_id)),
            )
        )
        if random.random() < 0.9:
            life.say(CancelRun(run_id=f"r{number}"))
        needed = {each for graph in life.state.graphs.values() for each in graph.children}
        assert needed <= life.state.graphs.keys()
