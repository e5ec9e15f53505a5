"""A step that had succeeded when its run was cancelled is undone, whenever the word of it comes."""

from __future__ import annotations

from random import Random

import pytest

from actors.queue.messages import CancelOwned, EnqueueJobs
from actors.queue.specs import NOTE_SKIP, NOTE_VALUE, Input
from actors.workflow.events import CancelSettled, RunEnding
from actors.workflow.messages import CancelRun, PauseRun, ResumeRun
from actors.workflow.specs import Plan, PlanStep, StepOptions
from actors.workflow.state import SupervisorState
from tests.actors.workflow.lives import EMPTY_CALL, RULES, Life, context
from tests.actors.workflow.test_races import ended, nested

UNDONE = StepOptions(compensate="m:g", compensate_inputs=(Input("booking", "step", "0"),))
BOOK = PlanStep("book", "m:f", EMPTY_CALL, (), options=UNDONE)
OTHER = StepOptions(compensate="m:g")
CANCEL = CancelRun(run_id="r")


def life_of(*steps: PlanStep) -> Life:
    life = Life(Plan("w", steps), ["ok"] * len(steps), Random(0))
    life.start()
    return life


def undone(life: Life) -> list[int]:
    """The steps that were compensated, in this order."""
    return [
        event.step  # type: ignore[attr-defined]
        for events in life.log
        for event in events
        if type(event).__name__ == "UndoScheduled"
    ]


def test_a_step_that_had_succeeded_when_its_run_was_cancelled_is_undone_with_its_output() -> None:
    life = life_of(BOOK)
    life.say(CANCEL)
    assert life.state.runs, "its end has to wait for the queue's word"
    decision = RULES.decide(life.state, ended("r.0"), context())
    assert decision.events[0][0] == CancelSettled("r", 0, succeeded=True)
    life.take(decision)
    (asked,) = [message for _, message in decision.tells if isinstance(message, EnqueueJobs)]
    assert asked.jobs[0].inputs == (Input("booking", "step", "r.0"),)
    life.play()
    assert life.ends() == ({0: "CANCELLED"}, "CANCELLED")
    assert undone(life) == [0]


@pytest.mark.parametrize(
    ("status", "note"),
    [("CANCELLED", b""), ("FAILED", b""), ("COMPLETED", NOTE_SKIP), ("COMPLETED", NOTE_VALUE + b"3")],
)
def test_one_that_had_not_is_not(status: str, note: bytes) -> None:
    life = life_of(BOOK)
    life.say(CANCEL)
    life.say(ended("r.0", status, note))
    assert life.ends() == ({0: "CANCELLED"}, "CANCELLED")
    assert not undone(life)


def test_what_succeeded_last_is_undone_first_though_the_word_of_it_came_last() -> None:
    life = life_of(BOOK, PlanStep("pay", "m:f", EMPTY_CALL, (0,), options=OTHER))
    life.end("r.0")
    life.say(CANCEL)
    assert not undone(life)
    life.say(ended("r.1"))
    life.play()
    assert undone(life) == [1, 0]


def test_the_end_waits_for_every_word_and_finally_steps_wait_for_what_is_undone() -> None:
    tidy = PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True))
    life = life_of(BOOK, PlanStep("seat", "m:f", EMPTY_CALL, (), options=OTHER), tidy)
    life.say(CANCEL)
    life.say(ended("r.1"))
    assert not life.jobs
    life.say(ended("r.0", "CANCELLED"))
    assert list(life.jobs) == ["r.1:undo"]
    life.end("r.1:undo")
    assert list(life.jobs) == ["r.2"]
    life.play()
    assert life.ends() == ({0: "CANCELLED", 1: "CANCELLED", 2: "COMPLETED"}, "CANCELLED")


def test_the_failure_that_stops_everything_undoes_what_had_succeeded_too() -> None:
    life = life_of(BOOK, PlanStep("check", "m:f", EMPTY_CALL, (), options=StepOptions(on_failure="stop")))
    life.say(ended("r.1", "FAILED"))
    life.say(ended("r.0"))
    life.play()
    assert (undone(life), life.ends()[1]) == ([0], "FAILED")


@pytest.mark.parametrize("status", ["COMPLETED", "CANCELLED"])
def test_a_paused_run_hears_the_word_and_goes_on_when_it_may(status: str) -> None:
    life = life_of(BOOK, PlanStep("check", "m:f", EMPTY_CALL, (), options=StepOptions(on_failure="stop")))
    life.say(PauseRun(run_id="r"))
    life.say(ended("r.1", "FAILED"))
    life.say(ended("r.0", status))
    if life.state.runs:
        life.say(ResumeRun(run_id="r"))
    life.play()
    assert (undone(life), life.ends()[1]) == ([0] if status == "COMPLETED" else [], "FAILED")


def test_a_run_that_completes_all_the_same_undoes_nothing_and_waits_for_no_word() -> None:
    check = StepOptions(on_failure="stop", required=False)
    life = life_of(BOOK, PlanStep("check", "m:f", EMPTY_CALL, (), options=check))
    life.say(ended("r.1", "FAILED"))
    assert life.ends()[1] == "COMPLETED"
    life.say(ended("r.0"))
    assert not undone(life)
    assert not life.state.cancelling


def test_cancelling_again_before_the_word_has_come_cuts_off_nothing() -> None:
    life = life_of(BOOK)
    life.say(CANCEL)
    assert not RULES.decide(life.state, CANCEL, context()).events
    life.say(ended("r.0"))
    life.say(ended("r.0"))  # the queue was asked twice
    assert undone(life) == [0]
    life.say(CANCEL)
    assert life.ends()[1] == "CANCELLED", "what is cancelled then is what undoes it"


def test_after_a_crash_at_any_moment_the_queue_is_asked_again_and_the_step_is_undone() -> None:
    life = life_of(BOOK, PlanStep("pay", "m:f", EMPTY_CALL, (0,), options=OTHER))
    life.end("r.0")
    life.say(CANCEL)
    crashed = life.crashed_after(len(life.log))
    asked = [said for _, said in RULES.pending(crashed.state, context()).tells]
    assert asked == [CancelOwned(job_id="r.1", owner="run:r")]
    crashed.say(ended("r.1"))
    again = crashed.crashed_after(len(crashed.log))
    assert list(again.jobs) == ["r.1:undo"]
    again.play()
    assert undone(again) == [1, 0]
    assert again.ends()[1] == "CANCELLED"


def test_the_end_of_a_parent_does_not_cut_off_what_a_run_that_is_its_step_undoes() -> None:
    fails = PlanStep("fails", "m:f", EMPTY_CALL, (0,))
    life = nested(Plan("inner", (BOOK, fails)))
    life.say(ended("r.0.0"))
    life.say(ended("r.0.1", "FAILED"))
    assert any(isinstance(event, RunEnding) for event in life.log[-1])
    life.say(CANCEL)
    assert set(life.state.runs) == {"r.0"}
    life.say(ended("r.0.0:undo"))
    assert undone(life) == [0]
    assert not life.state.runs


def test_the_word_of_a_log_from_before_finally_steps_had_begun_undoes_the_step_beside_them() -> None:
    """Runs did not wait for it once: such a word may come while finally steps are under way."""
    tidy = PlanStep("tidy", "m:f", EMPTY_CALL, (), options=StepOptions(last=True))
    life = life_of(BOOK, tidy)
    life.say(CANCEL)
    life.say(ended("r.0", "CANCELLED"))
    life.state.cancelling["r.0"] = None
    life.state = SupervisorState.restore(life.state.dump())
    life.say(ended("r.0"))
    assert set(life.jobs) == {"r.1", "r.0:undo"}
    life.play()
    assert life.ends()[1] == "CANCELLED"
