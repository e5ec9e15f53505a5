"""Workflows as their users see them: defining, running, looking back."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from actors.workflow.events import RunCreated
from actors.workflow.messages import DeleteWorkflow, GetWorkflows
from actors.workflow.specs import RunStatus
from logistics.errors import RunNotFoundError
from logistics.inputs import check_id, check_int, check_name
from logistics.orchestration.decorators import add_steps, outline_of
from logistics.orchestration.definition import Definition, check_text
from logistics.orchestration.files import definition_of, read_definitions
from logistics.orchestration.given import OnEngine
from logistics.orchestration.listing import runs_on_record
from logistics.orchestration.reading import first
from logistics.orchestration.run import WorkflowRun, run_status
from logistics.orchestration.running import (
    begin_run,
    begin_runs,
    check_session,
    find_workflow,
    register,
    run_workflow,
    start_command,
)
from logistics.orchestration.upgrades import UpgradeFinding, upgrade_check
from logistics.orchestration.workflow import Workflow, announce

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from actors.workflow.messages import StartRun
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.result import WorkflowResult

MOST_RUNS = 2**31


class WorkflowManager(OnEngine):
    """Defines and runs the workflows of a store."""

    def __init__(
        self,
        engine: OrchestrationEngine | None = None,
        *,
        session_id: str | None = None,
        project: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Use `engine`; None: the default engine, opened at first use, or the one that runs this step.

        Runs that are begun here are of the session with this id, and on record under this project. With `subject`,
        they are about somebody's data: what they get and say is sealed with a key of theirs, so that
        `OrchestrationEngine.erase` can erase it. Needs the extra `sign`.
        """
        super().__init__(engine=engine)
        self._session_id = None if session_id is None else check_id("session_id", session_id)
        self._project = "" if project is None else check_name("project", project)
        self._subject = "" if subject is None else check_name("subject", subject)

    # -- definitions -----------------------------------------------------------------------------------------

    def create(self, name: str, *, description: str = "") -> Workflow:
        """Begin a workflow without steps; it replaces what the name meant before once it is run or saved."""
        definition = Definition(check_name("name", name), check_text("description", description))
        return register(self.engine, definition)

    def define(self, what: Any) -> Workflow:
        """Define the workflow that a class or a function with `@logistics.workflow` is.

        `InputError` for anything else, and what `Workflow.add_step` raises.
        """
        outline = outline_of(what)
        store = self.engine.store
        workflow = Workflow(store, Definition(outline.name, check_text("description", outline.description)))
        add_steps(workflow, what)
        store.workflows[workflow.name] = workflow  # whole, or not at all
        return workflow

    def load(self, path: str | os.PathLike[str]) -> Workflow:
        """Define a workflow from a `.toml`, `.json` or `.yaml` file, as `create` and `add_step` would.

        Its functions are imported, from its folder too. `ConfigError` names every mistake with its place.
        """
        engine = self.engine
        loaded = [register(engine, each) for each in read_definitions(path, engine)]
        for workflow in loaded:
            announce(engine.store, workflow.prepared().functions)
        return loaded[0]

    def from_dict(self, data: Mapping[str, Any]) -> Workflow:
        """Define a workflow from plain data, as files have them and `Workflow.to_dict` gives them.

        `ConfigError` names every mistake with its place, `UnresolvedFunctionError` a function not found.
        """
        engine = self.engine
        workflow = register(engine, definition_of(data, engine))
        announce(engine.store, workflow.prepared().functions)
        return workflow

    def get_workflow(self, name: str) -> Workflow | None:
        """Return a workflow that was created in this process or is on record; None if there is none."""
        return find_workflow(self.engine, check_name("name", name))

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
        return run_workflow(self.engine, name, params, **self._place())

    def start(self, name: str, /, **params: Any) -> WorkflowRun:
        """Start a new run of a workflow; return it once it is on disk. Raises what `run` does."""
        return begin_run(self.engine, name, params, blocking=False, **self._place())

    def start_command(self, name: str, run_id: str | None = None, /, **params: Any) -> StartRun:
        """Return the command that starts a new run, for `OrchestrationEngine.send`. Raises what `run` does.

        With a `run_id` of your own, sending it again begins no second run, and neither does another command that
        says the same: so a step that starts a run does that once, however often it is tried.
        """
        return start_command(self.engine, name, run_id, params, **self._place())

    def _place(self) -> dict[str, str]:
        """Return whose the runs are that are begun here."""
        return {
            "session_id": check_session(self.engine, self._session_id),
            "project": self._project,
            "subject": self._subject,
        }

    def start_many(self, name: str, params: Iterable[Mapping[str, Any]], /) -> list[WorkflowRun]:
        """Start a new run of a workflow for each set of parameters; return them, in order, once all are on disk.

        Many of them share a commit, so this is far quicker than `start` for each. Raises what `run` does, and
        `InputError` for a set that is no mapping: then nothing was started. Should the store fail on the way,
        those before have begun.
        """
        return begin_runs(self.engine, name, params, **self._place())

    def upgrade_check(self) -> list[UpgradeFinding]:
        """Return what does not fit the code of today, of open runs, waiting jobs and schedules; changes nothing.

        A function that is gone, or whose parameters have changed, blocks: what needs it waits or fails when
        its turn comes. A run whose workflow is defined otherwise today is named, too; it goes on with the
        definition that it began with.
        """
        return upgrade_check(self.engine)

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
        *,
        session_id: str | None = None,
        project: str | None = None,
    ) -> Iterator[WorkflowRun]:
        """Return an iterator of the runs on record, newest first, each read only when its turn comes.

        Args:
            limit: at most so many.
            status: only those that stand so.
            name: only those of this workflow.
            after: the id of a run: only those that follow it in this order, that is, older ones.
            session_id: only those of this session.
            project: only those under this project.

        """
        if limit is not None:
            check_int("limit", limit, least=0, most=MOST_RUNS)
        wanted = None if status is None else run_status(status)
        if name is not None:
            check_name("name", name)
        if after is not None:
            check_id("after", after)
        if session_id is not None:
            check_id("session_id", session_id)
        if project is not None:
            check_name("project", project)
        engine = self.engine
        runs = (
            run
            for run in _runs(engine, runs_on_record(engine, wanted, name, session_id, project, after=after))
            if name in (None, run.name)
            and session_id in (None, run.session_id)
            and project in (None, run.project)
            and (wanted is None or run.status is wanted)
        )
        return islice(runs, limit)


def _runs(engine: OrchestrationEngine, found: Iterable[str]) -> Iterator[WorkflowRun]:
    for entity in found:
        run = _find_run(engine, entity.removeprefix("run:"))
        if run is not None:
            yield run


def _find_run(engine: OrchestrationEngine, run_id: str) -> WorkflowRun | None:
    created = first(engine, f"run:{run_id}")
    return WorkflowRun(engine, run_id, created.workflow) if isinstance(created, RunCreated) else None
