"""A job read back: put together from its history in the log."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.messages import (
    AttemptInterrupted,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobStatus,
    JobUnresolved,
)
from actors.runtime.functions import UnresolvedFunctionError
from actors.runtime.values import decode_call, decode_value
from logistics.inputs import as_datetime
from logistics.task.job import NO_TERMS, Job
from logistics.task.options import retry_delay_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actors.queue.messages import JobLife
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
    }
)
"""The status that an event leaves a job in; events that are not here change none."""
ENDED = (JobCompleted, JobFailed, JobCancelled, JobExpired)


def read_job(history: Sequence[Event], functions: FunctionRegistry) -> Job:
    """Return the job that a history tells of. The first event is its `JobEnqueued`."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    spec = first.spec
    function = _Stored(spec.function, functions)
    args, kwargs = decode_call(spec.payload)
    terms = spec.terms or NO_TERMS
    job = Job(
        "job",
        function,
        args,
        kwargs,
        priority=spec.priority,
        max_retries=spec.retry.max_retries,
        retry_delay=retry_delay_of(spec.retry, terms.backoff),
        unique_key=None if terms.unique is None else terms.unique.key,
        concurrency_key=terms.key or None,
        group=terms.group or None,
        resources=dict(terms.resources),
        **_life(spec.life, first.at_us),
    )
    job.name = spec.name  # a step's is made of two names, and may be longer than one may be
    job.func = function.resolved()
    job.job_id = spec.job_id
    job.queue = spec.queue
    job.created_at = as_datetime(first.at_us)
    job.status = JobStatus.SCHEDULED if spec.due_us > first.at_us else JobStatus.PENDING
    for event in history[1:]:
        _take(job, event)
    return job


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


def _take(job: Job, event: Event) -> None:
    status = STATUS_AFTER.get(type(event))
    if status is None:
        return
    if isinstance(event, JobRetrying) and event.due_us <= event.at_us:
        status = JobStatus.PENDING
    job.status = status
    if isinstance(event, JobStarted | JobLeased):
        job.attempts += 1
        job.started_at = job.started_at or as_datetime(event.at_us)
    elif isinstance(event, AttemptInterrupted) and not event.charged:
        job.attempts -= 1
    elif isinstance(event, JobUnresolved):
        job.attempts -= 1
        job.error = event.error
    elif isinstance(event, JobSnoozed):
        job.attempts -= 1
    if isinstance(event, JobRetrying | JobFailed):
        job.error, job.traceback = event.error, event.traceback or None
    if isinstance(event, JobCompleted):
        job.result = decode_value(event.result)
        job.error = job.traceback = None
    job.finished_at = as_datetime(event.at_us) if isinstance(event, ENDED) else None


class _Stored:
    """A function known by its reference only: calling it looks it up."""

    def __init__(self, ref: str, functions: FunctionRegistry) -> None:
        self.ref = ref
        self._functions = functions

    def resolved(self) -> Callable[..., Any]:
        """Return the function if it is registered or can be imported, else this stand-in."""
        try:
            return self._functions.resolve(self.ref)
        except UnresolvedFunctionError:
            return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._functions.resolve(self.ref)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.ref}>"
