"""The rules of sessions and projects: places for runs, shares for their calls, and the end of a session's time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.messages import AddResource, EndShare, ReleaseAll
from actors.queue.specs import SHARE
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.runtime.messages import Decision
from actors.workflow.control import advanced, cancel_all
from actors.workflow.events import (
    ProjectCreated,
    ProjectUpdated,
    SessionClosed,
    SessionCreated,
    SessionReleased,
)
from actors.workflow.jobs import task_share
from actors.workflow.messages import ProjectView
from actors.workflow.session_state import GIVEN_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.messages import ShareEnded
    from actors.runtime.messages import Context
    from actors.workflow.messages import (
        CloseSession,
        CreateProject,
        CreateSession,
        GetProjects,
        GetSession,
        StartRun,
        UpdateProject,
    )
    from actors.workflow.state import SupervisorState

OVER = "its session's time is over"
CLOSED = "its session was closed before it had begun"


def check_place(state: SupervisorState, message: StartRun) -> None:
    """Refuse a run in a session that is not open, or under a project that is not there."""
    session_id = message.session_id
    if session_id and not state.sessions.is_open(session_id):
        there = state.sessions.views.get(session_id)
        msg = f"session {session_id!r} is {'not on record' if there is None else there.status}"
        raise InputError(msg)
    if message.project and message.project not in state.projects:
        msg = f"no project {message.project!r} on record"
        raise UnknownIdError(msg)


def _share(session_id: str, tasks: int, decision: Decision) -> None:
    """Tell the queue how many calls of a session may run at one time; told again, it changes nothing."""
    if tasks:
        decision.tell("queue", AddResource(task_share(session_id), "session", float(tasks)))


def settled(state: SupervisorState, context: Context) -> Iterator[Decision]:
    """End the sessions whose time is over, and begin, or cancel, the runs that need not wait for a place any more."""
    sessions = state.sessions
    while sessions.deadlines and sessions.deadlines[0][0] <= context.now_us:
        session_id = sessions.deadlines[0][1]
        decision = Decision()
        runs = list(sessions.live(session_id))
        _close(state, session_id, context, decision, "its time was over")
        cancel_all(state, runs, context, decision, OVER)
        yield decision
    while sessions.vacant:
        session_id = next(iter(sessions.vacant))
        run_id = sessions.first_held(session_id)
        decision, advance = advanced(state, run_id, context)
        if sessions.is_open(session_id):
            advance.admit()
        else:
            cancel_all(state, [run_id], context, decision, CLOSED)
        yield decision
    while sessions.done:
        session_id = next(iter(sessions.done))
        decision = Decision()
        decision.emit(SessionReleased(session_id, context.now_us))
        decision.tell("queue", EndShare(task_share(session_id), last=True))
        yield decision


def owed(state: SupervisorState, context: Context, decision: Decision) -> None:
    """Say again what the queue may not have heard: limits of calls, and what closed sessions held (R8)."""
    for session in state.sessions.limited():
        if not session.released:
            _share(session.session_id, session.tasks, decision)
        if not state.sessions.is_open(session.session_id):
            _end_share(session.session_id, decision, reason=session.reason, last=session.released > 0)
    for session_id in state.sessions.closed_under(context.epoch):
        decision.tell("queue", ReleaseAll(session_id))


def _close(
    state: SupervisorState, session_id: str, context: Context, decision: Decision, reason: str = ""
) -> None:
    decision.emit(SessionClosed(session_id, context.now_us, reason, context.epoch))
    decision.tell("queue", ReleaseAll(session_id))
    if state.sessions.views[session_id].tasks:
        _end_share(session_id, decision, reason=reason)


def _end_share(session_id: str, decision: Decision, *, reason: str, last: bool = False) -> None:
    """Tell the queue to take no more of a session's tasks on, and to cancel those that are not to go on."""
    decision.tell("queue", EndShare(task_share(session_id), running=bool(reason), last=last))


def share_ended(state: SupervisorState, message: ShareEnded, context: Context, decision: Decision) -> None:
    """Note that the queue has forgotten what the calls of a session shared."""
    session_id = message.name.removeprefix(SHARE)
    view = state.sessions.views.get(session_id)
    if view is not None and view.released == GIVEN_UP:
        decision.emit(SessionReleased(session_id, context.now_us, confirmed=True))


def create_session(
    state: SupervisorState, message: CreateSession, context: Context, decision: Decision
) -> None:
    """Open a session."""
    decision.answer(message.session_id)
    before = state.sessions.views.get(message.session_id)
    if before is None:
        created = SessionCreated(
            message.session_id,
            message.data,
            context.now_us,
            message.places,
            message.tasks,
            message.timeout_us,
        )
        decision.emit(created)
        _share(message.session_id, message.tasks, decision)
    elif before.data != message.data:
        msg = f"session id {message.session_id!r} is on record for another session"
        raise ConflictingIdError(msg)


def close_session(
    state: SupervisorState, message: CloseSession, context: Context, decision: Decision
) -> None:
    """Close a session."""
    is_open = state.sessions.is_open(message.session_id)
    decision.answer(is_open)
    if is_open:
        _close(state, message.session_id, context, decision)


def get_session(state: SupervisorState, message: GetSession, _context: Context, decision: Decision) -> None:
    """Answer how a session stands."""
    decision.answer(state.sessions.views.get(message.session_id))


def create_project(
    state: SupervisorState, message: CreateProject, context: Context, decision: Decision
) -> None:
    """Record a project."""
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


def update_project(
    state: SupervisorState, message: UpdateProject, context: Context, decision: Decision
) -> None:
    """Give a project a status."""
    project = state.projects.get(message.name)
    decision.answer(project is not None)
    if project is not None and project.status != message.status:
        decision.emit(ProjectUpdated(message.name, message.status, context.now_us))


def get_projects(
    state: SupervisorState, _message: GetProjects, _context: Context, decision: Decision
) -> None:
    """Answer which projects there are."""
    decision.answer(tuple(state.projects.values()))
