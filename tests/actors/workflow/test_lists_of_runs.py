"""A run for each item of a list: begun a few at a time, each ended once, stopped, paused and found again with it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.queue.messages import JobEnded, Obstacle
from actors.queue.specs import Input
from actors.runtime.messages import Message
from actors.workflow.events import ItemEnded, ItemWaiting, RunFailed
from actors.workflow.jobs import owed_jobs
from actors.workflow.messages import CancelRun, ExplainRun, PauseRun, ResumeRun, StartRun
from actors.workflow.specs import Plan, PlanStep, StepOptions
from actors.workflow.state import SupervisorState
from tests.actors.workflow.lives import EMPTY_CALL, RULES, Life, context
from tests.support.scale import scaled

INNER = Plan("inner", (PlanStep("x", "m:f", EMPTY_CALL, ()),))
ITEM = Input("", "ref-item-param", "xs")


def listed(count: int, *, parallel: int = 0, on_failure: str = "skip") -> Life:
    """A run with a run for each item of a list, and a step behind them; the list is counted."""
    options = StepOptions(mapped=True, child="inner", parallel=parallel, on_failure=on_failure)
    step = PlanStep("each", "", EMPTY_CALL, (), (ITEM,), options=options)
    plan = Plan("outer", (step, PlanStep("after", "m:f", EMPTY_CALL, (0,))))
    life = Life(plan, ["ok", "ok"], Random(0))
    children = (("inner", INNER),)
    life.say(StartRun(run_id="r", plan=plan, plan_id="o", params=b"\x80", blocking=False, children=children))
    end(life, "r.0", note=b"=%d" % count)
    return life


def end(life: Life, job_id: str, *, error: str = "", note: bytes = b"") -> None:
    """Let a job end, and whatever follows from that."""
    life.jobs.pop(job_id)
    status = "FAILED" if error else "COMPLETED"
    say(life, JobEnded(job_id=job_id, status=status, error=error, attempts=1, ended_us=5, note=note))


def say(life: Life, message: Message) -> None:
    life.say(message)
    for decision in RULES.settle(life.state, context()):
        life.take(decision)


def begin(life: Life, *items: int) -> None:
    for item in items:
        end(life, f"r.0:{item}", note=b"=\x80")


def events(life: Life, kind: type) -> Iterator[object]:
    return (event for decision in life.log for event in decision if isinstance(event, kind))


def test_runs_begin_a_few_at_a_time_and_the_step_ends_with_the_last() -> None:
    life = listed(3, parallel=2)
    begin(life, 0, 1)
    assert list(life.state.runs) == ["r", "r.0:0", "r.0:1"]
    assert set(life.jobs) == {"r.0:0.0", "r.0:1.0"}  # a run that has begun still is one of the two
    assert life.state.runs["r"].status == "WAITING"
    end(life, "r.0:1.0")
    assert set(life.jobs) == {"r.0:0.0", "r.0:2"}
    assert life.state.runs["r"].status == "RUNNING"
    begin(life, 2)
    end(life, "r.0:2.0")
    end(life, "r.0:0.0")
    assert [event.item for event in events(life, ItemEnded)] == [1, 2, 0]  # type: ignore[attr-defined]
    assert life.state.runs["r"].output(0) == ("runs", "3/r.0:")
    end(life, "r.1")
    assert not life.state.runs
    assert not life.state.awaited


def test_a_run_that_fails_fails_the_step_when_all_have_ended() -> None:
    life = listed(2)
    begin(life, 0, 1)
    end(life, "r.0:0.0", error="no")
    assert "r" in life.state.runs
    end(life, "r.0:1.0")
    assert [event.error for event in events(life, RunFailed)][-1] == (  # type: ignore[attr-defined]
        "step 'each' failed: 1 of 2 items failed; item 0: run r.0:0 is FAILED: step 'x' failed: no"
    )


def test_a_failure_that_stops_the_others_cancels_their_runs_and_jobs() -> None:
    life = listed(3, on_failure="stop")
    begin(life, 0, 1)
    end(life, "r.0:0.0", error="no")
    assert not life.state.runs
    assert not life.state.awaited
    assert set(life.state.cancelling) == {"r.0:1.0", "r.0:2"}


def test_cancelling_passes_on_to_each_run() -> None:
    life = listed(3)
    begin(life, 0, 2)
    say(life, CancelRun(run_id="r"))
    assert not life.state.runs
    assert not life.state.awaited
    assert set(life.state.cancelling) == {"r.0:0.0", "r.0:1", "r.0:2.0"}


def test_pausing_and_resuming_pass_on_to_each_run_and_to_those_that_are_found_out_meanwhile() -> None:
    life = listed(3, parallel=2)
    begin(life, 0)
    say(life, PauseRun(run_id="r"))
    begin(life, 1)
    assert {run.status for run in life.state.runs.values()} == {"PAUSED"}
    end(life, "r.0:0.0")
    assert not life.jobs  # nothing of the second run, and no third one
    say(life, ResumeRun(run_id="r"))
    assert set(life.jobs) == {"r.0:1.0", "r.0:2"}


def test_who_asks_is_told_which_runs_are_waited_for() -> None:
    life = listed(3)
    begin(life, 1)
    told = RULES.decide(life.state, ExplainRun(run_id="r"), context()).reply
    assert told[:2] == (
        Obstacle("items_running", "each", ("job:r.0:0", "job:r.0:2"), used=0, limit=3),
        Obstacle("step_awaits_run", "each", ("run:r.0:1",)),
    )


def test_the_end_of_one_of_its_runs_is_not_taken_in_twice() -> None:
    life = listed(2)
    begin(life, 0)
    life.say(JobEnded(job_id="r.0:0", status="COMPLETED", error="", attempts=1, ended_us=5, note=b"=\x80"))
    assert len(list(events(life, ItemWaiting))) == 1


@settings(max_examples=scaled("lists_of_runs", 40))
@given(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2**32))
def test_after_each_decision_the_state_that_is_read_back_owes_the_same_and_ends_alike(
    count: int, parallel: int, seed: int
) -> None:
    random = Random(seed)
    life = listed(count, parallel=parallel)
    while life.jobs:
        before = life.state
        life.state = SupervisorState.restore(before.dump())
        assert life.state.awaited == before.awaited
        assert [list(owed_jobs(run)) for run in life.state.runs.values()] == [
            list(owed_jobs(run)) for run in before.runs.values()
        ]
        job_id = random.choice(sorted(life.jobs))
        if job_id.startswith("r.0:") and job_id.count(".") == 1:
            begin(life, int(job_id.rpartition(":")[2]))
        else:
            end(life, job_id, error=random.choice(["", "", "no"]))
    assert not life.state.runs
    assert sorted(event.item for event in events(life, ItemEnded)) == list(range(count))  # type: ignore[attr-defined]


@pytest.mark.parametrize("then", ["end", "cancel"])
def test_the_end_of_a_run_that_was_written_alone_is_taken_in_after_a_restart(then: str) -> None:
    life = listed(1)
    begin(life, 0)
    life.jobs.pop("r.0:0.0")
    life.say(JobEnded(job_id="r.0:0.0", status="COMPLETED", error="", attempts=1, ended_us=5))
    assert life.state.answered
    life.state = SupervisorState.restore(life.state.dump())
    say(life, ResumeRun(run_id="r") if then == "end" else CancelRun(run_id="r"))
    assert list(life.state.runs) == (["r"] if then == "end" else [])
    assert not life.state.answered
