"""What a queue is, as plainly as it can be said: a list of jobs and what each command does to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from actors.queue.outcome import MIN_STARTS
from actors.queue.specs import Conflict, JobSpec, JobStatus, QueueSettings, RetryPolicy, Scope, Terms, Unique

LIVE = (
    JobStatus.PENDING,
    JobStatus.SCHEDULED,
    JobStatus.RETRYING,
    JobStatus.RUNNING,
    JobStatus.UNRESOLVED,
)


@dataclass
class ModelJob:
    """Everything about one job."""

    job_id: str
    queue: str
    priority: int
    retry: RetryPolicy
    key: str
    unique: Unique | None
    on_failure_of: str
    waits: list[str]
    status: JobStatus = JobStatus.PENDING
    place: int = 0
    due_us: int = 0
    attempt: int = 0
    charged: int = 0
    until_us: int = 0
    lease: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    """Of which queues it has its unique key until when, 0: until something happens.

    What is taken for a period stays where it is when the job is moved, and is taken there too if it is retried.
    """

    @property
    def live(self) -> bool:
        return self.status in LIVE


class Refused(Exception):  # noqa: N818 -- it is what happens, not what went wrong
    """The command changes nothing."""


@dataclass
class Model:
    """All queues."""

    now_us: int
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    draining: set[str] = field(default_factory=set)
    settings: dict[str, QueueSettings] = field(default_factory=dict)
    retried: Counter[str] = field(default_factory=Counter)
    places: int = 0

    # -- what there is ------------------------------------------------------------------------------------

    def of(self, queue: str, *statuses: JobStatus) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.queue == queue and job.status in statuses]

    def ready(self, queue: str) -> list[ModelJob]:
        found = [job for job in self.of(queue, JobStatus.PENDING) if not job.waits]
        return sorted(found, key=lambda job: (-job.priority, job.place))

    def holder(self, queue: str, key: str) -> ModelJob | None:
        for job in self.jobs.values():
            if queue in job.keys and job.unique is not None and job.unique.key == key:
                if not job.keys[queue] or job.keys[queue] > self.now_us:
                    return job
        return None

    def stand(self, job: ModelJob, status: JobStatus = JobStatus.PENDING) -> None:
        self.places += 1
        job.place = self.places
        job.status = status

    # -- commands ------------------------------------------------------------------------------------------

    def enqueue(self, specs: Iterable[JobSpec]) -> list[str]:
        specs = list(specs)
        return [self._enqueue(spec) for spec in specs]

    def _enqueue(self, spec: JobSpec) -> str:
        if spec.queue in self.draining:
            raise Refused
        terms = spec.terms or Terms()
        unique = terms.unique
        waits = [each for each in (*spec.after, terms.on_failure_of) if each]
        if unique is not None and (other := self.holder(spec.queue, unique.key)) is not None:
            if unique.conflict is Conflict.RETURN:
                return other.job_id
            if unique.conflict is Conflict.REJECT or (other.live and other.attempt):
                raise Refused
            if other.live and self.follow(waits, other):
                raise Refused
            del other.keys[spec.queue]
            if other.live:
                self.end(other, JobStatus.CANCELLED)
        job = ModelJob(
            spec.job_id, spec.queue, spec.priority, spec.retry, terms.key, unique, terms.on_failure_of, waits
        )
        self.jobs[spec.job_id] = job
        self.take_key(job)
        job.due_us = spec.due_us
        self.stand(job, JobStatus.SCHEDULED if spec.due_us > self.now_us else JobStatus.PENDING)
        return spec.job_id

    def follow(self, waits: list[str], other: ModelJob) -> bool:
        """Whether one of these jobs is another one, or waits for it."""
        return any(each == other.job_id or self.follow(self.jobs[each].waits, other) for each in waits)

    def take_key(self, job: ModelJob) -> None:
        if job.unique is not None:
            period = job.unique.scope is Scope.PERIOD
            job.keys[job.queue] = self.now_us + job.unique.period_us if period else 0

    def lease(self, queue: str, span_us: int) -> ModelJob | None:
        settings = self.settings.get(queue, QueueSettings())
        running = self.of(queue, JobStatus.RUNNING)
        if queue in self.paused or (settings.concurrency and len(running) >= settings.concurrency):
            return None
        for job in self.ready(queue):
            mine = sum(other.key == job.key for other in running)
            if job.key and settings.key_concurrency and mine >= settings.key_concurrency:
                continue
            job.status = JobStatus.RUNNING
            job.attempt += 1
            job.until_us = self.now_us + span_us
            self.places += 1
            job.lease = self.places
            if job.unique is not None and job.unique.scope is Scope.PENDING:
                job.keys.clear()
            return job
        return None

    def settle(self, job: ModelJob, outcome: str) -> None:
        job.charged += 1
        if outcome == "ok":
            self.end(job, JobStatus.COMPLETED)
        elif job.charged > job.retry.max_retries:
            self.end(job, JobStatus.FAILED)
        else:
            self.retried[job.queue] += 1
            job.due_us = self.now_us + job.retry.base_us
            self.stand(job, JobStatus.RETRYING if job.retry.base_us else JobStatus.PENDING)

    def policy(self, job: ModelJob) -> RetryPolicy:
        """Return how often, and when, a job is tried again."""
        return job.retry

    def interrupt(self, job: ModelJob) -> None:
        job.charged += 1
        if job.charged >= max(self.policy(job).max_retries + 1, MIN_STARTS):
            self.end(job, JobStatus.FAILED)
        else:
            self.stand(job)

    def end(self, job: ModelJob, status: JobStatus) -> None:
        job.status = status
        if job.keys.get(job.queue) == 0:
            job.keys.clear()
        others = [other for other in self.jobs.values() if other.live and job.job_id in other.waits]
        for other in others:
            wanted = status is (
                JobStatus.FAILED if other.on_failure_of == job.job_id else JobStatus.COMPLETED
            )
            if wanted:
                other.waits = [each for each in other.waits if each != job.job_id]
                if not other.waits and other.status is JobStatus.PENDING:
                    self.stand(other)
        for other in others:
            if other.live and job.job_id in other.waits:
                other.waits = []
                self.end(other, JobStatus.CANCELLED)

    def retry(self, job: ModelJob) -> None:
        if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED) or job.queue in self.draining:
            raise Refused
        if job.unique is not None and self.holder(job.queue, job.unique.key) not in (None, job):
            raise Refused
        job.waits, job.charged, job.due_us = [], 0, 0
        self.take_key(job)
        self.stand(job)

    def retry_many(self, jobs: Iterable[ModelJob]) -> tuple[str, ...]:
        revived = []
        for job in jobs:
            with suppress(Refused):
                self.retry(job)
                revived.append(job.job_id)
        return tuple(revived)

    def discard(self, job: ModelJob) -> None:
        if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
            raise Refused
        job.status = JobStatus.CANCELLED

    def move(self, jobs: list[ModelJob], queue: str, *, strict: bool) -> tuple[str, ...]:
        if queue in self.draining:
            raise Refused
        keys: set[str] = set()
        able = [job for job in jobs if self._can_move(job, queue, keys)]
        if strict and able != jobs:
            raise Refused
        for job in able:
            if job.keys.get(job.queue) == 0:
                job.keys = {queue: 0}
            job.queue = queue
            self.stand(job, job.status)
        return tuple(job.job_id for job in able)

    def _can_move(self, job: ModelJob, queue: str, keys: set[str]) -> bool:
        if not job.live or job.status is JobStatus.RUNNING or job.queue == queue:
            return False
        if job.unique is not None and job.keys.get(job.queue) == 0:
            if job.unique.key in keys or self.holder(queue, job.unique.key) is not None:
                return False
            keys.add(job.unique.key)
        return True

    def clear(self, queue: str) -> int:
        gone = self.of(queue, JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.RETRYING)
        for job in gone:
            if job.live:
                self.end(job, JobStatus.CANCELLED)
        return len(gone)

    def pass_time(self, by_us: int) -> None:
        self.now_us += by_us
        waiting = [
            job for job in self.jobs.values() if job.status in (JobStatus.SCHEDULED, JobStatus.RETRYING)
        ]
        for job in sorted(waiting, key=lambda job: (job.due_us, job.place)):
            if job.due_us <= self.now_us:
                self.stand(job)
        leased = [job for job in self.jobs.values() if job.status is JobStatus.RUNNING]
        for job in sorted(leased, key=lambda job: (job.until_us, job.lease)):
            if job.until_us <= self.now_us:
                self.interrupt(job)

    def crash(self) -> None:
        leased = [job for job in self.jobs.values() if job.status is JobStatus.RUNNING]
        for job in sorted(leased, key=lambda job: job.lease):
            self.interrupt(job)
