"""The jobs of a queue as they are, and what has become of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from actors.queue.events import AttemptPrinted, JobCompleted, JobEnqueued, JobLeased, JobStarted
from actors.queue.messages import GetJob, GetStats, PeekQueue
from actors.queue.sending import sealing_key
from actors.queue.specs import JobStatus
from actors.runtime.effects import AttemptKey
from actors.runtime.errors import InputError
from logistics.errors import JobNotFoundError
from logistics.inputs import check_id, check_int
from logistics.orchestration.reading import first
from logistics.task.attempts import JobAttempt, attempts_of
from logistics.task.control import QueueControl
from logistics.task.listing import JobEntry, entry, job_filter, jobs_on_record
from logistics.task.record import queue_of, read_job, status_of
from logistics.task.results import kept_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from actors.runtime.messages import Event
    from actors.runtime.vault import Vault
    from logistics.task.job import Job
    from logistics.task.listing import JobFilter, Statuses

MOST_JOBS = 2**31


class QueueReading(QueueControl):
    """What `Queue` says of its jobs; nothing here changes one."""

    def get_job(self, job_id: str) -> Job | None:
        """Return a job as it is now, or None if there is none with this id in this queue."""
        history = self._history(job_id)
        if not history or queue_of(history) != self.name:
            return None
        job = read_job(history, self._engine.functions)
        if self._is_too_old(history):
            job.result = None
        self._find_key(job)
        if job.status is JobStatus.RUNNING:
            last = next(event for event in reversed(history) if isinstance(event, JobStarted | JobLeased))
            key = AttemptKey(job_id, last.attempt, last.epoch)
            job.progress = self._engine.store.runtime.signals.progress.get(key)
        return job

    def peek(self) -> Job | None:
        """Return the job that would start next, or None."""
        job_id = self._engine.query("queue", PeekQueue(queue=self.name))
        return None if job_id is None else self.get_job(job_id)

    def _find_key(self, job: Job) -> Job:
        """Have a job that was read back know what it is sealed with; no look at the log if nobody has a key."""
        if len(self._vault.keys):
            enqueued = first(self._engine, f"job:{job.job_id}")
            assert isinstance(enqueued, JobEnqueued)
            job.sealed_with = sealing_key(enqueued.spec)
        return job

    def _is_too_old(self, history: list[Event]) -> bool:
        """Whether a job's result was to be kept only until some time ago."""
        end = next((event for event in reversed(history) if event.final), None)
        span_us = kept_us(history)
        if not span_us or not isinstance(end, JobCompleted):
            return False
        return self._engine.store.runtime.clock.now_us() >= end.at_us + span_us

    def get_status(self, job_id: str) -> JobStatus:
        """Return where a job stands. `JobNotFoundError` if there is none with this id."""
        return status_of(self._check_here(job_id))

    def _check_here(self, job_id: str) -> list[Event]:
        """Return what happened to a job; `JobNotFoundError` unless it stands in this queue."""
        history = self._history(job_id)
        if not history:
            msg = f"no job {job_id!r} in queue {self.name!r}"
            raise JobNotFoundError(msg)
        if (other := queue_of(history)) != self.name:
            msg = f"no job {job_id!r} in queue {self.name!r}; it is in queue {other!r}"
            raise JobNotFoundError(msg)
        return history

    def _history(self, job_id: str) -> list[Event]:
        check_text(job_id)
        self._engine.query("queue", GetJob(job_id=job_id))  # waits until what the queue knows is durable
        return [event for _, event in self._engine.history(f"job:{job_id}")]

    def list_jobs(
        self,
        limit: int | None = None,
        status: Statuses = None,
        name: str | None = None,
        after: str | None = None,
        *,
        func: Callable[..., Any] | None = None,
        concurrency_key: str | None = None,
        group: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        project: str | None = None,
    ) -> Iterator[Job]:
        """Return an iterator of the jobs on record, newest first, each read only when its turn comes.

        Args:
            limit: at most so many.
            status: only those that stand so, or in one of several ways.
            name: only those of this name.
            after: the id of a job: only those that follow it in this order, that is, older ones. Ids of your own
                stand in the order of their text.
            func: only those of this function.
            concurrency_key: only those of this key.
            group: only those of this group.
            since: only those that were enqueued at this time or later.
            until: only those that were enqueued before.
            project: only those under this project.

        """
        if limit is not None:
            check_int("limit", limit, least=0, most=MOST_JOBS)
        if after is not None:
            check_id("after", after)
        wanted = job_filter(
            self._engine,
            status=status,
            name=name,
            func=func,
            concurrency_key=concurrency_key,
            group=group,
            since=since,
            until=until,
            project=project,
        )
        found = (
            self._find_key(read_job(events, self._engine.functions))
            for events in self._on_record(wanted, after)
        )
        return islice(found, limit)

    def _on_record(self, wanted: JobFilter, after: str | None = None) -> Iterator[list[Event]]:
        self._engine.query("queue", GetStats(queue=self.name))  # waits until what the queue knows is durable
        return jobs_on_record(self._engine, self.name, wanted, after)

    def get_history(self, job_id: str) -> list[JobEntry]:
        """Return everything that happened to a job, oldest first. `JobNotFoundError` if there is none."""
        return [entry(event) for event in self._check_here(job_id)]

    def get_attempts(self, job_id: str) -> list[JobAttempt]:
        """Return what became of each attempt of a job, oldest first. `JobNotFoundError` if there is none."""
        return attempts_of(self._check_here(job_id))

    def get_output(self, job_id: str, attempt: int | None = None) -> str:
        """Return what an attempt printed that ran in a process, the newest one if none is named; empty for nothing.

        Of that, the last 64 KiB are kept, as plain text. `JobNotFoundError`.
        """
        events = self._check_here(job_id)
        if attempt is None:
            attempt = max((event.attempt for event in events if isinstance(event, JobStarted)), default=0)
        printed = [e for e in events if isinstance(e, AttemptPrinted) and e.attempt == attempt]
        return printed[-1].output if printed else ""

    @property
    def _vault(self) -> Vault:
        return self._engine.store.runtime.vault


def check_text(job_id: object) -> None:
    """Refuse what is no text."""
    if not isinstance(job_id, str):
        msg = f"job_id: expected text, got {job_id!r}"
        raise InputError(msg)
