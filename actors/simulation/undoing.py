"""What a run that does not succeed leaves behind: every call that had succeeded, and can be undone, is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.specs import JobStatus
from actors.workflow.events import RunCancelled, RunEnding, RunFailed, UndoEnded, UndoScheduled
from actors.workflow.specs import RunStatus, StepOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.runtime.messages import Event
    from actors.simulation.checks import JobHistory
    from actors.workflow.specs import Plan

UNDOABLE = StepOptions(compensate="m:short")
"""The options of a step that is one call, and can be undone."""


class Undoing:
    """The compensations of each run, judged at its end by what became of its jobs."""

    def __init__(self, jobs: Mapping[str, JobHistory], plan_of: Mapping[str, Plan]) -> None:
        self._jobs = jobs
        self._plan_of = plan_of
        self._begun: set[tuple[str, int]] = set()
        self._under_way: set[str] = set()
        """Runs one of whose steps is being compensated."""
        self._content: set[str] = set()
        """Runs whose steps have ended well: nothing of them is undone."""

    def take(self, event: Event) -> str:
        """Return what the event breaks, or nothing."""
        if isinstance(event, RunEnding) and event.status == RunStatus.COMPLETED:
            self._content.add(event.run_id)
        elif isinstance(event, UndoScheduled):
            self._begun.add((event.run_id, event.step))
            self._under_way.add(event.run_id)
        elif isinstance(event, UndoEnded):
            self._under_way.discard(event.run_id)
        elif isinstance(event, RunFailed | RunCancelled) and event.run_id not in self._content:
            cut_off = event.run_id in self._under_way  # by cancelling what is done at the end
            if not cut_off and any(self._left(event.run_id)):
                return "a step that had succeeded is not compensated"
        return ""

    def _left(self, run_id: str) -> Iterator[bool]:
        for number, step in enumerate(self._plan_of[run_id].steps):
            job = self._jobs.get(f"{run_id}.{number}")
            if step.options == UNDOABLE and job is not None and "retried" not in job.told:
                yield job.status is JobStatus.COMPLETED and (run_id, number) not in self._begun
