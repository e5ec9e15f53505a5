"""What the supervisor knows: live runs and their steps, definitions, sessions, projects."""

from __future__ import annotations

import heapq
from typing import Any, TypeAlias

import msgspec

from actors.runtime.state import FoldedState
from actors.workflow.events import (
    CallCached,
    CancelSettled,
    ItemEnded,
    ItemsScheduled,
    ItemWaiting,
    PlanRecorded,
    ProjectCreated,
    ProjectUpdated,
    RunAdopted,
    RunBegun,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEnding,
    RunFailed,
    RunForked,
    RunHeld,
    RunPaused,
    RunResumed,
    SessionClosed,
    SessionCreated,
    SessionReleased,
    SignalReceived,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepSpread,
    StepWaiting,
    UndoEnded,
    UndoScheduled,
    WorkflowDefined,
    WorkflowDeleted,
)
from actors.workflow.messages import ProjectView
from actors.workflow.run import NO_EXTRAS, UNDO, Extras, Fan, Graph, Run, digest
from actors.workflow.session_state import Sessions
from actors.workflow.specs import LOST, Plan, RunStatus, StepStatus
from eventstore.decoding import converter

Adoption: TypeAlias = tuple[str, bytes, str, str]
"""Workflow, parameters, session and project of a run that a call may adopt."""
Waiting: TypeAlias = tuple[str, int, int]
"""A run, a step of it that waits for another run, and which of its items does; -1: it is no list."""
_PLAN = converter(Plan)
FEW = 256
"""Timers that are kept unasked."""


def adoption(run: Run) -> Adoption:
    """Return what a call says that may adopt a run."""
    return run.workflow, run.params, run.session_id, run.project


class SupervisorState(FoldedState[RunStatus]):
    """The fold of the supervisor's events."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Run] = {}
        self.graphs: dict[str, Graph] = {}
        """Plans in use, and the newest one of each workflow, by their ids."""
        self.newest: dict[str, str] = {}
        """The newest plan of each workflow."""
        self._replaced: list[str] = []
        """Those that were, until the run begins that has brought newer ones."""
        self.definitions: dict[str, bytes] = {}
        self.adoptable: dict[Adoption, dict[str, int]] = {}
        """By what the call has to say again: runs somebody waits for, or waited for when the process ended, and
        under which epoch."""
        self.cancelling: dict[str, None] = {}
        """Jobs of cancelled runs whose end the queue has not confirmed."""
        self.plan_uses: dict[str, int] = {}
        """How many plans in memory have a plan as one of their steps."""
        self.awaited: dict[str, dict[Waiting, None]] = {}
        """By live run: the steps of others that wait for its end."""
        self.answered: dict[Waiting, tuple[RunStatus, str]] = {}
        """Steps whose run has ended, and how: what settling them is made of."""
        self.timers: list[tuple[int, str, int]] = []
        """A heap of when which steps stop waiting; `waits` of the run says whether one still counts."""
        self._most_timers = FEW
        """So many of them are kept without looking whether they still count."""
        self.totals: dict[RunStatus, int] = {}
        self.sessions = Sessions()
        self.projects: dict[str, ProjectView] = {}
        self.handlers = {
            WorkflowDefined: self._on_defined,
            WorkflowDeleted: self._on_deleted,
            PlanRecorded: self._on_plan,
            RunCreated: self._on_created,
            RunForked: self._on_forked,
            RunPaused: self._on_paused,
            RunResumed: self._on_resumed,
            RunHeld: self._on_held,
            RunBegun: self._on_begun,
            RunAdopted: self._on_adopted,
            StepScheduled: self._on_scheduled,
            StepSpread: self._on_spread,
            ItemsScheduled: self._on_items_scheduled,
            ItemEnded: self._on_item_ended,
            ItemWaiting: self._on_item_waiting,
            StepWaiting: self._on_waiting,
            SignalReceived: self._on_signal,
            UndoScheduled: self._on_undo_scheduled,
            UndoEnded: self._on_undo_ended,
            StepCompleted: self._on_completed,
            CallCached: self._on_cached,
            StepFailed: self._on_failed,
            StepSkipped: self._on_skipped,
            StepCancelled: self._on_step_cancelled,
            RunEnding: self._on_ending,
            RunCompleted: self._on_run_completed,
            RunFailed: self._on_run_failed,
            RunCancelled: self._on_run_cancelled,
            CancelSettled: self._on_cancel_settled,
            SessionCreated: self.sessions.created,
            SessionClosed: self.sessions.closed,
            SessionReleased: self.sessions.released,
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
                    None if run.extras is NO_EXTRAS else run.extras.dump(),
                )
                for run in self.runs.values()
            ],
            "adoptable": [(*key, list(runs.items())) for key, runs in self.adoptable.items()],
            "cancelling": list(self.cancelling),
            "answered": [(*key, status.value, error) for key, (status, error) in self.answered.items()],
            "totals": [(status.value, count) for status, count in self.totals.items()],
            "sessions": self.sessions.dump(),
            "projects": [msgspec.structs.astuple(project) for project in self.projects.values()],
        }

    @classmethod
    def restore(cls, image: Any) -> SupervisorState:
        """Return the state whose `dump` was `image`."""
        state = cls()
        state.sessions.restore(image["sessions"])
        for plan_id, plan in image["graphs"]:
            state._add_graph(plan_id, _PLAN(plan))
        state.newest = dict(image["newest"])
        state.definitions = dict(image["definitions"])
        for row in image["runs"]:
            state._restore_run(row)
        state.adoptable = {tuple(key): dict(runs) for *key, runs in image["adoptable"]}
        state.cancelling = dict.fromkeys(image["cancelling"])
        state.answered = {
            (run_id, step, *(item or (-1,))): (RunStatus(status), error)
            for run_id, step, *item, status, error in image["answered"]
        }
        state.totals = {RunStatus(status): count for status, count in image["totals"]}
        state.projects = {row[0]: ProjectView(*row) for row in image["projects"]}
        return state

    def _restore_run(self, row: Any) -> None:
        run_id, plan_id, params, session_id, project, steps, missing, left, error, ending, extras = row
        graph = self.graphs[plan_id]
        graph.runs += 1
        run = self.runs[run_id] = Run(run_id, graph, params, session_id, project)
        run.steps = [StepStatus(status) for status in steps]
        run.missing, run.left, run.error, run.ending = list(missing), left, error, ending
        run.stuck = sum(map(run.steps.count, LOST))
        if extras is not None:
            run.extras = Extras.restore(extras)
            for step, due_us in run.extras.waits.items():
                self._await(run, step, due_us)
            for step, fan in run.extras.fans.items():
                for item in fan.runs:
                    self._await_item(run, step, item)
        if session_id and run.extras.parent:
            self.sessions.accompany(session_id, run_id)
        elif session_id:
            (self.sessions.hold if run.extras.held else self.sessions.enter)(session_id, run_id)

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
            self._add_graph(event.plan_id, event.plan)
        before = self.newest.get(workflow)
        self.newest[workflow] = event.plan_id
        if before is not None and before != event.plan_id:
            self._replaced.append(before)  # a plan that is recorded next may need it, or one of its steps

    def _add_graph(self, plan_id: str, plan: Plan) -> None:
        graph = self.graphs[plan_id] = Graph(plan_id, plan)
        for child in graph.children:
            self.plan_uses[child] = self.plan_uses.get(child, 0) + 1

    def _drop_unused(self, plan_id: str) -> None:
        """Forget a plan that nothing needs, and those that were needed by it alone."""
        stack = [plan_id]
        while stack:
            unused = stack.pop()
            graph = self.graphs.get(unused)
            if graph is None or graph.runs or unused in self.plan_uses:
                continue
            if self.newest.get(graph.plan.workflow) == unused:
                continue
            del self.graphs[unused]
            for child in graph.children:
                self.plan_uses[child] -= 1
                if not self.plan_uses[child]:
                    del self.plan_uses[child]
                    stack.append(child)

    # -- runs --------------------------------------------------------------------------------------------------

    def _on_created(self, event: RunCreated) -> None:
        graph = self.graphs[event.plan_id]
        graph.runs += 1
        while self._replaced:
            self._drop_unused(self._replaced.pop())
        run = self.new_run(event.run_id, graph, event.params, event.session_id, event.project)
        self.runs[event.run_id] = run
        if event.parent:
            run.extend().parent = event.parent
        if event.session_id:
            (self.sessions.accompany if event.parent else self.sessions.enter)(event.session_id, event.run_id)
        if event.owner:
            run.extend().owner = event.owner
        self._count(RunStatus.RUNNING)
        if event.blocking:
            key = (event.workflow, event.params, event.session_id, event.project)
            self.adoptable.setdefault(key, {})[event.run_id] = event.epoch
        if event.project:
            project = self.projects[event.project]
            self.projects[event.project] = msgspec.structs.replace(project, runs=project.runs + 1)

    def new_run(self, run_id: str, graph: Graph, params: bytes, session_id: str, project: str) -> Run:
        """Return a run that is about to begin, or has just done so."""
        run = Run(run_id, graph, params, session_id, project)
        if session_id and self.sessions.has_task_limit(session_id):
            run.extend().limited = True
        return run

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

    def _unadoptable(self, key: Adoption, run_id: str) -> None:
        runs = self.adoptable[key]
        del runs[run_id]
        if not runs:
            del self.adoptable[key]

    def _on_scheduled(self, event: StepScheduled) -> None:
        self.runs[event.run_id].steps[event.step] = StepStatus.RUNNING

    def _on_completed(self, event: StepCompleted) -> None:
        self._end_step(event.run_id, event.step, StepStatus.COMPLETED)

    def _end_step(
        self, run_id: str, step: int, status: StepStatus, *, spared: bool = False, lost: bool = False
    ) -> Run:
        run = self.runs[run_id]
        run.end_step(step, status, spared=spared, lost=lost)
        if run.extras is not NO_EXTRAS and step in run.extras.waits:
            self._stop_waiting(run, step)
        elif step in run.extras.fans:
            for item in tuple(run.extras.fans[step].runs):
                self._stop_awaiting_item(run, step, item)
        if run.is_to_undo(step, status):
            run.extend().undo.append(step)
        return run

    def _on_cached(self, event: CallCached) -> None:
        """Nothing: workers look it up in the log."""

    def _on_failed(self, event: StepFailed) -> None:
        run = self.runs[event.run_id]
        if event.step in run.extras.fans:  # its other items are stopped
            self.cancelling.update(dict.fromkeys(run.owed_jobs(event.step)))
        self._end_step(event.run_id, event.step, StepStatus.FAILED)
        options = run.graph.options.get(event.step)
        if not run.error and (options is None or options.required):
            run.error = run.failure(event.step, event.error)

    def _on_skipped(self, event: StepSkipped) -> None:
        spared = event.because == event.step
        self._end_step(event.run_id, event.step, StepStatus.SKIPPED, spared=spared, lost=event.lost)

    def _on_ending(self, event: RunEnding) -> None:
        run = self.runs[event.run_id]
        run.ending, run.error = event.status, event.error
        run.left = len(run.graph.last)
        if run.extras.paused:  # what is left is not to be held back
            run.extras.paused = False
        if run.extras.held:
            self._begin(run)

    def _on_step_cancelled(self, event: StepCancelled) -> None:
        run = self.runs[event.run_id]
        for job_id in run.owed_jobs(event.step):
            self.cancelling[job_id] = None
        self._end_step(event.run_id, event.step, StepStatus.CANCELLED)

    def _end_run(self, run_id: str, status: RunStatus, epoch: int, error: str = "") -> None:
        run = self.runs.pop(run_id)
        run.graph.runs -= 1
        self._drop_unused(run.graph.plan_id)
        self._count(RunStatus.RUNNING, -1)
        self._count(status)
        key = adoption(run)
        if run.session_id:
            self.sessions.leave(run.session_id, run_id)
        if self.adoptable.get(key, {}).get(run_id) == epoch:
            self._unadoptable(key, run_id)  # whoever waits for it is still there
        for waiting in self.awaited.pop(run_id, ()):
            self.answered[waiting] = (status, error)
        self.retire(run_id, status)

    def _on_run_completed(self, event: RunCompleted) -> None:
        self._end_run(event.run_id, RunStatus.COMPLETED, event.epoch)

    def _on_run_failed(self, event: RunFailed) -> None:
        self._end_run(event.run_id, RunStatus.FAILED, event.epoch, event.error)

    def _on_run_cancelled(self, event: RunCancelled) -> None:
        run = self.runs[event.run_id]
        if event.run_id in self.adoptable.get(adoption(run), {}):
            self._unadoptable(adoption(run), event.run_id)  # nobody asks for a cancelled run again
        if run.extras.undoing >= 0:
            self.cancelling[run.job_id(run.extras.undoing, UNDO)] = None
        self._end_run(event.run_id, RunStatus.CANCELLED, event.epoch)

    def _on_cancel_settled(self, event: CancelSettled) -> None:
        part = f":{event.part}" if event.part else ""
        self.cancelling.pop(f"{event.run_id}.{event.step}{part}", None)
        if event.succeeded:
            self.runs[event.run_id].extend().undo.append(event.step)

    # -- what only few runs have -----------------------------------------------------------------------------

    def _on_forked(self, event: RunForked) -> None:
        self.runs[event.run_id].keep(event.kept)

    def _on_paused(self, event: RunPaused) -> None:
        self.runs[event.run_id].extend().paused = True

    def _on_resumed(self, event: RunResumed) -> None:
        self.runs[event.run_id].extend().paused = False

    def _on_held(self, event: RunHeld) -> None:
        run = self.runs[event.run_id]
        run.extend().held = True
        if run.session_id:
            self.sessions.hold(run.session_id, event.run_id)

    def _on_begun(self, event: RunBegun) -> None:
        self._begin(self.runs[event.run_id])

    def _begin(self, run: Run) -> None:
        run.extras.held = False
        if run.session_id:
            self.sessions.enter(run.session_id, run.run_id)

    def _on_spread(self, event: StepSpread) -> None:
        self.runs[event.run_id].extend().fans[event.step] = Fan(event.count)

    def _on_items_scheduled(self, event: ItemsScheduled) -> None:
        fan = self.runs[event.run_id].extras.fans[event.step]
        fan.next = event.first + event.count
        fan.flying.update(dict.fromkeys(range(event.first, fan.next)))

    def _on_item_waiting(self, event: ItemWaiting) -> None:
        run = self.runs[event.run_id]
        fan = run.extras.fans[event.step]
        del fan.flying[event.item]
        fan.runs[event.item] = None
        self._await_item(run, event.step, event.item)

    def _on_item_ended(self, event: ItemEnded) -> None:
        run = self.runs[event.run_id]
        fan = run.extras.fans[event.step]
        if event.item in fan.runs:
            self._stop_awaiting_item(run, event.step, event.item)
        else:
            del fan.flying[event.item]
        if event.error:
            fan.failed += 1
            fan.error = fan.error or f"item {event.item}: {event.error}"

    def _on_waiting(self, event: StepWaiting) -> None:
        run = self.runs[event.run_id]
        run.steps[event.step] = StepStatus.WAITING
        extras = run.extend()
        extras.waits[event.step] = event.due_us
        if event.other:
            extras.others[event.step] = event.other
        self._await(run, event.step, event.due_us)

    def _await(self, run: Run, step: int, due_us: int) -> None:
        if due_us:
            heapq.heappush(self.timers, (due_us, run.run_id, step))
            if len(self.timers) > self._most_timers:
                self._forget_timers()
        other = run.extras.others.get(step)
        if other:
            self.awaited.setdefault(other, {})[run.run_id, step, -1] = None

    def _await_item(self, run: Run, step: int, item: int) -> None:
        self.awaited.setdefault(run.job_id(step, str(item)), {})[run.run_id, step, item] = None

    def _stop_awaiting_item(self, run: Run, step: int, item: int) -> None:
        del run.extras.fans[step].runs[item]
        self._stop_awaiting((run.run_id, step, item), run.job_id(step, str(item)))

    def _forget_timers(self) -> None:
        """Drop the timers of what waits no more, which may be far from the first."""
        self.timers = [timer for timer in self.timers if self._still_waits(*timer)]
        heapq.heapify(self.timers)
        self._most_timers = max(FEW, 2 * len(self.timers))

    def _stop_waiting(self, run: Run, step: int) -> None:
        del run.extras.waits[step]
        self._stop_awaiting((run.run_id, step, -1), run.extras.others.get(step, ""))
        while self.timers and not self._still_waits(*self.timers[0]):
            heapq.heappop(self.timers)

    def _stop_awaiting(self, who: Waiting, other: str) -> None:
        self.answered.pop(who, None)
        waiting = self.awaited.get(other)
        if waiting is not None:
            waiting.pop(who, None)
            if not waiting:
                del self.awaited[other]

    def _still_waits(self, due_us: int, run_id: str, step: int) -> bool:
        run = self.runs.get(run_id)
        return run is not None and run.extras.waits.get(step) == due_us

    def _on_signal(self, event: SignalReceived) -> None:
        self.runs[event.run_id].extend().signals[event.step] = digest(event.value)

    def _on_undo_scheduled(self, event: UndoScheduled) -> None:
        extras = self.runs[event.run_id].extras
        extras.undoing = event.step
        extras.undo.remove(event.step)

    def _on_undo_ended(self, event: UndoEnded) -> None:
        run = self.runs[event.run_id]
        run.extras.undoing = -1
        if event.error:
            failure = run.undo_failure(event.step, event.error)
            run.extras.undo_error = run.extras.undo_error or failure

    # -- projects ------------------------------------------------------------------------------------------

    def _on_project_created(self, event: ProjectCreated) -> None:
        self.projects[event.name] = ProjectView(
            event.name, event.kind, event.description, event.folder, "active", event.at_us, 0
        )

    def _on_project_updated(self, event: ProjectUpdated) -> None:
        self.projects[event.name] = msgspec.structs.replace(self.projects[event.name], status=event.status)
