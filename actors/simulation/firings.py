"""What becomes of firings: a schedule begins none beside another unless it may, and hears of the end of each."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from actors.queue.specs import FINAL, JobStatus
from actors.schedule.messages import (
    ScheduleBackfilled,
    ScheduleClosed,
    ScheduleFired,
    SchedulePut,
    ScheduleTriggered,
)
from actors.workflow.events import RunCreated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.messages import Event
    from actors.simulation.checks import JobHistory

MAY_OVERLAP = ("allow", "cancel_previous")
STATUS_OF: Mapping[str, str] = MappingProxyType(
    {"RunCompleted": "COMPLETED", "RunFailed": "FAILED", "RunCancelled": "CANCELLED"}
)


class Firings:
    """Every firing, judged by what became of its job, and of its run if it is one of a workflow."""

    def __init__(self, jobs: Mapping[str, JobHistory], runs: Mapping[str, str]) -> None:
        self._jobs = jobs
        self._runs = runs
        self._puts: dict[str, SchedulePut] = {}
        """By incarnation."""
        self._present: dict[str, str] = {}
        """The incarnation that a name has now."""
        self._open: dict[str, dict[str, None]] = {}
        """By incarnation, the firings that are not known to be over."""
        self._puts_of: dict[str, SchedulePut] = {}
        """Of each firing."""
        self._never: set[str] = set()
        """Firings whose runs will not begin."""

    def take(self, event: Event) -> str:
        """Return what the event breaks, or nothing."""
        if isinstance(event, SchedulePut):
            self._puts[event.schedule_id] = event
            self._present[event.name] = event.schedule_id
        elif isinstance(event, ScheduleFired):
            incarnation = event.job_id.rpartition(".")[0]
            if self._puts[incarnation].policies.overlap not in MAY_OVERLAP and self._goes_on(incarnation):
                return "fired though a firing before it has not ended"
            self._opened(incarnation, event.job_id)
        elif isinstance(event, ScheduleTriggered):
            self._opened(self._present[event.name], event.job_id)
        elif isinstance(event, ScheduleBackfilled):
            incarnation = self._present[event.name]
            for scheduled_us, _ in event.instants:
                self._opened(incarnation, f"{incarnation}.{scheduled_us}")
        elif isinstance(event, ScheduleClosed):
            return self._closed(event)
        elif isinstance(event, RunCreated) and event.run_id in self._never:
            return "begun, though its schedule was told that it never will be"
        return ""

    def _closed(self, event: ScheduleClosed) -> str:
        if self._is_planned(event.job_id) and event.job_id not in self._runs:
            self._never.add(event.job_id)  # refused, or cancelled before it began
            return ""
        end = self._end_of(event.job_id)
        return "" if end == event.status else f"closed, though it is {end or 'not over'}"

    def _opened(self, incarnation: str, job_id: str) -> None:
        self._puts_of[job_id] = self._puts[incarnation]
        self._open.setdefault(incarnation, {})[job_id] = None

    def _goes_on(self, incarnation: str) -> bool:
        """Whether a firing of this incarnation is not over."""
        fired = self._open.get(incarnation, {})
        for job_id in [job_id for job_id in fired if self._end_of(job_id)]:
            del fired[job_id]
        return bool(fired)

    def _end_of(self, job_id: str) -> str:
        """Return how a firing has ended; empty: it has not."""
        if job_id in self._never:
            return "CANCELLED"
        if self._is_planned(job_id):
            return STATUS_OF.get(self._runs.get(job_id, ""), "")
        job = self._jobs.get(job_id)
        return str(job.status) if job is not None and job.status in FINAL else ""

    def _is_planned(self, job_id: str) -> bool:
        """Whether a firing is to be a run, and its job has said of what."""
        job = self._jobs.get(job_id)
        is_run = bool(self._puts_of[job_id].target.workflow)
        return is_run and job is not None and job.status is JobStatus.COMPLETED
