"""The rules of workflows: given what happened, when something is said, then this follows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.folding import event_codec
from actors.queue.messages import CancelOwned, EnqueueJobs, JobEnded
from actors.queue.specs import Input, JobStatus
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.runtime.messages import Context, Decision, Event, Known, Message
from actors.workflow.decider import SupervisorRules
from actors.workflow.events import (
    CancelSettled,
    RunAdopted,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
)
from actors.workflow.jobs import step_job
from actors.workflow.messages import (
    AdoptRun,
    CancelRun,
    CloseSession,
    CreateProject,
    CreateSession,
    DefineWorkflow,
    DeleteWorkflow,
    GetRun,
    StartRun,
    UpdateProject,
)
from actors.workflow.session_state import FEW
from actors.workflow.specs import Plan, PlanStep, StepStatus
from actors.workflow.state import SupervisorState
from eventstore.records import Record

RULES = SupervisorRules()
CODEC = event_codec()
EMPTY_CALL = b"\x92\x90\x80"


def context(*, epoch: int = 1, known: dict[str, Known] | None = None) -> Context:
    return Context(1_000, epoch, 4, None, scheduling=True, known=known or {})


def plan(*needs: tuple[int, ...], workflow: str = "w") -> Plan:
    return Plan(workflow, tuple(PlanStep(f"s{i}", "m:f", EMPTY_CALL, need) for i, need in enumerate(needs)))


def start(of: Plan, run_id: str = "r", *, blocking: bool = True, **more: Any) -> StartRun:
    return StartRun(run_id=run_id, plan=of, plan_id=repr(of), params=b"\x80", blocking=blocking, **more)


def say(state: SupervisorState, message: Message, at: Context | None = None) -> Decision:
    """Decide, pass the events through the codec, take them in."""
    decision = RULES.decide(state, message, at or context())
    for event, _ in decision.events:
        payload = CODEC.encode(event)
        again = CODEC.decode(Record(event.entity, event.schema_version, "", "", payload))
        assert again == event
        state.evolve(again)
    return decision


def events(decision: Decision) -> list[Event]:
    return [event for event, _ in decision.events]


def kinds(decision: Decision) -> list[str]:
    return [type(event).__name__ for event in events(decision)]


def told(decision: Decision) -> list[str]:
    return [
        spec.job_id
        for _, message in decision.tells
        if isinstance(message, EnqueueJobs)
        for spec in message.jobs
    ]


def ended(step: int, status: str = "COMPLETED", error: str = "", run_id: str = "r") -> JobEnded:
    return JobEnded(job_id=f"{run_id}.{step}", status=status, error=error, attempts=1, ended_us=5)


def test_a_run_begins_with_the_steps_that_need_nothing() -> None:
    decision = say(SupervisorState(), start(plan((), (0,), ())))
    assert kinds(decision) == ["PlanRecorded", "RunCreated", "StepScheduled", "StepScheduled"]
    assert told(decision) == ["r.0", "r.2"]
    assert decision.reply == "r"


def test_a_run_without_steps_is_over_at_once() -> None:
    assert kinds(say(SupervisorState(), start(plan()))) == ["PlanRecorded", "RunCreated", "RunCompleted"]


def test_a_plan_is_recorded_once() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    assert "PlanRecorded" not in kinds(say(state, start(plan(()), "r2")))


def test_a_step_is_scheduled_when_the_last_that_it_needs_has_completed() -> None:
    state = SupervisorState()
    say(state, start(plan((), (), (0, 1))))
    assert kinds(say(state, ended(0))) == ["StepCompleted"]
    decision = say(state, ended(1))
    assert events(decision) == [StepCompleted("r", 1, 1, 5), StepScheduled("r", 2, 1_000)]
    assert told(decision) == ["r.2"]


def test_the_last_step_ends_the_run() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    assert events(say(state, ended(0))) == [StepCompleted("r", 0, 1, 5), RunCompleted("r", 1, 1_000)]
    assert not state.runs


def test_a_failure_skips_all_that_needed_it_and_the_rest_goes_on() -> None:
    state = SupervisorState()
    say(state, start(plan((), (0,), (1,), ())))
    decision = say(state, ended(0, "FAILED", "boom"))
    assert events(decision) == [
        StepFailed("r", 0, 1, "boom", 5),
        StepSkipped("r", 1, 0, 1_000, lost=True),
        StepSkipped("r", 2, 1, 1_000, lost=True),
    ]
    assert events(say(state, ended(3)))[-1] == RunFailed("r", 1, "step 's0' failed: boom", 1_000)


def test_an_end_that_is_told_again_changes_nothing() -> None:
    state = SupervisorState()
    say(state, start(plan((), (0,))))
    say(state, ended(0))
    assert not say(state, ended(0)).events
    assert not say(state, ended(0, "FAILED")).events
    assert not say(state, ended(0, run_id="unknown")).events


def test_the_same_start_again_is_answered_and_changes_nothing() -> None:
    state = SupervisorState()
    first = say(state, start(plan(())))
    assert (say(state, start(plan(()))).events, first.reply) == ([], "r")
    say(state, ended(0))
    assert not say(state, start(plan(()))).events
    state.forget(state.take_retired())
    known = {"run:r": Known((RunCreated("r", "w", repr(plan(())), b"\x80", True, 1, 0),))}
    assert not say(state, start(plan(())), context(known=known)).events
    assert tuple(RULES.lookups(state, start(plan(())))) == ("run:r",)


def test_another_run_under_the_same_id_is_a_conflict() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    before = state.dump()
    with pytest.raises(ConflictingIdError, match="run id 'r' is on record for another run"):
        say(state, start(plan((), ())))
    assert state.dump() == before


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        (((0,),), r"the steps \['s0'\] depend on each other in a circle"),
        (((1,), (0,), ()), r"the steps \['s0', 's1'\] depend on each other in a circle"),
        (((7,),), "step 's0' depends on step 7, of 1"),
    ],
)
def test_a_plan_that_is_no_graph_is_refused(needs: tuple[tuple[int, ...], ...], text: str) -> None:
    state = SupervisorState()
    with pytest.raises(InputError, match=text):
        say(state, start(plan(*needs)))
    assert not state.runs


def test_a_chain_of_ten_thousand_steps_fails_without_recursion() -> None:
    state = SupervisorState()
    say(state, start(plan((), *((index,) for index in range(9_999)))))
    decision = say(state, ended(0, "FAILED", "x"))
    assert kinds(decision).count("StepSkipped") == 9_999
    assert kinds(decision)[-1] == "RunFailed"


def test_what_is_owed_is_asked_for_again() -> None:
    state = SupervisorState()
    say(state, start(plan((), (), (0, 1))))
    say(state, ended(0))
    pending = RULES.pending(state, context())
    assert told(pending) == ["r.1"]
    assert not any(message.fresh for _, message in pending.tells if isinstance(message, EnqueueJobs))


def test_cancelling_ends_the_run_and_asks_the_queue_until_it_confirms() -> None:
    state = SupervisorState()
    say(state, start(plan((), (0,))))
    decision = say(state, CancelRun(run_id="r"))
    assert events(decision) == [
        StepCancelled("r", 0, 1_000),
        StepCancelled("r", 1, 1_000),
        RunCancelled("r", 1, 1_000),
    ]
    order = ("queue", CancelOwned(job_id="r.0", owner="run:r"))
    assert decision.tells == [order]
    assert RULES.pending(state, context()).tells == [order]
    assert events(say(state, ended(0, "CANCELLED"))) == [CancelSettled("r", 0)]
    assert not RULES.pending(state, context()).tells
    assert say(state, CancelRun(run_id="r")).reply is False


def test_a_run_that_its_process_left_is_adopted_once_the_oldest_first() -> None:
    state = SupervisorState()
    for run_id in ("r1", "r2"):
        say(state, start(plan(()), run_id))
    say(state, start(plan(()), "r3", blocking=False))
    adopt = AdoptRun(workflow="w", params=b"\x80")
    assert say(state, adopt).reply is None, "whoever waits for them is still there"
    later = context(epoch=2)
    assert say(state, adopt, later).reply == "r1"
    assert events(say(state, adopt, later)) == [RunAdopted("r2", 2, 1_000)]
    assert say(state, adopt, later).reply is None


def test_a_run_that_recovery_has_finished_is_adopted_too() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    say(state, ended(0), context(epoch=2))
    adopt = AdoptRun(workflow="w", params=b"\x80")
    assert say(state, adopt, context(epoch=2)).reply == "r"
    assert say(state, adopt, context(epoch=3)).reply is None
    assert not state.adoptable


def test_a_run_whose_caller_was_there_to_the_end_is_not_adopted() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    say(state, ended(0))
    assert say(state, AdoptRun(workflow="w", params=b"\x80"), context(epoch=2)).reply is None


def test_other_parameters_are_another_run() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    assert say(state, AdoptRun(workflow="w", params=b"\x81"), context(epoch=2)).reply is None


def test_the_inputs_of_a_step_name_the_jobs_they_come_from() -> None:
    state = SupervisorState()
    step = PlanStep("b", "m:f", EMPTY_CALL, (0,), (Input("x", "step", "0"), Input("y", "param", "year")))
    say(state, start(Plan("w", (PlanStep("a", "m:f", EMPTY_CALL, ()), step))))
    spec = step_job(state.runs["r"], 1)
    assert spec.inputs == (Input("x", "step", "r.0"), Input("y", "param", "year"))
    assert (spec.queue, spec.owner, spec.name) == ("@steps", "run:r", "w.b")


def test_definitions_are_recorded_when_they_change() -> None:
    state = SupervisorState()
    assert kinds(say(state, DefineWorkflow(name="w", definition=b"1"))) == ["WorkflowDefined"]
    assert kinds(say(state, DefineWorkflow(name="w", definition=b"1"))) == []
    assert kinds(say(state, DefineWorkflow(name="w", definition=b"2"))) == ["WorkflowDefined"]
    assert say(state, DeleteWorkflow(name="w")).reply is True
    assert say(state, DeleteWorkflow(name="w")).reply is False


def test_sessions_are_opened_closed_and_needed_open() -> None:
    state = SupervisorState()
    say(state, CreateSession(session_id="s", data=b"\x80"))
    assert not say(state, CreateSession(session_id="s", data=b"\x80")).events
    with pytest.raises(ConflictingIdError):
        say(state, CreateSession(session_id="s", data=b"\x81"))
    say(state, start(plan(()), session_id="s"))
    assert say(state, CloseSession(session_id="s")).reply is True
    assert say(state, CloseSession(session_id="s")).reply is False
    with pytest.raises(InputError, match="session 's' is COMPLETED"):
        say(state, start(plan(()), "r2", session_id="s"))
    with pytest.raises(InputError, match="session 'none' is not on record"):
        say(state, start(plan(()), "r2", session_id="none"))


def test_deadlines_of_closed_sessions_do_not_stay_in_memory_until_their_time_comes() -> None:
    state = SupervisorState()
    first = CreateSession(session_id="first", data=b"\x80", timeout_us=10**12)
    say(state, first)
    for number in range(2 * FEW):
        session_id = f"s{number}"
        say(state, msgspec.structs.replace(first, session_id=session_id))
        say(state, CloseSession(session_id=session_id))
    assert len(state.sessions.deadlines) <= FEW
    assert state.sessions.deadlines[0][1] == "first"


def test_projects_are_recorded_once_and_count_their_runs() -> None:
    state = SupervisorState()
    with pytest.raises(UnknownIdError, match="no project 'p'"):
        say(state, start(plan(()), project="p"))
    create = CreateProject(name="p", kind="custom", description="", folder="/x")
    assert say(state, create).reply.status == "active"
    assert not say(state, create).events
    say(state, start(plan(()), project="p"))
    assert state.projects["p"].runs == 1
    assert say(state, UpdateProject(name="p", status="done")).reply is True
    assert say(state, UpdateProject(name="q", status="done")).reply is False


# -- properties ----------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    size = draw(st.integers(1, 12))
    return [
        tuple(sorted(draw(st.sets(st.integers(0, index - 1), max_size=3)))) if index else ()
        for index in range(size)
    ]


def oracle(needs: list[tuple[int, ...]], failing: frozenset[int]) -> list[StepStatus]:
    """What each step comes to, said in a line."""
    result: list[StepStatus] = []
    for index, need in enumerate(needs):
        runs = all(result[other] is StepStatus.COMPLETED for other in need)
        result.append(
            (StepStatus.FAILED if index in failing else StepStatus.COMPLETED) if runs else StepStatus.SKIPPED
        )
    return result


@given(graphs(), st.sets(st.integers(0, 11)), st.randoms(use_true_random=False), st.booleans())
def test_any_graph_ends_as_the_oracle_says_in_any_order_and_over_restarts(
    needs: list[tuple[int, ...]], fails: set[int], random: Any, restarts: bool
) -> None:
    failing = frozenset(fails)
    state, log = SupervisorState(), []
    decision = say(state, start(plan(*needs)))
    log += events(decision)
    waiting = told(decision)
    final: dict[int, StepStatus] = {}
    while waiting:
        if restarts and random.random() < 0.3:
            state = RULES.restore(through_bytes(state.dump()))
            assert sorted(told(RULES.pending(state, context()))) == sorted(waiting)
        step = int(waiting.pop(random.randrange(len(waiting))).rpartition(".")[2])
        assert all(final.get(other) is StepStatus.COMPLETED for other in needs[step]), "topological"
        decision = say(state, ended(step, "FAILED" if step in failing else "COMPLETED", "x"))
        log += events(decision)
        waiting += told(decision)
        for event in events(decision):
            if isinstance(event, StepCompleted | StepFailed | StepSkipped):
                final[event.step] = STATUS[type(event)]
    assert [final[index] for index in range(len(needs))] == oracle(needs, failing)
    assert isinstance(log[-1], RunFailed if StepStatus.FAILED in final.values() else RunCompleted)
    assert say(state, GetRun(run_id="r")).reply is None
    again = SupervisorState()
    for event in log:
        again.evolve(event)
    assert again.dump() == state.dump()


STATUS: dict[Any, StepStatus] = {
    StepCompleted: StepStatus.COMPLETED,
    StepFailed: StepStatus.FAILED,
    StepSkipped: StepStatus.SKIPPED,
}


def through_bytes(image: Any) -> Any:
    """Pass an image through bytes, as a snapshot does."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(image))


def test_a_job_that_was_cancelled_fails_its_step() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    assert events(say(state, ended(0, JobStatus.CANCELLED)))[0] == StepFailed(
        "r", 0, 1, "its job was CANCELLED", 5
    )


def test_a_cancelled_run_is_adopted_by_nobody() -> None:
    state = SupervisorState()
    say(state, start(plan(())))
    say(state, CancelRun(run_id="r"), context(epoch=2))
    assert say(state, AdoptRun(workflow="w", params=b"\x80"), context(epoch=2)).reply is None
    assert not state.adoptable
