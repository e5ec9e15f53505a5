"""The groups `session` and `project`: within what runs and jobs are, and under what they are recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.runtime.errors import InputError, UnknownIdError
from actors.workflow.messages import GetProjects, GetSession
from logistics.audit.store_reader import StoreReader
from logistics.cli.opening import open_existing
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import say_done, show
from logistics.orchestration.project_manager import ProjectManager, read_project
from logistics.orchestration.session import INSTANTS, SessionMode, read_session

if TYPE_CHECKING:
    from actors.workflow.messages import SessionView

SESSIONS = ("session_id", "name", "user_id", "status", "created_at", "completed_at", "reason")
PROJECTS = ("project", "type", "status", "runs", "created_at", "description", "folder")
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="The session.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="NAME", help="The project.")]


def list_sessions(*, store: StoreOption = None, json: JsonOption = False) -> None:
    """List sessions, newest first; beside an engine that runs, too."""
    with StoreReader(store) as reader:
        view = reader.as_of()
        names = (entity.removeprefix("session:") for entity in reader.entities("session:"))
        found = [each for name in names if (each := view.ask(GetSession(name))) is not None]
    rows = [_row(each) for each in found]
    show(SESSIONS, rows, as_json=json, empty="no sessions")


def _row(view: SessionView) -> dict[str, Any]:
    session = read_session(view)
    times = {name: getattr(session, name) for name in INSTANTS}
    return session.to_dict() | times | {"reason": view.reason or None}


def create_session(
    *,
    session_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="An id of your own: repeating it is safe then.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What people call it.")] = "",
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    user: Annotated[str, typer.Option("--user", metavar="USER", help="Whose session it is.")] = "system",
    workflows: Annotated[
        int, typer.Option("--workflows", metavar="N", help="Runs that may be under way at one time.")
    ] = 2,
    tasks: Annotated[
        int, typer.Option("--tasks", metavar="N", help="Calls of functions that may go on at one time.")
    ] = 4,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Have the calls of its runs go one at a time.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="After so long it is over.")
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option("--resource", metavar="NAME=AMOUNT", help="What it is to hold; may be repeated."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Record a session, for `logistics run --session ID` and for programs; its limits are obeyed."""
    described: dict[str, Any] = {
        "name": name,
        "description": description,
        "mode": SessionMode.SEQUENTIAL if sequential else SessionMode.PARALLEL,
        "max_parallel_workflows": workflows,
        "max_parallel_tasks": tasks,
        "timeout_seconds": timeout,
        "resource_requirements": dict(map(_amount, resource or ())),
    }
    with open_existing(store) as engine:
        if session_id is not None:
            described["session_id"] = session_id
        said = engine.create_session(user, **described)
    say_done(json, "created", session=said)


def _amount(text: str) -> tuple[str, float]:
    name, _, amount = text.rpartition("=")
    try:
        return name, float(amount)
    except ValueError:
        msg = f"--resource: expected NAME=AMOUNT, got {text!r}"
        raise InputError(msg) from None


def close_session(session: SessionArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """End a session, and give back what is held under its id."""
    with open_existing(store) as engine:
        if engine.get_session(session) is None:
            msg = f"no session {session!r} on record"
            raise UnknownIdError(msg)
        closed = engine.close_session(session)
    say_done(json, "closed" if closed else "was closed already", session=session)


def list_projects(*, store: StoreOption = None, json: JsonOption = False) -> None:
    """List projects in the order in which they were made; beside an engine that runs, too."""
    with StoreReader(store) as reader:
        found = [read_project(view) for view in reader.as_of().ask(GetProjects())]
    rows = [
        {
            "project": each.name,
            "type": each.type,
            "status": each.status,
            "runs": each.runs,
            "created_at": each.created_at,
            "description": each.description,
            "folder": str(each.folder),
        }
        for each in found
    ]
    show(PROJECTS, rows, as_json=json, empty="no projects")


def create_project(
    name: ProjectArgument,
    *,
    kind: Annotated[
        str, typer.Option("--type", metavar="WORD", help="What sort of project it is, in your words.")
    ] = "custom",
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Where its folder is made; else projects/ in the store."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Record a project, for `logistics run --project NAME` and for programs, and make its folder."""
    with open_existing(store) as engine:
        made = ProjectManager(root, engine=engine).create_project(name, kind, description)
    say_done(json, f"is in {made.folder}", project=made.name)


def set_status(
    name: ProjectArgument,
    status: Annotated[str, typer.Argument(metavar="STATUS", help="A word of your own.")],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Say how a project stands."""
    with open_existing(store) as engine:
        ProjectManager(engine=engine).update_project_status(name, status)
    say_done(json, f"is {status}", project=name)
