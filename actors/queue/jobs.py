"""Live jobs: what many have in common, and what has become of each."""

from __future__ import annotations

import msgspec

from actors.queue.resources import Amounts
from actors.queue.specs import Backoff, JobLife, JobStatus, RetryPolicy, Scope
from actors.runtime.effects import AttemptKey

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
WAITING = frozenset({JobStatus.SCHEDULED, JobStatus.RETRYING})
"""The statuses of jobs that wait for an instant."""


class Kind(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What many jobs have in common: there is one of each, and its jobs stand in one lane."""

    queue: str
    function: str
    priority: int
    retry: RetryPolicy
    key: str = ""
    group: str = ""
    resources: Amounts = ()
    backoff: Backoff | None = None
    life: JobLife | None = None
    """Without an expiry, which each job has of its own."""
    batch: int = 0
    """How many of them are done in one call; 0: each in a call of its own."""

    @property
    def values(self) -> tuple[object, ...]:
        """What makes two kinds the same."""
        plain = (self.queue, self.function, self.priority, self.retry)
        terms = (self.key, self.group, self.resources, self.backoff)
        if self.batch:
            return (*plain, *terms, self.life, self.batch)
        if self.life is not None:
            return (*plain, *terms, self.life)
        return (*plain, *terms) if any(terms) else plain


class Course(msgspec.Struct, gc=False):
    """What has become of a job so far: made when there is something to say."""

    attempt: int = 0
    """Number of the newest attempt."""
    charged: int = 0
    """Attempts that count: those that failed, and interruptions that are charged."""
    counted: bool = True
    """Whether the running attempt surely reached a worker."""
    suspect: bool = False
    """An attempt was interrupted: perhaps the job kills its process, so it runs with nothing behind it."""
    due_us: int = 0
    epoch: int = 0
    missing: int = 0
    """Jobs it waits for."""
    unique: str = ""
    """The unique key that it has had."""
    scope: Scope = Scope.LIVE
    on_failure_of: str = ""
    """The job whose failure it waits for."""


class Untouched(Course, frozen=True, gc=False):  # type: ignore[misc]  # what may be written elsewhere is only read here
    """The course of a job that has only been enqueued."""


UNTOUCHED = Untouched()
"""Shared by all jobs that have only been enqueued."""


class Job(msgspec.Struct, gc=False, eq=False):
    """A live job: what deciding needs, nothing more. Its arguments and fingerprint stay on disk."""

    job_id: str
    kind: Kind
    owner: str
    course: Course
    status: JobStatus = _PENDING
    order: int = 0
    """Place in the line: first in, first out among equals."""

    @property
    def own(self) -> Course:
        """The course of this job alone, to be written in."""
        if self.course is UNTOUCHED:
            self.course = Course()
        return self.course

    @property
    def key(self) -> AttemptKey:
        """The newest attempt."""
        course = self.course
        return AttemptKey(self.job_id, course.attempt, course.epoch)

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self.kind.queue

    @property
    def has_not_begun(self) -> bool:
        """Whether no attempt has ever started."""
        return not self.course.attempt and self.status is not _RUNNING

    @property
    def goes_alone(self) -> bool:
        """Whether it is not to be in one call with others: it has failed before, or perhaps kills its process."""
        return bool(self.course.charged or self.course.suspect)

    @property
    def is_ready(self) -> bool:
        """Whether it could start now, if its queue is served and a worker free."""
        return self.status is _PENDING and not self.course.missing
