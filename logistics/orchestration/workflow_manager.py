"""Workflows as their users see them: defining, running, looking back."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import InputError
from actors.runtime.functions import UnresolvedFunctionError
from actors.runtime.values import PayloadError, encode_result
from actors.workflow.messages import (
    AdoptRun,
    DefineWorkflow,
    DeleteWorkflow,
    GetWorkflows,
    RunCreated,
    RunStatus,
    StartRun,
)
from eventstore.errors import OutcomeUnknownError, StoreError
from logistics.errors import RunNotFoundError, WorkflowNotFoundError
from logistics.ids import new_id
from logistics.inputs import check_id, check_int, check_name
from logistics.orchestration.definition import Definition, check_text, decode_definition
from logistics.orchestration.engine import engine_or_default
from logistics.orchestration.files import checked_params, read_definition
from logistics.orchestration.reading import PAUSES_S, first, patiently
from logistics.orchestration.result import RunRecord
from logistics.orchestration.run import WorkflowRun, waiting
from logistics.orchestration.workflow import Workflow, announce

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.plan import Prepared
    from logistics.orchestration.result import WorkflowResult

logger = logging.getLogger("logistics.workflows")

MOST_RUNS = 2**31
FIRST_BATCH, LAST_BATCH = 16, 4096
"""Runs that are looked for at a time."""


class WorkflowManager:
    """Defines and runs the workflows of a store."""

    def __init__(self, engine: OrchestrationEngine | None = None) -> None:
        """Use `engine`; None: the default engine, opened at first use, or the one that runs this step."""
        self._given = None if engine is None else engine_or_default(engine)

    @property
    def engine(self) -> OrchestrationEngine:
        """The engine whose workers do the work."""
        return engine_or_default(self._given)

    # -- definitions -----------------------------------------------------------------------------------------

    def create(self, name: str, *, description: str = "") -> Workflow:
        """Begin a workflow without steps; it replaces what the name meant before once it is run or saved."""
        definition = Definition(check_name("name", name), check_text("description", description))
        return _register(self.engine, definition)

    def load(self, path: str | os.PathLike[str]) -> Workflow:
        """Define a workflow from a `.toml` or `.json` file, as `create` and `add_step` would.

        Its functions are imported, from its folder too. `ConfigError` names every mistake with its place.
        """
        engine = self.engine
        workflow = _register(engine, read_definition(path, engine))
        announce(engine, workflow.prepared().functions)
        return workflow

    def get_workflow(self, name: str) -> Workflow | None:
        """Return a workflow that was created in this process or is on record; None if there is none."""
        return _find_workflow(self.engine, check_name("name", name))

    def list_workflows(self) -> list[str]:
        """Return the names of the workflows on record and of those created in this process, sorted."""
        engine = self.engine
        return sorted({*engine.ask("supervisor", GetWorkflows()), *engine.store.workflows})

    def delete(self, name: str) -> bool:
        """Forget a workflow; whether there was one. Its runs stay, those in progress go on."""
        engine = self.engine
        check_name("name", name)
        created = engine.store.workflows.pop(name, None) is not None
        return bool(engine.ask("supervisor", DeleteWorkflow(name=name))) or created

    # -- running ---------------------------------------------------------------------------------------------

    def run(self, name: str, /, **params: Any) -> WorkflowResult:
        """Run a workflow, wait for its end, and return how it ended, whichever way that was.

        A run of the same name and parameters that an earlier process began by `run` and did not see end is
        taken over instead of beginning another one: `result.adopted`. Steps that have completed are not
        executed again.

        `WorkflowNotFoundError`, `GraphError` and `BindingError` (both name every problem), `PayloadError` for
        parameters that are no plain data: then nothing was started. `WouldDeadlockError` inside a job or step
        if no worker would be left to do the work.
        """
        return run_workflow(self.engine, name, params)

    def start(self, name: str, /, **params: Any) -> WorkflowRun:
        """Start a new run of a workflow; return it once it is on disk. Raises what `run` does."""
        return begin_run(self.engine, name, params, blocking=False)

    # -- looking back ----------------------------------------------------------------------------------------

    def get_run(self, run_id: str) -> WorkflowRun | None:
        """Return a run on record, None if there is none with this id."""
        return _find_run(self.engine, check_id("run_id", run_id))

    def get_execution_status(self, run_id: str) -> RunStatus:
        """Return where a run stands. `RunNotFoundError` if there is none with this id."""
        run = self.get_run(run_id)
        if run is None:
            msg = f"no run {run_id!r} on record"
            raise RunNotFoundError(msg)
        return run.status

    def list_runs(
        self,
        limit: int | None = None,
        status: RunStatus | str | None = None,
        name: str | None = None,
        after: str | None = None,
    ) -> Iterator[WorkflowRun]:
        """Return an iterator of the runs on record, newest first, each read only when its turn comes.

        Args:
            limit: at most so many.
            status: only those that stand so.
            name: only those of this workflow.
            after: the id of a run: only those that follow it in this order, that is, older ones.

        """
        if limit is not None:
            check_int("limit", limit, least=0, most=MOST_RUNS)
        if status is not None:
            status = _status(status)
        if name is not None:
            check_name("name", name)
        if after is not None:
            check_id("after", after)
        engine = self.engine
        runs = (
            run
            for run in _runs(engine, after)
            if (name is None or run.name == name) and (status is None or run.status is status)
        )
        return islice(runs, limit)


def _register(engine: OrchestrationEngine, definition: Definition) -> Workflow:
    workflow = engine.store.workflows[definition.name] = Workflow(engine.store, definition)
    return workflow


def _find_workflow(engine: OrchestrationEngine, name: str) -> Workflow | None:
    workflow: Workflow | None = engine.store.workflows.get(name)
    if workflow is not None:
        return workflow
    data = engine.ask("supervisor", GetWorkflows()).get(name)
    return None if data is None else _register(engine, decode_definition(data))


def _status(status: str) -> RunStatus:
    try:
        return RunStatus(status)
    except ValueError:
        msg = f"status: expected one of {', '.join(RunStatus)}, got {status!r}"
        raise InputError(msg) from None


def _runs(engine: OrchestrationEngine, after: str | None) -> Iterator[WorkflowRun]:
    before = None if after is None else f"run:{after}"
    size = FIRST_BATCH
    while entities := patiently(partial(_entities, engine, before, size)):
        for entity in entities:
            run = _find_run(engine, entity.removeprefix("run:"))
            if run is not None:
                yield run
        before, size = entities[-1], min(2 * size, LAST_BATCH)


def _entities(engine: OrchestrationEngine, before: str | None, size: int) -> list[str]:
    runtime = engine.store.runtime
    found = runtime.log.entities("run:", before=before, upto=runtime.journal.watermark)
    return list(islice(found, size))


def _find_run(engine: OrchestrationEngine, run_id: str) -> WorkflowRun | None:
    created = first(engine, f"run:{run_id}")
    return WorkflowRun(engine, run_id, created.workflow) if isinstance(created, RunCreated) else None


# -- running, for every class that does ------------------------------------------------------------


def run_workflow(
    engine: OrchestrationEngine,
    name: str,
    params: Mapping[str, Any],
    *,
    session_id: str = "",
    project: str = "",
) -> WorkflowResult:
    """Do what `WorkflowManager.run` says, in a session or a project."""
    with waiting(engine):
        run = begin_run(engine, name, params, blocking=True, session_id=session_id, project=project)
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
) -> WorkflowRun:
    """Start a run; with `blocking`, for a caller who waits for its end, rather adopt one that was cut off."""
    prepared = _prepared(engine, name)
    values = checked_params(prepared.definition, params)
    encoded = encode_params(values, limit=engine.max_payload)
    planned = prepared.plan(frozenset(values))
    if blocking:
        _define(engine, prepared)
        adopted = engine.ask("supervisor", AdoptRun(workflow=name, params=encoded))
        if adopted is not None:
            return _adopt(engine, adopted, name)
    command = StartRun(
        run_id=new_id(),
        plan=planned.plan,
        plan_id=planned.plan_id,
        params=encoded,
        blocking=blocking,
        session_id=session_id,
        project=project,
    )
    _start(engine, prepared, command)
    return WorkflowRun(engine, command.run_id, name)


def _define(engine: OrchestrationEngine, prepared: Prepared) -> None:
    """Send the definition ahead of a run, unless it is on record."""
    if not prepared.recorded:
        announce(engine, prepared.functions)
        definition = DefineWorkflow(name=prepared.definition.name, definition=prepared.encoded)
        # Not waited for: the supervisor takes it before what follows, which is durable only with it.
        engine.store.runtime.send("supervisor", definition)


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
    workflow = _find_workflow(engine, check_name("name", name))
    if workflow is None:
        msg = f"no workflow {name!r}: create it, or load it from a file"
        raise WorkflowNotFoundError(msg)
    return workflow.prepared()


def encode_params(params: Mapping[str, Any], *, limit: int) -> bytes:
    """Return a run's parameters as bytes: the same whatever the order they are given in."""
    try:
        return encode_result(dict(sorted(params.items())), limit=limit)
    except PayloadError as error:
        text = str(error).replace("result", "params", 1)
        path = error.path.replace("result", "params", 1)
        raise PayloadError(text, path=path, size=error.size, limit=error.limit) from error


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


def execute_workflow(
    engine: OrchestrationEngine, name: str, session_id: str | None, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Run a workflow and return `success`, `result`, `error` and `execution_time` (seconds) as a dict."""
    begun_s = time.monotonic()
    session = "" if session_id is None else check_id("session_id", session_id)
    result = run_workflow(engine, name, params, session_id=session)
    return {
        "success": result.success,
        "result": result.output,
        "error": result.error,
        "execution_time": time.monotonic() - begun_s,
    }
