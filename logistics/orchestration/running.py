"""Running workflows, for every class that does: adopting or starting a run, and waiting for its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actors.runtime.errors import InputError, UnknownIdError, UnresolvedFunctionError
from actors.runtime.patience import PAUSES_S
from actors.workflow.messages import AdoptRun, DefineWorkflow, GetProjects, GetWorkflows, StartRun
from eventstore.errors import OutcomeUnknownError, StoreError
from logistics.errors import WorkflowNotFoundError
from logistics.ids import new_id
from logistics.inputs import check_id, check_name
from logistics.orchestration.definition import Definition, decode_definition
from logistics.orchestration.files import checked_params, encode_params
from logistics.orchestration.result import RunRecord
from logistics.orchestration.run import WorkflowRun, waiting
from logistics.orchestration.session import get_session
from logistics.orchestration.workflow import Workflow, announce

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.plan import Prepared
    from logistics.orchestration.result import WorkflowResult

logger = logging.getLogger("logistics.workflows")

AT_ONCE = 1_000
"""Runs that are started without waiting in between."""


def register(engine: OrchestrationEngine, definition: Definition) -> Workflow:
    """Give a name a definition in this process; it is recorded when it is run or saved."""
    workflow = engine.store.workflows[definition.name] = Workflow(engine.store, definition)
    return workflow


def find_workflow(engine: OrchestrationEngine, name: str) -> Workflow | None:
    """Return a workflow that was created in this process or is on record."""
    workflow: Workflow | None = engine.store.workflows.get(name)
    if workflow is not None:
        return workflow
    data = engine.ask("supervisor", GetWorkflows()).get(name)
    return None if data is None else register(engine, decode_definition(data))


def run_workflow(
    engine: OrchestrationEngine,
    name: str,
    params: Mapping[str, Any],
    *,
    session_id: str = "",
    project: str = "",
    subject: str = "",
) -> WorkflowResult:
    """Do what `WorkflowManager.run` says, in a session or a project, of a subject."""
    with waiting(engine):
        run = begin_run(
            engine, name, params, blocking=True, session_id=session_id, project=project, subject=subject
        )
        run.wait(None)
    return run.read()


def begin_run(
    engine: OrchestrationEngine,
    name: str,
    params: Mapping[str, Any],
    *,
    blocking: bool,
    session_id: str = "",
    project: str = "",
    subject: str = "",
) -> WorkflowRun:
    """Start a run; with `blocking`, for a caller who waits for its end, rather adopt one that was cut off."""
    prepared = _prepared(engine, name)
    command = _command(
        engine, prepared, params, blocking=blocking, session_id=session_id, project=project, subject=subject
    )
    if blocking:
        _define(engine, prepared)
        adopted = engine.ask("supervisor", AdoptRun(name, command.params, session_id, project))
        if adopted is not None:
            return _adopt(engine, adopted, name)
    _start(engine, prepared, command)
    return WorkflowRun(engine, command.run_id, name)


def begin_runs(
    engine: OrchestrationEngine,
    name: str,
    params_of: Iterable[Mapping[str, Any]],
    *,
    session_id: str = "",
    project: str = "",
    subject: str = "",
) -> list[WorkflowRun]:
    """Start a run for each of several sets of parameters, many of them in one commit."""
    prepared = _prepared(engine, name)
    commands = [
        _command(
            engine,
            prepared,
            _named(number, params),
            blocking=False,
            session_id=session_id,
            project=project,
            subject=subject,
        )
        for number, params in enumerate(params_of)
    ]
    for first in range(0, len(commands), AT_ONCE):
        few = commands[first : first + AT_ONCE]
        _define(engine, prepared)
        replies = [engine.tell("supervisor", command) for command in few]
        for command, reply in zip(few, replies, strict=True):
            try:
                engine.answer(reply)
            except OutcomeUnknownError:
                _start(engine, prepared, command)
        prepared.recorded = True
    return [WorkflowRun(engine, command.run_id, name) for command in commands]


def start_command(
    engine: OrchestrationEngine, name: str, run_id: str | None, params: Mapping[str, Any], **place: str
) -> StartRun:
    """Return the command that starts a run, under an id of the caller's own if there is one."""
    prepared = _prepared(engine, name)
    command = _command(engine, prepared, params, blocking=False, **place)
    announce(engine.store, prepared.functions)
    return command if run_id is None else replace(command, run_id=check_id("run_id", run_id))


def _named(number: int, params: object) -> Mapping[str, Any]:
    if not isinstance(params, Mapping) or not all(isinstance(each, str) for each in params):
        msg = f"params[{number}]: expected a mapping of names to parameters, got {params!r}"
        raise InputError(msg)
    return params


def _command(
    engine: OrchestrationEngine,
    prepared: Prepared,
    params: Mapping[str, Any],
    *,
    blocking: bool,
    session_id: str = "",
    project: str = "",
    subject: str = "",
) -> StartRun:
    """Return the command that starts a run with these parameters, which are checked."""
    values = checked_params(prepared.definition, params)
    planned = prepared.plan(frozenset(values), lambda other: known_workflow(engine, other))
    data = encode_params(values, limit=engine.max_payload)
    if subject:
        vault = engine.store.runtime.vault
        data = vault.seal(data, vault.key_for(subject))
    return StartRun(
        run_id=new_id(),
        plan=planned.plan,
        plan_id=planned.plan_id,
        params=data,
        blocking=blocking,
        session_id=session_id,
        project=project,
        children=planned.children,
    )


def _define(engine: OrchestrationEngine, prepared: Prepared) -> None:
    """Send the definition ahead of a run, unless it is on record."""
    if not prepared.recorded:
        announce(engine.store, prepared.functions)
        definition = DefineWorkflow(name=prepared.definition.name, definition=prepared.encoded)
        # Not waited for: the supervisor takes it before what follows, which is durable only with it.
        engine.tell("supervisor", definition)


def _start(engine: OrchestrationEngine, prepared: Prepared, command: StartRun) -> None:
    """Start a run; say it again if a failed commit leaves the outcome open: only we know the id."""
    unknown: OutcomeUnknownError | None = None
    for pause_s in PAUSES_S:
        try:
            _define(engine, prepared)
            engine.ask("supervisor", command)
        except OutcomeUnknownError as error:
            unknown = error
        except StoreError:
            if unknown is None:
                raise  # it was not taken
        else:
            prepared.recorded = True
            return
        threading.Event().wait(pause_s)
    msg = f"whether run {command.run_id} was begun is not known, the store cannot be written"
    raise OutcomeUnknownError(msg) from unknown


def _prepared(engine: OrchestrationEngine, name: str) -> Prepared:
    workflow = find_workflow(engine, check_name("name", name))
    if workflow is None:
        msg = f"no workflow {name!r}: create it, or load it from a file"
        raise WorkflowNotFoundError(msg)
    return workflow.prepared()


def known_workflow(engine: OrchestrationEngine, name: str) -> Prepared | None:
    """Return a workflow by its name as it is defined now; None if there is none."""
    workflow = find_workflow(engine, name)
    return None if workflow is None else workflow.prepared()


def _adopt(engine: OrchestrationEngine, run_id: str, name: str) -> WorkflowRun:
    record = RunRecord(engine, run_id)
    ids = {"run_id": run_id, "workflow": name}
    logger.warning(
        "run %s of workflow %r, begun %s, was cut off by the end of its process; waiting for it instead of "
        "beginning another one",
        run_id,
        name,
        record.started_at.isoformat(timespec="seconds"),
        extra=ids,
    )
    for step in record.plan.steps:
        try:
            engine.functions.resolve(step.function)
        except UnresolvedFunctionError as error:
            logger.warning("step %r of run %s waits: %s", step.name, run_id, error, extra=ids)
    return WorkflowRun(engine, run_id, name, adopted=True)


def check_session(engine: OrchestrationEngine, session_id: str | None) -> str:
    """Return the id of a session on record, as the supervisor takes it: None is none. `UnknownIdError`."""
    if session_id is None:
        return ""
    if get_session(engine, session_id) is None:
        msg = f"no session {session_id!r} on record"
        raise UnknownIdError(msg)
    return session_id


def check_project(engine: OrchestrationEngine, project: str | None) -> str:
    """Return the name of a project on record; None is none. `UnknownIdError`."""
    if project is None:
        return ""
    if all(view.name != project for view in engine.ask("supervisor", GetProjects())):
        msg = f"no project {project!r} on record; ProjectManager().create_project makes one"
        raise UnknownIdError(msg)
    return project


def execute_workflow(
    engine: OrchestrationEngine, name: str, session_id: str | None, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Run a workflow and return `success`, `result`, `error` and `execution_time` (seconds) as a dict."""
    begun_s = time.monotonic()
    within = check_session(engine, session_id)
    result = run_workflow(engine, name, params, session_id=within)
    return {
        "success": result.success,
        "result": result.output,
        "error": result.error,
        "execution_time": time.monotonic() - begun_s,
    }
