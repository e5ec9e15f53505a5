"""What the queue records."""

from __future__ import annotations

from typing import ClassVar

from actors.queue.specs import JobSpec, QueueSettings
from actors.runtime.messages import Event


class JobEvent(Event, frozen=True):
    """A fact about one job."""

    job_id: str

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.job_id}"


class JobEnqueued(Event, frozen=True, tag="job.enqueued"):
    """A job was accepted."""

    spec: JobSpec
    digest: bytes
    """Fingerprint of the spec: another body under the same id is a conflict."""
    at_us: int
    missing: int = 0
    """How many of the jobs named in `spec.after` had not completed yet."""

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.spec.job_id}"


class JobReady(JobEvent, frozen=True, tag="job.ready"):
    """A job that waited may start: its time came, what it waited for completed, its function was found."""

    at_us: int
    reason: str


class JobUnblocked(JobEvent, frozen=True, tag="job.unblocked"):
    """One of the jobs that this one waits for has completed, others have not."""

    by: str


class JobStarted(JobEvent, frozen=True, tag="job.started"):
    """An attempt was given to the executor. Durable before the function begins."""

    attempt: int
    epoch: int
    at_us: int
    behind: int = 0
    """Attempts that were ahead of it when no worker was free; 0: a worker takes it at once."""


class BatchStarted(JobEvent, frozen=True, tag="batch.started"):
    """Attempts that have just started, of this job and of others, are made in one call, on one worker."""

    attempt: int
    others: tuple[tuple[str, int], ...]
    """The other jobs and the numbers of their attempts."""
    epoch: int
    at_us: int


class JobLeased(JobEvent, frozen=True, tag="job.leased"):
    """An attempt was taken by hand until `until_us`."""

    attempt: int
    epoch: int
    at_us: int
    until_us: int


class JobCompleted(JobEvent, frozen=True, tag="job.completed"):
    """The job has succeeded."""

    final: ClassVar[bool] = True

    attempt: int
    result: bytes
    at_us: int
    run_us: int
    note: bytes = b""
    """For the job's owner: what it has to know of the result without reading it."""


class JobRetrying(JobEvent, frozen=True, tag="job.retrying"):
    """An attempt failed; the next one is not before `due_us`."""

    attempt: int
    error: str
    traceback: str
    at_us: int
    due_us: int


class JobFailed(JobEvent, frozen=True, tag="job.failed"):
    """The last attempt failed, or what the job waited for did. It stays until somebody retries it."""

    final: ClassVar[bool] = True

    attempt: int
    error: str
    traceback: str
    at_us: int


class AttemptInterrupted(JobEvent, frozen=True, tag="attempt.interrupted"):
    """The end of its process, or of its lease, cut an attempt short. The job is ready again."""

    attempt: int
    at_us: int
    charged: bool
    """Whether it counts: a start that may never have reached a worker, and one cut by `close`, do not."""
    reason: str


class AttemptRefused(JobEvent, frozen=True, tag="attempt.refused"):
    """A result came from an attempt that another one has superseded; it was not used."""

    attempt: int
    outcome: str
    at_us: int


class AttemptPrinted(JobEvent, frozen=True, tag="attempt.printed"):
    """What an attempt in a process has printed, of which the end is kept; what it came to is the next event."""

    attempt: int
    output: str
    at_us: int


class AttemptTimedOut(JobEvent, frozen=True, tag="attempt.timed_out"):
    """An attempt took too long and was abandoned; its failure is the next event. What it still does is refused."""

    attempt: int
    at_us: int
    limit_us: int
    silent: bool = False
    """It gave no sign of life for so long."""


class JobSnoozed(JobEvent, frozen=True, tag="job.snoozed"):
    """The function asked to be called again from `due_us` on; this was no attempt."""

    attempt: int
    at_us: int
    due_us: int
    reason: str


class JobExpired(JobEvent, frozen=True, tag="job.expired"):
    """The job was not started in time, and never will be by itself."""

    final: ClassVar[bool] = True

    attempt: int
    at_us: int


class JobCancelled(JobEvent, frozen=True, tag="job.cancelled"):
    """The job was cancelled."""

    final: ClassVar[bool] = True

    attempt: int
    at_us: int
    reason: str


class JobUnresolved(JobEvent, frozen=True, tag="job.unresolved"):
    """The function could not be found: the job waits, uncharged, until it can."""

    attempt: int
    error: str
    at_us: int


class JobRetried(Event, frozen=True, tag="job.retried"):
    """A failed or cancelled job was taken up again by hand."""

    spec: JobSpec
    """As it was enqueued, without the payload, which the first event has."""
    digest: bytes
    attempts: int
    """Attempts so far; the next one has the next number."""
    was: str
    at_us: int

    @property
    def entity(self) -> str:
        """The job."""
        return f"job:{self.spec.job_id}"


class JobDiscarded(JobEvent, frozen=True, tag="job.discarded"):
    """A job that did not succeed was given up; it is cancelled, and can be taken up again like any other."""

    final: ClassVar[bool] = True

    attempt: int
    queue: str
    was: str
    at_us: int
    reason: str


class JobMoved(JobEvent, frozen=True, tag="job.moved"):
    """A job that waits stands in another queue."""

    queue: str
    at_us: int


class QueuePaused(Event, frozen=True, tag="queue.paused"):
    """The queue starts nothing."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueResumed(Event, frozen=True, tag="queue.resumed"):
    """The queue starts jobs again, and takes new ones on."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueDraining(Event, frozen=True, tag="queue.draining"):
    """The queue takes no more jobs on."""

    queue: str
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class QueueConfigured(Event, frozen=True, tag="queue.configured"):
    """The queue has other settings."""

    queue: str
    settings: QueueSettings
    at_us: int

    @property
    def entity(self) -> str:
        """The queue."""
        return f"queue:{self.queue}"


class ResourceAdded(Event, frozen=True, tag="resource.added"):
    """A resource was defined or its capacity changed."""

    name: str
    kind: str
    capacity: float
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceEnding(Event, frozen=True, tag="resource.ending"):
    """No new job of nobody's may need the resource."""

    name: str
    last: bool
    """No job at all: it is removed as soon as nothing holds it."""
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceRemoved(Event, frozen=True, tag="resource.removed"):
    """The resource is there no more."""

    name: str
    at_us: int

    @property
    def entity(self) -> str:
        """The resource."""
        return f"resource:{self.name}"


class ResourceEvent(Event, frozen=True):
    """A fact about one allocation."""

    allocation_id: str

    @property
    def entity(self) -> str:
        """The allocation."""
        return f"allocation:{self.allocation_id}"


class ResourceRequested(ResourceEvent, frozen=True, tag="resource.requested"):
    """Somebody waits in line for amounts of resources."""

    requester: str
    amounts: tuple[tuple[str, float], ...]
    epoch: int
    at_us: int


class ResourceGranted(ResourceEvent, frozen=True, tag="resource.granted"):
    """The amounts are held from now on."""

    final: ClassVar[bool] = True

    requester: str
    amounts: tuple[tuple[str, float], ...]
    epoch: int
    at_us: int


class ResourceReleased(ResourceEvent, frozen=True, tag="resource.released"):
    """What was held, or waited for, is so no more."""

    final: ClassVar[bool] = True

    at_us: int
    reason: str


QUEUE_EVENTS: tuple[type[Event], ...] = (
    JobEnqueued,
    JobReady,
    JobUnblocked,
    JobStarted,
    BatchStarted,
    JobLeased,
    JobCompleted,
    JobRetrying,
    JobFailed,
    AttemptInterrupted,
    AttemptRefused,
    AttemptPrinted,
    AttemptTimedOut,
    JobSnoozed,
    JobExpired,
    JobCancelled,
    JobUnresolved,
    JobRetried,
    JobDiscarded,
    JobMoved,
    QueuePaused,
    QueueResumed,
    QueueDraining,
    QueueConfigured,
    ResourceAdded,
    ResourceRequested,
    ResourceGranted,
    ResourceReleased,
    ResourceEnding,
    ResourceRemoved,
)
