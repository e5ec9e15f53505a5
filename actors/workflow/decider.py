"""The rules of workflows: which step's turn it is, what a failure stops, when a run is over."""

from __future__ import annotations

from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from actors.queue.messages import CancelOwned, EnqueueJobs, FunctionsKnown, JobEnded, ShareEnded
from actors.queue.specs import NOTE_VALUE, WORKFLOW
from actors.runtime.errors import ConflictingIdError, InputError, InternalError
from actors.runtime.messages import Context, Decision, Message
from actors.runtime.spans import span_text
from actors.workflow import control, sessions
from actors.workflow.checks import check_plan, is_index
from actors.workflow.control import advanced, cancel_all
from actors.workflow.endings import ending_of
from actors.workflow.events import (
    WORKFLOW_EVENTS,
    CancelSettled,
    PlanRecorded,
    RunAdopted,
    RunCreated,
    RunForked,
    RunHeld,
    WorkflowDefined,
    WorkflowDeleted,
)
from actors.workflow.jobs import owed_jobs
from actors.workflow.messages import (
    AdoptRun,
    CancelOwnedRun,
    CancelRun,
    CloseSession,
    CreateProject,
    CreateSession,
    DefineWorkflow,
    DeleteWorkflow,
    ExplainRun,
    GetProjects,
    GetRun,
    GetRuns,
    GetSession,
    GetTotals,
    GetWorkflows,
    PauseRun,
    ResumeRun,
    RunView,
    SignalRun,
    StartRun,
    UpdateProject,
)
from actors.workflow.owned import tell_owner
from actors.workflow.progress import BATCH, Advance
from actors.workflow.run import UNDO, Graph
from actors.workflow.sessions import check_place
from actors.workflow.specs import RunStatus
from actors.workflow.state import SupervisorState
from actors.workflow.why import explain_run
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.runtime.messages import Event


class SupervisorRules:
    """The rules of the workflow supervisor."""

    name = "supervisor"
    events: tuple[type[Event], ...] = WORKFLOW_EVENTS

    def initial(self) -> SupervisorState:
        """Return the state before the first event."""
        return SupervisorState()

    def restore(self, image: Any, /) -> SupervisorState:
        """Return the state whose `dump` was `image`."""
        return SupervisorState.restore(image)

    def lookups(self, state: SupervisorState, message: Message, /) -> Iterable[str]:
        """A run's id may have been used by a run that memory has forgotten."""
        if isinstance(message, StartRun | CancelOwnedRun):
            return (f"run:{message.run_id}",) if message.run_id not in state.runs else ()
        if type(message) is JobEnded and message.note.startswith(NOTE_VALUE):
            return tuple(_named(state, message))
        return ()

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        """Decide on one message; a refusal is raised and changes nothing."""
        decision = Decision()
        _RULES.get(type(message), _unknown)(state, message, context, decision)
        return decision

    def settle(self, state: SupervisorState, context: Context, /) -> Iterator[Decision]:
        """End the steps whose run has ended, or whose time has come, until no other end follows from that."""
        while True:
            yield from _runs_ended(state, context)
            yield from _times_come(state, context)
            yield from sessions.settled(state, context)
            if not state.answered:
                return

    def pending(self, state: SupervisorState, context: Context, /) -> Decision:
        """Ask the queue again for everything without an outcome, and for every cancellation (R8)."""
        decision = Decision()
        sessions.owed(state, context, decision)
        jobs = (job for run in state.runs.values() for job in owed_jobs(run))
        while batch := tuple(islice(jobs, BATCH)):
            decision.tell("queue", EnqueueJobs(jobs=batch))
        for job_id in state.cancelling:
            decision.tell("queue", CancelOwned(job_id=job_id, owner=f"run:{job_id.rpartition('.')[0]}"))
        return decision

    def next_wake_us(self, state: SupervisorState, _context: Context, /) -> int | None:
        """Return when the first step has waited for long enough, or the first session's time is over."""
        heads = [heap[0][0] for heap in (state.timers, state.sessions.deadlines) if heap]
        return min(heads, default=None)


def _runs_ended(state: SupervisorState, context: Context) -> Iterator[Decision]:
    """End the steps whose run has ended."""
    while state.answered:
        (run_id, step, item), (status, error) = next(iter(state.answered.items()))
        decision, advance = advanced(state, run_id, context)
        advance.run_ended(step, item, status, error)
        advance.conclude()
        cancel_all(state, advance.orphans, context, decision)
        yield decision


def _times_come(state: SupervisorState, context: Context) -> Iterator[Decision]:
    """End the steps that have waited for as long as they may."""
    while state.timers and state.timers[0][0] <= context.now_us:
        _, run_id, step = state.timers[0]
        decision, advance = advanced(state, run_id, context)
        wait = state.runs[run_id].graph.options[step].wait
        assert wait is not None
        if wait.kind == "time":
            advance.completed(step, 0, context.now_us)
        else:
            what = "signal" if wait.kind == "signal" else "end of the run"
            advance.failed(step, 0, f"no {what} came within {span_text(wait.span_us)}", context.now_us)
        advance.conclude()
        cancel_all(state, advance.orphans, context, decision)
        yield decision


def _named(state: SupervisorState, message: JobEnded) -> Iterator[str]:
    """Yield the run that a step is to wait for, or to be, unless it is live."""
    run_id, step, _ = _place(message.job_id)
    run = state.runs.get(run_id)
    options = None if run is None else run.graph.options.get(step)
    if options is not None and (options.child or options.wait is not None):
        value = message.note.removeprefix(NOTE_VALUE)
        other = message.job_id if options.child else value.decode()
        if other and other not in state.runs:
            yield f"run:{other}"


def _place(job_id: str) -> tuple[str, int, str]:
    """Return the run, the step (-1: none) and the part that a job's id names."""
    run_id, _, text = job_id.rpartition(".")
    step, _, part = text.partition(":")
    if not is_index(step) or not (part in {"", UNDO} or is_index(part)):
        return run_id, -1, ""
    return run_id, int(step), part


# -- runs ------------------------------------------------------------------------------------------------------


def _start(state: SupervisorState, message: StartRun, context: Context, decision: Decision) -> None:
    """Begin a run; an owner hears nothing of a refusal that is raised, so it is told."""
    decision.answer(message.run_id)
    try:
        if not _is_repeated(state, message, context):
            _begin(state, message, context, decision)
        elif message.owner and (status := ending_of(state, message.run_id, context)) is not None:
            tell_owner(message.run_id, status, context.now_us, decision)
    except LogisticsError as refusal:
        if not message.owner:
            raise
        tell_owner(message.run_id, RunStatus.FAILED, context.now_us, decision, str(refusal))


def _begin(state: SupervisorState, message: StartRun, context: Context, decision: Decision) -> None:
    plan = message.plan
    _check_start(state, message)
    check_place(state, message)
    run_id, now_us = message.run_id, context.now_us
    graph = _record_plans(state, message, decision)
    decision.emit(
        RunCreated(
            run_id,
            plan.workflow,
            message.plan_id,
            message.params,
            message.blocking,
            context.epoch,
            now_us,
            message.session_id,
            message.project,
            origin=message.origin,
            owner=message.owner,
        ),
        message.owner,
    )
    run = state.new_run(run_id, graph, message.params, message.session_id, message.project)
    if message.owner:
        run.extend().owner = message.owner
    if message.kept:
        decision.emit(RunForked(run_id, message.kept, now_us))
        run.keep(message.kept)
    if message.session_id and state.sessions.is_full(message.session_id):
        decision.emit(RunHeld(run_id, now_us))
        return
    Advance(state, run, context, decision).begin()


def _record_plans(state: SupervisorState, message: StartRun, decision: Decision) -> Graph:
    """Record the plan of a run, and those of the runs that its steps are, unless memory has them."""
    graph = state.graphs.get(message.plan_id)
    if graph is None:
        for plan_id, plan in ((message.plan_id, message.plan), *message.children):
            if plan_id not in state.graphs:
                decision.emit(PlanRecorded(plan_id, plan), f"run:{message.run_id}")
        graph = Graph(message.plan_id, message.plan)
    return graph


def _check_start(state: SupervisorState, message: StartRun) -> None:
    """Refuse what is no graph, or has a run as a step whose plan is not there, or keeps what is no step."""
    plans = dict(message.children)
    known = message.plan_id in state.graphs  # it was checked before
    for plan in () if known else (message.plan, *plans.values()):
        check_plan(plan)
        for step in plan.steps:
            if step.options is not None and step.options.child and step.options.child not in plans:
                msg = f"step {step.name!r} is a run of plan {step.options.child!r}, which is not given"
                raise InputError(msg)
    if len({kept.step for kept in message.kept}) < len(message.kept) or not all(
        0 <= kept.step < len(message.plan.steps) for kept in message.kept
    ):
        msg = f"kept: expected steps of a plan of {len(message.plan.steps)}, each once, got {message.kept}"
        raise InputError(msg)


def _is_repeated(state: SupervisorState, message: StartRun, context: Context) -> bool:
    """Return whether a run was begun before; an owner's is the one that it was first begun as."""
    run = state.runs.get(message.run_id)
    if run is not None and message.owner:
        same = run.extras.owner == message.owner
    elif run is not None:
        same = (run.graph.plan_id, run.params) == (message.plan_id, message.params)
    elif message.run_id in state.retired:
        return True
    else:
        known = context.known.get(f"run:{message.run_id}")
        if known is None:
            return False
        first = known.history[0]
        same = isinstance(first, RunCreated) and (
            first.owner == message.owner
            if message.owner
            else (first.plan_id, first.params) == (message.plan_id, message.params)
        )
    if not same:
        msg = f"run id {message.run_id!r} is on record for another run"
        raise ConflictingIdError(msg)
    return True


def _adopt(state: SupervisorState, message: AdoptRun, context: Context, decision: Decision) -> None:
    key = (message.workflow, message.params, message.session_id, message.project)
    for run_id, epoch in state.adoptable.get(key, {}).items():
        if epoch != context.epoch:
            decision.emit(RunAdopted(run_id, context.epoch, context.now_us))
            decision.answer(run_id)
            return


def _job_ended(state: SupervisorState, message: JobEnded, context: Context, decision: Decision) -> None:
    run_id, step, part = _place(message.job_id)
    if step < 0:
        return  # no step has such a job: whoever enqueued it made up an owner
    run = state.runs.get(run_id)
    if message.job_id in state.cancelling:
        if run is None or part or not run.is_undone_at_end(step):
            decision.emit(CancelSettled(run_id, step, part))
        else:
            Advance(state, run, context, decision).settled(step, message)
        return
    if run is None or not run.owes(step, part):
        return  # said again: known
    advance = Advance(state, run, context, decision)
    advance.job_ended(step, part, message)
    advance.conclude()
    cancel_all(state, advance.orphans, context, decision)


def _get_run(state: SupervisorState, message: GetRun, _context: Context, decision: Decision) -> None:
    run = state.runs.get(message.run_id)
    decision.answer(None)
    if run is not None:
        steps = {step.name: str(status) for step, status in zip(run.graph.plan.steps, run.steps, strict=True)}
        decision.answer(RunView(run.run_id, run.workflow, run.status, steps, tuple(run.owed())))


def _get_runs(state: SupervisorState, _message: GetRuns, _context: Context, decision: Decision) -> None:
    decision.answer(tuple(state.runs))


def _get_totals(state: SupervisorState, _message: GetTotals, _context: Context, decision: Decision) -> None:
    decision.answer({str(status): state.totals.get(status, 0) for status in RunStatus})


# -- definitions ---------------------------------------------------------------------------


def _define(state: SupervisorState, message: DefineWorkflow, context: Context, decision: Decision) -> None:
    function = f"{WORKFLOW}{message.name}"
    if state.definitions.get(message.name) != message.definition:
        decision.emit(WorkflowDefined(message.name, message.definition, context.now_us))
        function = WORKFLOW  # whatever has it as a step may have waited for it
    # Firings of schedules that could not be planned are tried again: now they may.
    decision.tell("queue", FunctionsKnown(functions=(function,)))


def _delete(state: SupervisorState, message: DeleteWorkflow, context: Context, decision: Decision) -> None:
    there = message.name in state.definitions
    decision.answer(there)
    if there:
        decision.emit(WorkflowDeleted(message.name, context.now_us))


def _get_workflows(
    state: SupervisorState, _message: GetWorkflows, _context: Context, decision: Decision
) -> None:
    decision.answer(dict(state.definitions))


def _unknown(_state: SupervisorState, message: Message, _context: Context, _decision: Decision) -> NoReturn:
    msg = f"the supervisor does not know what to do with {type(message).__name__}"
    raise InternalError(msg)


_RULES: Mapping[type[Message], Callable[[SupervisorState, Any, Context, Decision], None]] = MappingProxyType(
    {
        StartRun: _start,
        AdoptRun: _adopt,
        CancelRun: control.cancel,
        CancelOwnedRun: control.cancel_owned,
        PauseRun: control.pause,
        ResumeRun: control.resume,
        SignalRun: control.signal,
        JobEnded: _job_ended,
        GetRun: _get_run,
        ExplainRun: explain_run,
        GetRuns: _get_runs,
        GetTotals: _get_totals,
        DefineWorkflow: _define,
        DeleteWorkflow: _delete,
        GetWorkflows: _get_workflows,
        CreateSession: sessions.create_session,
        CloseSession: sessions.close_session,
        GetSession: sessions.get_session,
        ShareEnded: sessions.share_ended,
        CreateProject: sessions.create_project,
        UpdateProject: sessions.update_project,
        GetProjects: sessions.get_projects,
    }
)
