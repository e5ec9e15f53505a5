"""How the steps of a run end: what the end of one lets go, what it skips, and what it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.messages import CancelOwned
from actors.workflow.events import StepCancelled, StepCompleted, StepFailed, StepSkipped
from actors.workflow.jobs import Ahead
from actors.workflow.specs import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.queue.specs import JobSpec
    from actors.runtime.messages import Context, Decision
    from actors.workflow.run import Run
    from actors.workflow.state import SupervisorState

OPEN = (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING)


class StepEnds:
    """One decision about a run: it looks ahead of the state, which the decision's events have not changed yet."""

    def __init__(self, state: SupervisorState, run: Run, context: Context, decision: Decision) -> None:
        self._state = state
        self._run = run
        self._context = context
        self._now_us = context.now_us
        self._decision = decision
        self._left = run.left
        self._stuck = run.stuck
        self._error = run.error
        self._ending = run.ending
        self._paused = run.extras.paused
        self._held = run.extras.held
        self._undo = list(run.extras.undo)
        self._undo_error = run.extras.undo_error
        self._ahead = Ahead()
        self._missing: dict[int, int] = {}
        self._ready: list[int] = []
        self._jobs: list[JobSpec] = []
        self.orphans: list[str] = []
        """Runs that steps were which this decision has cancelled."""

    def completed(self, step: int, attempts: int, at_us: int, cached: str = "") -> None:
        """A step has succeeded; `cached` is the job whose output was used."""
        self._decision.emit(StepCompleted(self._run.run_id, step, attempts, at_us, cached))
        if step in self._run.graph.undoable:
            self._undo.append(step)
        self._end(step, StepStatus.COMPLETED)

    def failed(self, step: int, attempts: int, error: str, at_us: int, lost: int | None = None) -> None:
        """A step has failed for good; what needs it is skipped unless its author said otherwise.

        `lost`: so many of its items have failed, of one that is mapped over a list.
        """
        run = self._run
        self._decision.emit(StepFailed(run.run_id, step, attempts, error, at_us))
        if run.is_to_undo(step, StepStatus.FAILED, lost):
            self._undo.append(step)
        options = run.graph.options.get(step)
        if options is None or options.required:
            self._error = self._error or run.failure(step, error)
        self._end(step, StepStatus.FAILED)
        if options is not None and options.on_failure == "stop":
            self._stop(step)

    def _end(self, step: int, status: StepStatus) -> None:
        """Let go, or skip, without recursion, what waited for a step.

        What is behind a failure that fails the run is skipped at once, and what is behind that. Anything else that
        one which it needs does not let go is skipped when all of them have ended: such a failure may come yet.
        """
        run, graph = self._run, self._run.graph
        stack = [(step, status, status is StepStatus.FAILED and graph.is_fatal(step))]
        skipped: set[int] = set()
        while stack:
            because, status, lost = stack.pop()
            self._ahead.ended[because] = status
            self._left -= 1
            spared = status is StepStatus.SKIPPED and because == step
            passes = not lost and graph.passes(because, status, spared=spared)
            self._stuck += not passes
            for other in graph.dependents[because]:
                missing = self._missing.get(other, run.missing[other]) - passes
                self._missing[other] = missing
                if not missing:
                    if run.steps[other] is StepStatus.PENDING:
                        self._ready.append(other)
                elif (
                    (lost or self._is_hopeless(other, missing))
                    and other not in skipped
                    and self._is_open(other)
                ):
                    self._decision.emit(StepSkipped(run.run_id, other, because, self._now_us, lost))
                    skipped.add(other)
                    stack.append((other, StepStatus.SKIPPED, lost))

    def _is_hopeless(self, step: int, missing: int) -> bool:
        """Whether all that a step needs has ended, and so many of them, at least one, let nothing go."""
        return missing <= self._stuck and not any(
            self._is_open(other) for other in self._run.graph.plan.steps[step].depends_on
        )

    def _is_open(self, step: int) -> bool:
        return self._run.steps[step] in OPEN and step not in self._ahead.ended

    def _stop(self, because: int) -> None:
        """End whatever has not ended, on account of a step that failed."""
        for step in self._open():
            if self._run.steps[step] is StepStatus.PENDING:
                self._decision.emit(StepSkipped(self._run.run_id, step, because, self._now_us))
                self._ahead.ended[step] = StepStatus.SKIPPED
            else:
                self._cancel(step)
        self._left = 0
        self._ready.clear()

    def _open(self) -> Iterable[int]:
        """Return the steps of the present phase that have not ended."""
        graph = self._run.graph
        steps = graph.last if self._ending else graph.ordinary
        return [step for step in steps if self._is_open(step)]

    def _cancel(self, step: int) -> None:
        run = self._run
        self._decision.emit(StepCancelled(run.run_id, step, self._now_us))
        self._ahead.ended[step] = StepStatus.CANCELLED
        if run.is_to_undo(step, StepStatus.CANCELLED):
            self._undo.append(step)
        jobs = tuple(run.owed_jobs(step))
        self._ahead.doubts[step] = run.job_id(step) in jobs
        self._cancel_jobs(jobs)
        self.orphans += run.children(step)

    def _cancel_jobs(self, jobs: Iterable[str]) -> None:
        for job_id in jobs:
            self._decision.tell("queue", CancelOwned(job_id=job_id, owner=f"run:{self._run.run_id}"))
