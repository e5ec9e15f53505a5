"""The rules of workflows: which step's turn it is, what a failure stops, when a run is over."""

from __future__ import annotations

from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from actors.queue.messages import NOTE_VALUE, WORKFLOW, CancelOwned, EnqueueJobs, FunctionsKnown, JobEnded
from actors.runtime.errors import ConflictingIdError, InputError, InternalError, UnknownIdError
from actors.runtime.messages import Context, Decision, Message
from actors.workflow.checks import check_plan, is_index
from actors.workflow.jobs import owed_jobs
from actors.workflow.messages import (
    WORKFLOW_EVENTS,
    AdoptRun,
    CancelOwnedRun,
    CancelRun,
    CancelSettled,
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
    PlanRecorded,
    ProjectCreated,
    ProjectUpdated,
    ProjectView,
    ResumeRun,
    RunAdopted,
    RunCreated,
    RunForked,
    RunPaused,
    RunResumed,
    RunStatus,
    RunView,
    SessionClosed,
    SessionCreated,
    SessionStatus,
    SignalReceived,
    SignalRun,
    StartRun,
    StepStatus,
    UpdateProject,
    WorkflowDefined,
    WorkflowDeleted,
)
from actors.workflow.owned import tell_owner
from actors.workflow.progress import BATCH, Advance, ending_of
from actors.workflow.run import UNDO, Graph, Run, digest
from actors.workflow.state import SupervisorState
from actors.workflow.why import explain_run
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.runtime.messages import Event


ENDED = (StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED)
"""How a step has ended."""


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
        """End the steps whose run has ended, or whose time has come."""
        while state.answered:
            (run_id, step), (status, error) = next(iter(state.answered.items()))
            decision, advance = _advance(state, run_id, context)
            advance.run_ended(step, state.runs[run_id].extras.others[step], status, error)
            advance.conclude()
            _cancel_all(state, advance.orphans, context, decision)
            yield decision
        while state.timers and state.timers[0][0] <= context.now_us:
            _, run_id, step = state.timers[0]
            decision, advance = _advance(state, run_id, context)
            wait = state.runs[run_id].graph.options[step].wait
            assert wait is not None
            if wait.kind == "time":
                advance.completed(step, 0, context.now_us)
            else:
                what = "signal" if wait.kind == "signal" else "end of the run"
                advance.failed(step, 0, f"no {what} came within {wait.span_us / 1e6:g} s", context.now_us)
            advance.conclude()
            _cancel_all(state, advance.orphans, context, decision)
            yield decision

    def pending(self, state: SupervisorState, _context: Context, /) -> Decision:
        """Ask the queue again for everything without an outcome, and for every cancellation (R8)."""
        decision = Decision()
        jobs = (job for run in state.runs.values() for job in owed_jobs(run))
        while batch := tuple(islice(jobs, BATCH)):
            decision.tell("queue", EnqueueJobs(jobs=batch))
        for job_id in state.cancelling:
            decision.tell("queue", CancelOwned(job_id=job_id, owner=f"run:{job_id.rpartition('.')[0]}"))
        return decision

    def next_wake_us(self, state: SupervisorState, _context: Context, /) -> int | None:
        """Return when the first step has waited for long enough."""
        return state.timers[0][0] if state.timers else None


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
    session = state.sessions.get(message.session_id)
    if message.session_id and (session is None or session.status != SessionStatus.ACTIVE):
        msg = f"session {message.session_id!r} is {'not on record' if session is None else session.status}"
        raise InputError(msg)
    if message.project and message.project not in state.projects:
        msg = f"no project {message.project!r} on record"
        raise UnknownIdError(msg)
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
    run = Run(run_id, graph, message.params, message.session_id, message.project)
    if message.owner:
        run.extend().owner = message.owner
    if message.kept:
        decision.emit(RunForked(run_id, message.kept, now_us))
        run.keep(message.kept)
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
    for run_id, epoch in state.adoptable.get((message.workflow, message.params), {}).items():
        if epoch != context.epoch:
            decision.emit(RunAdopted(run_id, context.epoch, context.now_us))
            decision.answer(run_id)
            return


def _job_ended(state: SupervisorState, message: JobEnded, context: Context, decision: Decision) -> None:
    run_id, step, part = _place(message.job_id)
    if step < 0:
        return  # no step has such a job: whoever enqueued it made up an owner
    if message.job_id in state.cancelling:
        decision.emit(CancelSettled(run_id, step, part))
        return
    run = state.runs.get(run_id)
    if run is None or not run.owes(step, part):
        return  # said again: known
    advance = Advance(state, run, context, decision)
    advance.job_ended(step, part, message)
    advance.conclude()
    _cancel_all(state, advance.orphans, context, decision)


def _advance(state: SupervisorState, run_id: str, context: Context) -> tuple[Decision, Advance]:
    decision = Decision()
    return decision, Advance(state, state.runs[run_id], context, decision)


def _cancel(state: SupervisorState, message: CancelRun, context: Context, decision: Decision) -> None:
    run = state.runs.get(message.run_id)
    decision.answer(run is not None)
    if run is not None:
        _cancel_all(state, [run.run_id], context, decision)


def _cancel_owned(
    state: SupervisorState, message: CancelOwnedRun, context: Context, decision: Decision
) -> None:
    """Cancel a run unless it is ending anyway: what is done at the end is not to be cut off by a repetition."""
    run = state.runs.get(message.run_id)
    if run is None or run.extras.owner != message.owner:
        status = ending_of(state, message.run_id, context) or RunStatus.CANCELLED
        tell_owner(message.run_id, status, context.now_us, decision)
    elif not run.ending:
        _cancel_all(state, [run.run_id], context, decision)


def _cancel_all(state: SupervisorState, run_ids: Iterable[str], context: Context, decision: Decision) -> None:
    """Cancel live runs and, without recursion, the runs that their steps are."""
    stack = list(run_ids)
    while stack:
        run = state.runs.get(stack.pop())
        if run is not None:
            advance = Advance(state, run, context, decision)
            advance.cancel()
            stack += advance.orphans


def _live(state: SupervisorState, run_id: str) -> Run:
    run = state.runs.get(run_id)
    if run is None:
        msg = f"no run {run_id!r} is live: it has ended, or is not on record"
        raise UnknownIdError(msg)
    return run


def _family(state: SupervisorState, run: Run) -> Iterator[Run]:
    """Yield a run and, without recursion, the live runs that its steps are, and theirs."""
    stack = [run]
    while stack:
        run = stack.pop()
        yield run
        others = (run.extras.others[step] for step in run.extras.waits if run.graph.options[step].child)
        stack += (state.runs[other] for other in others if other in state.runs)


def _pause(state: SupervisorState, message: PauseRun, context: Context, decision: Decision) -> None:
    run = _live(state, message.run_id)
    if run.ending:
        msg = (
            f"run {message.run_id!r} is ending ({run.ending}): what is left cannot be paused, only cancelled"
        )
        raise InputError(msg)
    for each in _family(state, run):
        if not each.extras.paused and not each.ending:
            decision.emit(RunPaused(each.run_id, context.now_us))


def _resume(state: SupervisorState, message: ResumeRun, context: Context, decision: Decision) -> None:
    for each in _family(state, _live(state, message.run_id)):
        if each.extras.paused:
            decision.emit(RunResumed(each.run_id, context.now_us))
            Advance(state, each, context, decision).resume()


def _signal(state: SupervisorState, message: SignalRun, context: Context, decision: Decision) -> None:
    run = _live(state, message.run_id)
    named = (index for index, step in enumerate(run.graph.plan.steps) if step.name == message.step)
    step = next(named, -1)
    options = run.graph.options.get(step)
    if options is None or options.wait is None or options.wait.kind != "signal":
        msg = (
            f"run {message.run_id!r} of {run.workflow!r} has no step {message.step!r} that waits for a signal"
        )
        raise UnknownIdError(msg)
    before = run.extras.signals.get(step)
    if before is not None or run.steps[step] in ENDED:
        if before != digest(message.value):
            how = "got another value already" if before is not None else f"is {run.steps[step]}"
            msg = f"step {message.step!r} of run {message.run_id!r} {how}"
            raise InputError(msg)
        return
    decision.emit(SignalReceived(run.run_id, step, message.value, context.now_us), f"run:{run.run_id}")
    if run.steps[step] is StepStatus.WAITING:
        advance = Advance(state, run, context, decision)
        advance.completed(step, 0, context.now_us)
        advance.conclude()


def _get_run(state: SupervisorState, message: GetRun, _context: Context, decision: Decision) -> None:
    run = state.runs.get(message.run_id)
    decision.answer(None)
    if run is not None:
        steps = {step.name: str(status) for step, status in zip(run.graph.plan.steps, run.steps, strict=True)}
        decision.answer(RunView(run.run_id, run.workflow, run.status, steps))


def _get_runs(state: SupervisorState, _message: GetRuns, _context: Context, decision: Decision) -> None:
    decision.answer(tuple(state.runs))


def _get_totals(state: SupervisorState, _message: GetTotals, _context: Context, decision: Decision) -> None:
    decision.answer({str(status): state.totals.get(status, 0) for status in RunStatus})


# -- definitions, sessions, projects ---------------------------------------------------------------------------


def _define(state: SupervisorState, message: DefineWorkflow, context: Context, decision: Decision) -> None:
    if state.definitions.get(message.name) != message.definition:
        decision.emit(WorkflowDefined(message.name, message.definition, context.now_us))
    # Firings of schedules that could not be planned are tried again: now they may.
    decision.tell("queue", FunctionsKnown(functions=(f"{WORKFLOW}{message.name}",)))


def _delete(state: SupervisorState, message: DeleteWorkflow, context: Context, decision: Decision) -> None:
    there = message.name in state.definitions
    decision.answer(there)
    if there:
        decision.emit(WorkflowDeleted(message.name, context.now_us))


def _get_workflows(
    state: SupervisorState, _message: GetWorkflows, _context: Context, decision: Decision
) -> None:
    decision.answer(dict(state.definitions))


def _create_session(
    state: SupervisorState, message: CreateSession, context: Context, decision: Decision
) -> None:
    decision.answer(message.session_id)
    before = state.sessions.get(message.session_id)
    if before is None:
        decision.emit(SessionCreated(message.session_id, message.data, context.now_us))
    elif before.data != message.data:
        msg = f"session id {message.session_id!r} is on record for another session"
        raise ConflictingIdError(msg)


def _close_session(
    state: SupervisorState, message: CloseSession, context: Context, decision: Decision
) -> None:
    session = state.sessions.get(message.session_id)
    is_open = session is not None and session.status == SessionStatus.ACTIVE
    decision.answer(is_open)
    if is_open:
        decision.emit(SessionClosed(message.session_id, context.now_us))


def _get_session(state: SupervisorState, message: GetSession, _context: Context, decision: Decision) -> None:
    decision.answer(state.sessions.get(message.session_id))


def _create_project(
    state: SupervisorState, message: CreateProject, context: Context, decision: Decision
) -> None:
    project = state.projects.get(message.name)
    if project is None:
        created = ProjectCreated(
            message.name, message.kind, message.description, message.folder, context.now_us
        )
        decision.emit(created)
        project = ProjectView(
            message.name, message.kind, message.description, message.folder, "active", context.now_us, 0
        )
    decision.answer(project)


def _update_project(
    state: SupervisorState, message: UpdateProject, context: Context, decision: Decision
) -> None:
    project = state.projects.get(message.name)
    decision.answer(project is not None)
    if project is not None and project.status != message.status:
        decision.emit(ProjectUpdated(message.name, message.status, context.now_us))


def _get_projects(
    state: SupervisorState, _message: GetProjects, _context: Context, decision: Decision
) -> None:
    decision.answer(tuple(state.projects.values()))


def _unknown(_state: SupervisorState, message: Message, _context: Context, _decision: Decision) -> NoReturn:
    msg = f"the supervisor does not know what to do with {type(message).__name__}"
    raise InternalError(msg)


_RULES: Mapping[type[Message], Callable[[SupervisorState, Any, Context, Decision], None]] = MappingProxyType(
    {
        StartRun: _start,
        AdoptRun: _adopt,
        CancelRun: _cancel,
        CancelOwnedRun: _cancel_owned,
        PauseRun: _pause,
        ResumeRun: _resume,
        SignalRun: _signal,
        JobEnded: _job_ended,
        GetRun: _get_run,
        ExplainRun: explain_run,
        GetRuns: _get_runs,
        GetTotals: _get_totals,
        DefineWorkflow: _define,
        DeleteWorkflow: _delete,
        GetWorkflows: _get_workflows,
        CreateSession: _create_session,
        CloseSession: _close_session,
        GetSession: _get_session,
        CreateProject: _create_project,
        UpdateProject: _update_project,
        GetProjects: _get_projects,
    }
)
