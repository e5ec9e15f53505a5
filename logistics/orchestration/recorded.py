"""Whether a command that a caller has written goes with what is on record: plans, signals, projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.queue.messages import EnqueueJobs
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.runtime.seals import key_in
from actors.runtime.values import decode_value
from actors.workflow.events import PlanRecorded, RunCreated
from actors.workflow.messages import CreateProject, GetProjects, SignalRun, StartRun
from logistics.orchestration.folders import check_free, check_whole
from logistics.orchestration.schema import check_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.messages import Event, Message
    from actors.workflow.messages import ProjectView
    from actors.workflow.specs import Plan

    First = Callable[[str], Event | None]
    """Returns the first event of an entity as it is stored: what is sealed stays so."""


def check_recorded(command: Message, first: First, ask: Callable[[str, Message], Any]) -> None:
    """Refuse what contradicts the record, or leads where nothing is; nothing has changed then.

    The id of a plan that is on record for another one, by which the run would go: `ConflictingIdError`. A signal that
    is not what its step waits for, a folder that no project may have: `InputError`. A project or an origin that
    nobody knows: `UnknownIdError`.
    """
    match command:
        case StartRun():
            for plan_id, plan in ((command.plan_id, command.plan), *command.children):
                _check_plan(plan_id, plan, first)
            if command.origin and first(f"run:{command.origin}") is None:
                msg = f"origin: no run {command.origin!r} on record"
                raise UnknownIdError(msg)
        case SignalRun():
            _check_signal(command, first)
        case EnqueueJobs():
            named = {job.terms.project for job in command.jobs if job.terms is not None and job.terms.project}
            known = {view.name for view in ask("supervisor", GetProjects())} if named else set()
            for name in sorted(named - known):
                msg = f"no project {name!r} on record; CreateProject makes one"
                raise UnknownIdError(msg)
        case CreateProject():
            _check_folder(command, ask("supervisor", GetProjects()))


def _check_plan(plan_id: str, plan: Plan, first: First) -> None:
    recorded = _recorded(plan_id, first)
    if recorded is not None and recorded != plan:
        msg = f"plan id {plan_id!r} is on record for another plan; start_command gives each its own"
        raise ConflictingIdError(msg)


def _recorded(plan_id: str, first: First) -> Plan | None:
    recorded = first(f"plan:{plan_id}")
    return recorded.plan if isinstance(recorded, PlanRecorded) else None


def _check_signal(command: SignalRun, first: First) -> None:
    """Hold a value against the schema of its step, as `WorkflowRun.signal` does. Of a run of nobody's knows nothing."""
    created = first(f"run:{command.run_id}")
    if not isinstance(created, RunCreated):
        return
    if key_in(created.params) and not key_in(command.value):
        msg = f"value: what run {command.run_id} gets is sealed with the key of its subject; run.signal seals it"
        raise InputError(msg)
    plan = _recorded(created.plan_id, first)
    step = None if plan is None else next((each for each in plan.steps if each.name == command.step), None)
    wait = None if step is None or step.options is None else step.options.wait
    if wait is not None and wait.schema is not None and not key_in(command.value):
        check_value(dict(wait.schema), decode_value(command.value))


def _check_folder(command: CreateProject, projects: tuple[ProjectView, ...]) -> None:
    """Refuse a folder that `ProjectManager` would make for no project of this name."""
    known = next((view for view in projects if view.name == command.name), None)
    folder = Path(command.folder)
    if not command.folder or not folder.is_absolute() or folder.name != command.name:
        msg = f"folder: expected an absolute path that ends with the project's name, got {command.folder!r}"
        raise InputError(msg)
    check_whole(folder, command.name)
    if known is None:
        check_free(folder, command.name, ours=False)
