"""What the supervisor knows: live runs and their steps, definitions, sessions, projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.state import FoldedState
from actors.workflow.messages import (
    CancelSettled,
    Plan,
    PlanRecorded,
    ProjectCreated,
    ProjectUpdated,
    ProjectView,
    RunAdopted,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEnding,
    RunFailed,
    RunStatus,
    SessionClosed,
    SessionCreated,
    SessionStatus,
    SessionView,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStatus,
    WorkflowDefined,
    WorkflowDeleted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Graph:
    """A plan, with its edges turned round: shared by all runs of it."""

    def __init__(self, plan_id: str, plan: Plan) -> None:
        self.plan_id = plan_id
        self.plan = plan
        self.options = {
            index: step.options for index, step in enumerate(plan.steps) if step.options is not None
        }
        """Of the steps that are out of the ordinary."""
        self.last = tuple(index for index, options in self.options.items() if options.last)
        """Steps that are begun when all others have ended."""
        self.ordinary: Sequence[int] = range(len(plan.steps))
        """All the others."""
        if self.last:
            last = frozenset(self.last)
            self.ordinary = [index for index in self.ordinary if index not in last]
        self.dependents: list[list[int]] = [[] for _ in plan.steps]
        self.missing = [len(step.depends_on) for step in plan.steps]
        for index, step in enumerate(plan.steps):
            for other in step.depends_on:
                if self._is_last(index) and not self._is_last(other):
                    self.missing[index] -= 1  # it has ended by then
                else:
                    self.dependents[other].append(index)
        self.runs = 0
        """Live runs of it."""

    def _is_last(self, step: int) -> bool:
        options = self.options.get(step)
        return options is not None and options.last

    def passes(self, step: int, status: StepStatus) -> bool:
        """Whether a step that has ended so lets go what depends on it."""
        if status is StepStatus.COMPLETED:
            return True
        options = self.options.get(step)
        return options is not None and (options.on_failure == "continue" or options.last)


class Run:
    """A live run."""

    __slots__ = (
        "ending",
        "error",
        "graph",
        "left",
        "missing",
        "params",
        "project",
        "run_id",
        "session_id",
        "steps",
    )

    def __init__(
        self, run_id: str, graph: Graph, params: bytes, session_id: str = "", project: str = ""
    ) -> None:
        self.run_id = run_id
        self.graph = graph
        self.params = params
        self.session_id = session_id
        self.project = project
        self.steps = [StepStatus.PENDING] * len(graph.plan.steps)
        self.missing = list(graph.missing)
        self.left = len(graph.ordinary)
        """Steps of the present phase that have not ended."""
        self.error = ""
        """Of the first step whose failure fails the run."""
        self.ending = ""
        """How it will end (`RunStatus`), once only its last steps are left."""

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
        return self.graph.plan.workflow

    def job_id(self, step: int) -> str:
        """Return the id of a step's job: the same however often it is said (R9)."""
        return f"{self.run_id}.{step}"

    def failure(self, step: int, error: str) -> str:
        """Return the error of the run that the failure of a step is."""
        return f"step {self.graph.plan.steps[step].name!r} failed: {error}"


class SupervisorState(FoldedState[RunStatus]):
    """The fold of the supervisor's events."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Run] = {}
        self.graphs: dict[str, Graph] = {}
        """Plans in use, and the newest one of each workflow, by their ids."""
        self.newest: dict[str, str] = {}
        """The newest plan of each workflow."""
        self.definitions: dict[str, bytes] = {}
        self.adoptable: dict[tuple[str, bytes], dict[str, int]] = {}
        """By workflow and parameters: runs somebody waits for, or waited for when the process ended, and
        under which epoch."""
        self.cancelling: dict[str, None] = {}
        """Jobs of cancelled runs whose end the queue has not confirmed."""
        self.totals: dict[RunStatus, int] = {}
        self.sessions: dict[str, SessionView] = {}
        self.projects: dict[str, ProjectView] = {}
        self.handlers = {
            WorkflowDefined: self._on_defined,
            WorkflowDeleted: self._on_deleted,
            PlanRecorded: self._on_plan,
            RunCreated: self._on_created,
            RunAdopted: self._on_adopted,
            StepScheduled: self._on_scheduled,
            StepCompleted: self._on_completed,
            StepFailed: self._on_failed,
            StepSkipped: self._on_skipped,
            StepCancelled: self._on_step_cancelled,
            RunEnding: self._on_ending,
            RunCompleted: self._on_run_completed,
            RunFailed: self._on_run_failed,
            RunCancelled: self._on_run_cancelled,
            CancelSettled: self._on_cancel_settled,
            SessionCreated: self._on_session_created,
            SessionClosed: self._on_session_closed,
            ProjectCreated: self._on_project_created,
            ProjectUpdated: self._on_project_updated,
        }

    # -- what the runtime asks of every state -----------------------------------------------------------

    def dump(self) -> Any:
        """Give the state as plain data."""
        return {
            "graphs": [(graph.plan_id, msgspec.to_builtins(graph.plan)) for graph in self.graphs.values()],
            "newest": list(self.newest.items()),
            "definitions": list(self.definitions.items()),
            "runs": [
                (
                    run.run_id,
                    run.graph.plan_id,
                    run.params,
                    run.session_id,
                    run.project,
                    [status.value for status in run.steps],
                    list(run.missing),
                    run.left,
                    run.error,
                    run.ending,
                )
                for run in self.runs.values()
            ],
            "adoptable": [(*key, list(runs.items())) for key, runs in self.adoptable.items()],
            "cancelling": list(self.cancelling),
            "totals": [(status.value, count) for status, count in self.totals.items()],
            "sessions": [msgspec.structs.astuple(session) for session in self.sessions.values()],
            "projects": [msgspec.structs.astuple(project) for project in self.projects.values()],
        }

    @classmethod
    def restore(cls, image: Any) -> SupervisorState:
        """Return the state whose `dump` was `image`."""
        state = cls()
        for plan_id, plan in image["graphs"]:
            state.graphs[plan_id] = Graph(plan_id, msgspec.convert(plan, Plan))
        state.newest = dict(image["newest"])
        state.definitions = dict(image["definitions"])
        for run_id, plan_id, params, session_id, project, steps, missing, left, error, ending in image[
            "runs"
        ]:
            graph = state.graphs[plan_id]
            graph.runs += 1
            run = state.runs[run_id] = Run(run_id, graph, params, session_id, project)
            run.steps = [StepStatus(status) for status in steps]
            run.missing, run.left, run.error, run.ending = list(missing), left, error, ending
        state.adoptable = {(workflow, params): dict(runs) for workflow, params, runs in image["adoptable"]}
        state.cancelling = dict.fromkeys(image["cancelling"])
        state.totals = {RunStatus(status): count for status, count in image["totals"]}
        state.sessions = {row[0]: SessionView(*row) for row in image["sessions"]}
        state.projects = {row[0]: ProjectView(*row) for row in image["projects"]}
        return state

    # -- definitions and plans -----------------------------------------------------------------------------

    def _on_defined(self, event: WorkflowDefined) -> None:
        self.definitions[event.name] = event.definition

    def _on_deleted(self, event: WorkflowDeleted) -> None:
        self.definitions.pop(event.name, None)
        newest = self.newest.pop(event.name, None)
        if newest is not None:
            self._drop_unused(newest)

    def _on_plan(self, event: PlanRecorded) -> None:
        workflow = event.plan.workflow
        if event.plan_id not in self.graphs:
            self.graphs[event.plan_id] = Graph(event.plan_id, event.plan)
        before = self.newest.get(workflow)
        self.newest[workflow] = event.plan_id
        if before is not None and before != event.plan_id:
            self._drop_unused(before)

    def _drop_unused(self, plan_id: str) -> None:
        graph = self.graphs.get(plan_id)
        if graph is not None and not graph.runs and self.newest.get(graph.plan.workflow) != plan_id:
            del self.graphs[plan_id]

    # -- runs --------------------------------------------------------------------------------------------------

    def _on_created(self, event: RunCreated) -> None:
        graph = self.graphs[event.plan_id]
        graph.runs += 1
        self.runs[event.run_id] = Run(event.run_id, graph, event.params, event.session_id, event.project)
        self._count(RunStatus.RUNNING)
        if event.blocking:
            self.adoptable.setdefault((event.workflow, event.params), {})[event.run_id] = event.epoch
        if event.project:
            project = self.projects[event.project]
            self.projects[event.project] = msgspec.structs.replace(project, runs=project.runs + 1)

    def _count(self, status: RunStatus, by: int = 1) -> None:
        self.totals[status] = self.totals.get(status, 0) + by

    def _on_adopted(self, event: RunAdopted) -> None:
        for key, runs in self.adoptable.items():
            if event.run_id in runs:
                if event.run_id in self.runs:
                    runs[event.run_id] = event.epoch
                else:
                    self._unadoptable(key, event.run_id)
                return

    def _unadoptable(self, key: tuple[str, bytes], run_id: str) -> None:
        runs = self.adoptable[key]
        del runs[run_id]
        if not runs:
            del self.adoptable[key]

    def _on_scheduled(self, event: StepScheduled) -> None:
        self.runs[event.run_id].steps[event.step] = StepStatus.RUNNING

    def _on_completed(self, event: StepCompleted) -> None:
        self._end_step(event.run_id, event.step, StepStatus.COMPLETED)

    def _end_step(self, run_id: str, step: int, status: StepStatus) -> Run:
        run = self.runs[run_id]
        run.steps[step] = status
        run.left -= 1
        if run.graph.passes(step, status):
            for dependent in run.graph.dependents[step]:
                run.missing[dependent] -= 1
        return run

    def _on_failed(self, event: StepFailed) -> None:
        run = self._end_step(event.run_id, event.step, StepStatus.FAILED)
        options = run.graph.options.get(event.step)
        if not run.error and (options is None or options.required):
            run.error = run.failure(event.step, event.error)

    def _on_skipped(self, event: StepSkipped) -> None:
        self._end_step(event.run_id, event.step, StepStatus.SKIPPED)

    def _on_ending(self, event: RunEnding) -> None:
        run = self.runs[event.run_id]
        run.ending, run.error = event.status, event.error
        run.left = len(run.graph.last)

    def _on_step_cancelled(self, event: StepCancelled) -> None:
        run = self.runs[event.run_id]
        if run.steps[event.step] is StepStatus.RUNNING:
            self.cancelling[run.job_id(event.step)] = None
        self._end_step(event.run_id, event.step, StepStatus.CANCELLED)

    def _end_run(self, run_id: str, status: RunStatus, epoch: int) -> None:
        run = self.runs.pop(run_id)
        run.graph.runs -= 1
        self._drop_unused(run.graph.plan_id)
        self._count(RunStatus.RUNNING, -1)
        self._count(status)
        key = (run.workflow, run.params)
        if self.adoptable.get(key, {}).get(run_id) == epoch:
            self._unadoptable(key, run_id)  # whoever waits for it is still there
        self.retire(run_id, status)

    def _on_run_completed(self, event: RunCompleted) -> None:
        self._end_run(event.run_id, RunStatus.COMPLETED, event.epoch)

    def _on_run_failed(self, event: RunFailed) -> None:
        self._end_run(event.run_id, RunStatus.FAILED, event.epoch)

    def _on_run_cancelled(self, event: RunCancelled) -> None:
        run = self.runs[event.run_id]
        if event.run_id in self.adoptable.get((run.workflow, run.params), {}):
            self._unadoptable(
                (run.workflow, run.params), event.run_id
            )  # nobody asks for a cancelled run again
        self._end_run(event.run_id, RunStatus.CANCELLED, event.epoch)

    def _on_cancel_settled(self, event: CancelSettled) -> None:
        self.cancelling.pop(f"{event.run_id}.{event.step}", None)

    # -- sessions and projects -----------------------------------------------------------------------------

    def _on_session_created(self, event: SessionCreated) -> None:
        self.sessions[event.session_id] = SessionView(
            event.session_id, event.data, SessionStatus.ACTIVE, event.at_us, 0
        )

    def _on_session_closed(self, event: SessionClosed) -> None:
        session = self.sessions[event.session_id]
        self.sessions[event.session_id] = msgspec.structs.replace(
            session, status=SessionStatus.COMPLETED.value, closed_us=event.at_us
        )

    def _on_project_created(self, event: ProjectCreated) -> None:
        self.projects[event.name] = ProjectView(
            event.name, event.kind, event.description, event.folder, "active", event.at_us, 0
        )

    def _on_project_updated(self, event: ProjectUpdated) -> None:
        self.projects[event.name] = msgspec.structs.replace(self.projects[event.name], status=event.status)
