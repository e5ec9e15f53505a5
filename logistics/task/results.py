"""What a job came to, for whoever asks for its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.events import JobCancelled, JobCompleted, JobDiscarded, JobEnqueued, JobExpired, JobFailed
from actors.runtime.values import decode_value
from logistics.errors import JobCancelledError, JobExpiredError, JobFailedError

if TYPE_CHECKING:
    from actors.runtime.messages import Event


def kept_us(history: list[Event]) -> int:
    """Return for how long the result of a job may be asked for, in microseconds; 0: for ever."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    return 0 if first.spec.life is None else first.spec.life.result_ttl_us


def outcome_of(job_id: str, event: Event) -> Any:
    """Return the result of a job that has ended by this event; raise if it was no success."""
    if isinstance(event, JobCompleted):
        return decode_value(event.result)
    if isinstance(event, JobFailed):
        raise JobFailedError(job_id, event.error, event.traceback)
    if isinstance(event, JobExpired):
        msg = f"job {job_id} was not started in time"
        raise JobExpiredError(msg)
    assert isinstance(event, JobCancelled | JobDiscarded)
    msg = f"job {job_id} was cancelled: {event.reason}"
    raise JobCancelledError(msg)
