"""Runs of a schedule: begun once however often they are asked for, and every question about the end is answered."""

from __future__ import annotations

import msgspec
import pytest

from actors.queue.messages import CancelOwned
from actors.runtime.errors import ConflictingIdError
from actors.runtime.messages import Context, Decision, Known
from actors.workflow.events import RunCreated, RunFailed
from actors.workflow.messages import CancelOwnedRun, CancelRun, RunEnded, StartRun
from actors.workflow.specs import Plan, PlanStep, StepOptions
from actors.workflow.state import SupervisorState
from tests.actors.workflow.test_decider import EMPTY_CALL, context, ended, kinds, plan, say, start

OWNER = "schedule:nightly"
CANCEL = CancelOwnedRun(run_id="r", owner=OWNER)


def owned(of: Plan) -> StartRun:
    return start(of, blocking=False, owner=OWNER)


def heard(decision: Decision) -> list[tuple[str, str]]:
    """How the owner was told that which run has ended."""
    return [(said.run_id, said.status) for _, said in decision.tells if isinstance(said, RunEnded)]


def forgotten(*history: RunCreated | RunFailed) -> Context:
    """The context of a decision about a run that memory has forgotten."""
    return context(known={"run:r": Known(history)})


CREATED = RunCreated("r", "w", "p", b"\x80", blocking=False, epoch=1, at_us=0, owner=OWNER)


@pytest.mark.parametrize(("status", "error"), [("COMPLETED", ""), ("FAILED", "planned")])
def test_the_owner_is_told_of_the_end_whichever_it_is(status: str, error: str) -> None:
    state = SupervisorState()
    begun = say(state, owned(plan(())))
    assert heard(begun) == []
    assert heard(say(state, ended(0, status, error))) == [("r", status)]


def test_a_run_that_is_over_at_once_is_told_of_at_once() -> None:
    assert heard(say(SupervisorState(), owned(plan()))) == [("r", "COMPLETED")]


def test_a_run_that_is_nobodys_is_told_to_nobody() -> None:
    assert heard(say(SupervisorState(), start(plan()))) == []


def test_the_record_says_whose_it_is_and_belongs_to_its_story() -> None:
    state = SupervisorState()
    decision = say(state, owned(plan(())))
    (created, root) = decision.events[1]
    assert isinstance(created, RunCreated)
    assert (created.owner, root) == (OWNER, OWNER)
    image = msgspec.msgpack.decode(msgspec.msgpack.encode(state.dump()))
    assert heard(say(SupervisorState.restore(image), ended(0))) == [("r", "COMPLETED")]


def test_a_live_run_that_is_asked_for_again_is_the_one_that_goes_on_though_its_workflow_has_changed() -> None:
    state = SupervisorState()
    say(state, owned(plan(())))
    again = say(state, owned(plan((), (0,))))
    assert (kinds(again), heard(again)) == ([], [])
    assert len(state.runs["r"].steps) == 1


def test_an_ended_run_that_is_asked_for_again_is_told_of_again() -> None:
    state = SupervisorState()
    say(state, owned(plan()))
    again = say(state, owned(plan(())))
    assert (kinds(again), heard(again)) == ([], [("r", "COMPLETED")])


def test_so_is_one_that_memory_has_forgotten() -> None:
    history = forgotten(CREATED, RunFailed("r", 1, "broken", 7))
    again = say(SupervisorState(), owned(plan(())), history)
    assert (kinds(again), heard(again)) == ([], [("r", "FAILED")])


def test_an_owner_is_told_what_anybody_else_is_refused() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    decision = say(state, owned(plan(())))
    (told,) = [said for _, said in decision.tells if isinstance(said, RunEnded)]
    assert told.status == "FAILED"
    assert "on record for another run" in told.refusal
    with pytest.raises(ConflictingIdError):
        say(state, start(plan((), ())))


def test_a_cancelled_run_is_told_of_when_it_is_over() -> None:
    state = SupervisorState()
    say(state, owned(plan(())))
    cancelled = say(state, CANCEL)
    assert kinds(cancelled)[-1] == "RunCancelled"
    assert heard(cancelled) == [("r", "CANCELLED")]
    assert [said for _, said in cancelled.tells if isinstance(said, CancelOwned)]
    assert heard(say(state, CANCEL)) == [("r", "CANCELLED")]


def test_what_is_done_at_the_end_is_not_cut_off_by_asking_again_to_cancel() -> None:
    state = SupervisorState()
    last = StepOptions(last=True)
    of = Plan("w", (PlanStep("s", "m:f", EMPTY_CALL, ()), PlanStep("t", "m:f", EMPTY_CALL, (), options=last)))
    say(state, owned(of))
    assert "RunEnding" in kinds(say(state, CANCEL))
    for _ in range(2):
        again = say(state, CANCEL)
        assert (kinds(again), heard(again)) == ([], [])
    say(state, ended(0))
    assert heard(say(state, ended(1))) == [("r", "CANCELLED")]


def test_a_run_that_never_began_counts_as_cancelled() -> None:
    assert heard(say(SupervisorState(), CANCEL)) == [("r", "CANCELLED")]


def test_an_owner_does_not_cancel_the_run_of_another() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    decision = say(state, CANCEL)
    assert (kinds(decision), heard(decision)) == ([], [("r", "CANCELLED")])
    assert "r" in state.runs


def test_anybody_may_cancel_a_run_of_a_schedule_and_the_schedule_hears_of_it() -> None:
    state = SupervisorState()
    say(state, owned(plan(())))
    assert heard(say(state, CancelRun(run_id="r"))) == [("r", "CANCELLED")]
