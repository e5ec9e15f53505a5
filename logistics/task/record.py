"""A job read back: put together from its history in the log."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.events import (
    AttemptInterrupted,
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobMoved,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
)
from actors.queue.specs import SHARE, JobStatus
from actors.runtime.values import decode_call, decode_value
from logistics.inputs import as_datetime
from logistics.task.job import NO_TERMS, Job
from logistics.task.options import UNSAID, retry_delay_of
from logistics.task.place import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actors.queue.specs import Backoff, JobLife, RetryPolicy
    from actors.runtime.functions import FunctionRegistry
    from actors.runtime.messages import Event

STATUS_AFTER: Mapping[type[Event], JobStatus] = MappingProxyType(
    {
        JobReady: JobStatus.PENDING,
        JobStarted: JobStatus.RUNNING,
        JobLeased: JobStatus.RUNNING,
        JobCompleted: JobStatus.COMPLETED,
        JobRetrying: JobStatus.RETRYING,
        JobFailed: JobStatus.FAILED,
        AttemptInterrupted: JobStatus.PENDING,
        JobCancelled: JobStatus.CANCELLED,
        JobExpired: JobStatus.EXPIRED,
        JobSnoozed: JobStatus.SCHEDULED,
        JobUnresolved: JobStatus.UNRESOLVED,
        JobRetried: JobStatus.PENDING,
        JobDiscarded: JobStatus.CANCELLED,
    }
)
"""The status that an event leaves a job in; events that are not here change none."""
ENDED = (JobCompleted, JobFailed, JobCancelled, JobExpired)


def queue_of(history: Sequence[Event]) -> str:
    """Return the queue in which a job stands after all that is told of it, or stood when it ended."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    moved = next((event.queue for event in reversed(history) if isinstance(event, JobMoved)), "")
    return moved or first.spec.queue


def job_id_of(history: Sequence[Event]) -> str:
    """Return the id of the job that a history tells of."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    return first.spec.job_id


def status_of(history: Sequence[Event]) -> JobStatus:
    """Return where a job stands after all that is told of it."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    status = JobStatus.SCHEDULED if first.spec.due_us > first.at_us else JobStatus.PENDING
    for event in history[1:]:
        status = _status_after(event) or status
    return status


def attempts_in(history: Sequence[Event]) -> int:
    """Return how many attempts of a job count, so far; of one that was taken up again, since then."""
    count = 0
    for event in history:
        if isinstance(event, JobRetried):
            count = 0
        elif isinstance(event, JobStarted | JobLeased):
            count += 1
        elif isinstance(event, JobUnresolved | JobSnoozed) or (
            isinstance(event, AttemptInterrupted) and not event.charged
        ):
            count -= 1
    return count


def read_job(history: Sequence[Event], functions: FunctionRegistry) -> Job:
    """Return the job that a history tells of. The first event is its `JobEnqueued`."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    spec = first.spec
    function = Stored(spec.function, functions)
    args, kwargs = decode_call(spec.payload)
    terms = spec.terms or NO_TERMS
    job = Job(
        "job",
        function,
        args,
        kwargs,
        priority=spec.priority,
        **_retries(spec.retry, terms.backoff),
        unique_key=None if terms.unique is None else terms.unique.key,
        concurrency_key=terms.key or None,
        group=terms.group or None,
        resources={name: amount for name, amount in terms.resources if not name.startswith(SHARE)},
        batch=terms.batch or None,
        **_life(spec.life, first.at_us),
    )
    job.name = spec.name  # a step's is made of two names, and may be longer than one may be
    job.func = function.known()
    job.job_id = spec.job_id
    job.queue = queue_of(history)
    job.session_id, job.project = (text or None for text in place_of(terms))
    job.created_at = as_datetime(first.at_us)
    job.status = status_of(history)
    job.attempts = attempts_in(history)
    for event in history[1:]:
        _take(job, event)
    return job


def _retries(policy: RetryPolicy, backoff: Backoff | None) -> dict[str, Any]:
    """Return what a job was told about its retries, as `Job` takes it."""
    if policy == UNSAID and backoff is None:
        return {}
    return {"max_retries": policy.max_retries, "retry_delay": retry_delay_of(policy, backoff)}


def _life(life: JobLife | None, enqueued_us: int) -> dict[str, Any]:
    """Return what a job was told about its life, as `Job` takes it."""
    if life is None:
        return {}
    expires_us = life.expiry_us(enqueued_us)
    return {
        "timeout": life.timeout_us / 1e6 or None,
        "expires": as_datetime(expires_us) if expires_us else None,
        "heartbeat": life.heartbeat_us / 1e6 or None,
        "retry_on": life.retry_on,
        "give_up_on": life.give_up_on,
        "executor": life.executor or None,
        "result_ttl": life.result_ttl_us / 1e6 or None,
    }


def _status_after(event: Event) -> JobStatus | None:
    if isinstance(event, JobRetrying) and event.due_us <= event.at_us:
        return JobStatus.PENDING
    return STATUS_AFTER.get(type(event))


def _take(job: Job, event: Event) -> None:
    if type(event) not in STATUS_AFTER or isinstance(event, JobDiscarded):
        return
    if isinstance(event, JobStarted | JobLeased):
        job.started_at = job.started_at or as_datetime(event.at_us)
    elif isinstance(event, JobUnresolved):
        job.error = event.error
    if isinstance(event, JobRetrying | JobFailed):
        job.error, job.traceback = event.error, event.traceback or None
    if isinstance(event, JobCompleted):
        job.result = decode_value(event.result)
        job.error = job.traceback = None
    job.finished_at = as_datetime(event.at_us) if isinstance(event, ENDED) else None


class Stored:
    """A function known by its reference only: calling it looks it up, and imports what it takes."""

    def __init__(self, ref: str, functions: FunctionRegistry) -> None:
        self.ref = ref
        self._functions = functions

    def known(self) -> Callable[..., Any]:
        """Return the function if it was registered or used in this process, else this stand-in."""
        return self._functions.resolve(self.ref) if self._functions.knows(self.ref) else self

    def found(self) -> Callable[..., Any]:
        """Return the function; `UnresolvedFunctionError` if it cannot be had."""
        return self._functions.resolve(self.ref)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.found()(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.ref}>"
