"""Unique keys: which job has which key of a queue, and what happens when another one wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.heads import Heads
from actors.queue.specs import Conflict, Scope
from actors.runtime.errors import DuplicateJobError

if TYPE_CHECKING:
    from collections.abc import Collection

    from actors.queue.jobs import Job
    from actors.queue.specs import JobSpec, Unique
    from actors.queue.state import QueueState


class UniqueKeys:
    """The fold of who has which key: as long as a job waits, or lives, or for a period whatever becomes of it."""

    def __init__(self) -> None:
        self._of_jobs: dict[str, dict[str, str]] = {}
        """By queue and key: the live job that has it."""
        self._of_periods: dict[tuple[str, str], tuple[str, int]] = {}
        """By queue and key: the job that had it first, and until when nobody else has."""
        self._ends: Heads[tuple[str, str]] = Heads()

    def holder(self, queue: str, key: str, now_us: int) -> str | None:
        """Return the job that has a key now."""
        period = self._of_periods.get((queue, key))
        if period is not None and period[1] > now_us:
            return period[0]
        return self._of_jobs.get(queue, {}).get(key)

    def take(self, queue: str, unique: Unique, job_id: str, at_us: int) -> None:
        """Give a key to a job."""
        self._end_period(queue, unique.key)
        if unique.scope is not Scope.PERIOD:
            self._of_jobs.setdefault(queue, {})[unique.key] = job_id
            return
        while (end := self._ends.first_key()) is not None and end[0] <= at_us:
            over = self._ends.first()
            assert over is not None
            self._ends.remove(over)
            del self._of_periods[over]
        self._keep(queue, unique.key, job_id, at_us + unique.period_us)

    def _end_period(self, queue: str, key: str) -> None:
        if self._of_periods.pop((queue, key), None) is not None:
            self._ends.remove((queue, key))

    def _keep(self, queue: str, key: str, job_id: str, until_us: int) -> None:
        self._of_periods[queue, key] = (job_id, until_us)
        self._ends.put((queue, key), (until_us,))

    def release(self, job: Job) -> None:
        """Take back the key that a job has, if it still has it."""
        if self.has(job):
            del self._of_jobs[job.queue][job.course.unique]

    def has(self, job: Job) -> bool:
        """Whether a job has a key, and loses it one day."""
        key = job.course.unique
        return bool(key) and self._of_jobs.get(job.queue, {}).get(key) == job.job_id

    def move(self, job: Job, queue: str) -> None:
        """Give a job that goes to another queue its key there. What is taken for a period stays where it is."""
        if self.has(job):
            self.release(job)
            self._end_period(queue, job.course.unique)
            self._of_jobs.setdefault(queue, {})[job.course.unique] = job.job_id

    def dump(self) -> Any:
        """Give who has which key as plain data."""
        of_jobs = [(queue, key, job) for queue, keys in self._of_jobs.items() for key, job in keys.items()]
        return sorted(of_jobs), sorted((*name, *period) for name, period in self._of_periods.items())

    def restore(self, image: Any, jobs: dict[str, Job]) -> None:
        """Become what `dump` gave."""
        of_jobs, of_periods = image
        for queue, key, job_id in of_jobs:
            job = jobs[job_id]
            self._of_jobs.setdefault(queue, {})[job.course.unique or key] = job.job_id
        for queue, key, job_id, until_us in of_periods:
            self._keep(queue, key, job_id, until_us)


def unique_of(spec: JobSpec) -> Unique | None:
    """Return the unique key that a job asks for."""
    return None if spec.terms is None else spec.terms.unique


def existing(
    state: QueueState, spec: JobSpec, unique: Unique, now_us: int, gone: Collection[str]
) -> tuple[str | None, Job | None]:
    """Return the job that is to be returned instead of a new one, or the one that is to be replaced by it.

    `DuplicateJobError` if neither may be. Jobs in `gone` are about to be cancelled, and lose their keys.
    """
    keys = state.unique
    holder = keys.holder(spec.queue, unique.key, now_us)
    before = state.jobs.get(holder or "")
    if holder is None or (holder in gone and before is not None and keys.has(before)):
        return None, None
    if unique.conflict is Conflict.RETURN:
        return holder, None
    if unique.conflict is Conflict.REPLACE and before is not None and before.has_not_begun:
        return None, before
    if unique.conflict is Conflict.REPLACE and before is None:
        return None, None
    raise duplicate(spec.queue, unique.key, holder)


def duplicate(queue: str, key: str, holder: str | None) -> DuplicateJobError:
    """Return the refusal of a job whose key another one has."""
    return DuplicateJobError(
        f"the unique key {key!r} of queue {queue!r} belongs to job {holder!r}", holder or ""
    )
