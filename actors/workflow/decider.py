"""The rules of workflows: which step's turn it is, what a failure stops, when a run is over."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from actors.queue.messages import NOTE_SKIP, CancelOwned, EnqueueJobs, JobEnded, JobStatus
from actors.runtime.errors import ConflictingIdError, InputError, InternalError, UnknownIdError
from actors.runtime.messages import Context, Decision, Message
from actors.workflow.checks import check_plan, is_index
from actors.workflow.messages import (
    WORKFLOW_EVENTS,
    AdoptRun,
    CancelRun,
    CancelSettled,
    CloseSession,
    CreateProject,
    CreateSession,
    DefineWorkflow,
    DeleteWorkflow,
    GetProjects,
    GetRun,
    GetRuns,
    GetSession,
    GetTotals,
    GetWorkflows,
    PlanRecorded,
    ProjectCreated,
    ProjectUpdated,
    ProjectView,
    RunAdopted,
    RunCreated,
    RunStatus,
    RunView,
    SessionClosed,
    SessionCreated,
    SessionStatus,
    StartRun,
    StepStatus,
    UpdateProject,
    WorkflowDefined,
    WorkflowDeleted,
)
from actors.workflow.progress import Advance, step_job
from actors.workflow.state import Graph, Run, SupervisorState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
        if type(message) is StartRun and message.run_id not in state.runs:
            return (f"run:{message.run_id}",)
        return ()

    def decide(self, state: SupervisorState, message: Message, context: Context, /) -> Decision:
        """Decide on one message; a refusal is raised and changes nothing."""
        decision = Decision()
        _RULES.get(type(message), _unknown)(state, message, context, decision)
        return decision

    def settle(self, _state: SupervisorState, _context: Context, /) -> Iterable[Decision]:
        """Nothing follows from the state alone: each step's end says what comes next."""
        return ()

    def pending(self, state: SupervisorState, _context: Context, /) -> Decision:
        """Ask the queue again for everything without an outcome, and for every cancellation (R8)."""
        decision = Decision()
        specs = tuple(
            step_job(run, step)
            for run in state.runs.values()
            for step, status in enumerate(run.steps)
            if status is StepStatus.RUNNING
        )
        if specs:
            decision.tell("queue", EnqueueJobs(jobs=specs))
        for job_id in state.cancelling:
            decision.tell("queue", CancelOwned(job_id=job_id, owner=f"run:{job_id.rpartition('.')[0]}"))
        return decision

    def next_wake_us(self, _state: SupervisorState, _context: Context, /) -> int | None:
        """No step waits for a time by itself; its job does."""
        return None


# -- runs ------------------------------------------------------------------------------------------------------


def _start(state: SupervisorState, message: StartRun, context: Context, decision: Decision) -> None:
    decision.answer(message.run_id)
    if _is_repeated(state, message, context):
        return
    plan = message.plan
    check_plan(plan)
    session = state.sessions.get(message.session_id)
    if message.session_id and (session is None or session.status != SessionStatus.ACTIVE):
        msg = f"session {message.session_id!r} is {'not on record' if session is None else session.status}"
        raise InputError(msg)
    if message.project and message.project not in state.projects:
        msg = f"no project {message.project!r} on record"
        raise UnknownIdError(msg)
    run_id, now_us = message.run_id, context.now_us
    graph = state.graphs.get(message.plan_id)
    if graph is None:
        graph = Graph(message.plan_id, plan)
        decision.emit(PlanRecorded(message.plan_id, plan), f"run:{run_id}")
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
        )
    )
    Advance(Run(run_id, graph, message.params), context, decision).begin()


def _is_repeated(state: SupervisorState, message: StartRun, context: Context) -> bool:
    run = state.runs.get(message.run_id)
    if run is not None:
        same = (run.graph.plan_id, run.params) == (message.plan_id, message.params)
    elif message.run_id in state.retired:
        return True
    else:
        known = context.known.get(f"run:{message.run_id}")
        if known is None:
            return False
        first = known.history[0]
        same = isinstance(first, RunCreated) and (first.plan_id, first.params) == (
            message.plan_id,
            message.params,
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
    run_id, _, text = message.job_id.rpartition(".")
    if not is_index(text):
        return  # no step has such a job: whoever enqueued it made up an owner
    step = int(text)
    if message.job_id in state.cancelling:
        decision.emit(CancelSettled(run_id, step))
        return
    run = state.runs.get(run_id)
    if run is None or step >= len(run.steps) or run.steps[step] is not StepStatus.RUNNING:
        return  # said again: known
    advance = Advance(run, context, decision)
    if message.status != JobStatus.COMPLETED:
        error = message.error or f"its job was {message.status}"
        advance.failed(step, message.attempts, error, message.ended_us)
    elif message.note == NOTE_SKIP:
        advance.skipped(step, because=step)
    else:
        advance.completed(step, message.attempts, message.ended_us)
    advance.conclude()


def _cancel(state: SupervisorState, message: CancelRun, context: Context, decision: Decision) -> None:
    run = state.runs.get(message.run_id)
    decision.answer(run is not None)
    if run is not None:
        Advance(run, context, decision).cancel()


def _get_run(state: SupervisorState, message: GetRun, _context: Context, decision: Decision) -> None:
    run = state.runs.get(message.run_id)
    if run is not None:
        steps = {step.name: str(status) for step, status in zip(run.graph.plan.steps, run.steps, strict=True)}
        decision.answer(RunView(run.run_id, run.workflow, RunStatus.RUNNING, steps))


def _get_runs(state: SupervisorState, _message: GetRuns, _context: Context, decision: Decision) -> None:
    decision.answer(tuple(state.runs))


def _get_totals(state: SupervisorState, _message: GetTotals, _context: Context, decision: Decision) -> None:
    decision.answer({str(status): state.totals.get(status, 0) for status in RunStatus})


# -- definitions, sessions, projects ---------------------------------------------------------------------------


def _define(state: SupervisorState, message: DefineWorkflow, context: Context, decision: Decision) -> None:
    if state.definitions.get(message.name) != message.definition:
        decision.emit(WorkflowDefined(message.name, message.definition, context.now_us))


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
        JobEnded: _job_ended,
        GetRun: _get_run,
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
