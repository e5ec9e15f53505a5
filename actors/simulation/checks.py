"""What must hold of every log, and of everything that was said: the invariants of the simulation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.messages import (
    AttemptInterrupted,
    AttemptRefused,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobEvent,
    JobFailed,
    JobLeased,
    JobReady,
    JobRetried,
    JobRetrying,
    JobStarted,
    JobStatus,
    JobUnresolved,
)
from actors.simulation.limits import Limits
from actors.workflow.messages import (
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.runtime.messages import Event

RUN_ENDS = (RunCompleted, RunFailed, RunCancelled)
STEP_ENDS = (StepCompleted, StepFailed, StepSkipped, StepCancelled)
ATTEMPT_ENDS = (JobCompleted, JobRetrying, JobFailed, AttemptInterrupted, JobCancelled, JobUnresolved)


STATUS_AFTER: Mapping[type[Event], JobStatus] = MappingProxyType(
    {
        JobCompleted: JobStatus.COMPLETED,
        JobRetrying: JobStatus.RETRYING,
        JobFailed: JobStatus.FAILED,
        AttemptInterrupted: JobStatus.PENDING,
        JobCancelled: JobStatus.CANCELLED,
        JobUnresolved: JobStatus.UNRESOLVED,
    }
)
"""What the end of an attempt leaves a job in."""


class Violation(BaseException):
    """Something that must never happen has happened. Nothing that catches an `Exception` may swallow it."""


def violated(rule: str, detail: object = "") -> Violation:
    """Return a violation of a rule, named the same for every case of it."""
    return Violation(f"{rule}: {detail}" if detail else rule)


class JobHistory:
    """What one job's events say, checked as they come."""

    def __init__(self, event: JobEnqueued) -> None:
        self.spec = event.spec
        self.status = JobStatus.SCHEDULED if event.spec.due_us > event.at_us else JobStatus.PENDING
        self.attempt = 0
        self.open = False
        self.statuses = {str(self.status)}
        """Every status that it ever had."""

    def take(self, event: Any) -> None:
        """Check one event."""
        kind = type(event)
        if (
            self.status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
            and kind is not JobRetried
        ):
            raise violated("terminal state final", event)
        if kind in (JobStarted, JobLeased):
            if event.attempt != self.attempt + 1 or self.open:
                raise violated("attempt numbers", event)
            self.attempt = event.attempt
            self.open = True
            self.status = JobStatus.RUNNING
        elif kind in ATTEMPT_ENDS:
            self._end(event)
        elif kind in (JobReady, JobRetried):
            self.status = JobStatus.PENDING
        self.statuses.add(str(self.status))

    def _end(self, event: Any) -> None:
        if not isinstance(event, JobCancelled):
            if not self.open or event.attempt != self.attempt:
                raise violated("one result per attempt", event)
        self.open = False
        self.status = STATUS_AFTER[type(event)]
        if isinstance(event, JobRetrying) and event.due_us <= event.at_us:
            self.status = JobStatus.PENDING


class History:
    """A log, read from its beginning and checked event by event (I2, I4–I9, I12)."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobHistory] = {}
        self.runs: dict[str, str] = {}
        """`open`, or how it ended, by run."""
        self.steps: dict[tuple[str, int], str] = {}
        self.fired: set[tuple[str, int]] = set()
        self.limits = Limits()
        self.length = 0

    def take_all(self, events: Iterable[Event]) -> None:
        """Check the events that follow."""
        for event in events:
            self.length += 1
            self._take(event)
            job = self.jobs.get(getattr(event, "job_id", ""))
            broken = self.limits.take(event, None if job is None else job.spec)
            if broken:
                raise violated(broken, event)

    def _take(self, event: Any) -> None:
        if isinstance(event, JobEnqueued):
            self._enqueued(event)
        elif isinstance(event, JobEvent) and not isinstance(event, AttemptRefused):
            self.jobs[event.job_id].take(event)
        elif isinstance(event, JobRetried):
            self.jobs[event.spec.job_id].take(event)
        elif isinstance(event, RunCreated):
            if event.run_id in self.runs:
                raise violated("run created twice", event)
            self.runs[event.run_id] = "open"
        elif isinstance(event, (StepScheduled, *STEP_ENDS)):
            self._step(event)
        elif isinstance(event, RUN_ENDS):
            if self.runs.get(event.run_id) != "open":
                raise violated("terminal state final", event)
            self.runs[event.run_id] = type(event).__name__
        elif type(event).__name__ == "ScheduleFired":
            self._fired(event)

    def _enqueued(self, event: JobEnqueued) -> None:
        spec = event.spec
        if spec.job_id in self.jobs:
            raise violated("job created twice", spec.job_id)
        self.jobs[spec.job_id] = JobHistory(event)
        if spec.owner.startswith("run:"):
            run_id, _, step = spec.job_id.rpartition(".")
            if self.steps.get((run_id, int(step))) is None:
                raise violated("effect before cause (job without its step)", spec.job_id)

    def _step(self, event: Any) -> None:
        key = (event.run_id, event.step)
        before = self.steps.get(key)
        if isinstance(event, StepScheduled):
            if before is not None:
                raise violated("step scheduled twice", event)
            self.steps[key] = "scheduled"
            return
        if before not in (None, "scheduled"):
            raise violated("terminal state final", event)
        if isinstance(event, StepCompleted | StepFailed):
            job = self.jobs.get(f"{event.run_id}.{event.step}")
            done = (
                (JobStatus.COMPLETED,)
                if isinstance(event, StepCompleted)
                else (JobStatus.FAILED, JobStatus.CANCELLED)
            )
            if job is None or job.status not in done:
                raise violated("effect before cause (step done, job not)", event)
        self.steps[key] = type(event).__name__

    def _fired(self, event: Any) -> None:
        key = (event.job_id, event.scheduled_us)
        if key in self.fired:
            raise violated("fired twice", event)
        self.fired.add(key)
