"""What became of each attempt of a job, read from the job's history."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.queue.events import (
    AttemptInterrupted,
    AttemptTimedOut,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobFailed,
    JobLeased,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
)
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from actors.queue.specs import JobSpec
    from actors.runtime.messages import Event

BY_HAND = "hand"
TIMED_OUT = "timed out"
OUTCOMES: Mapping[type[Event], str] = MappingProxyType(
    {
        JobCompleted: "completed",
        JobRetrying: "failed",
        JobFailed: "failed",
        AttemptInterrupted: "interrupted",
        JobSnoozed: "snoozed",
        JobUnresolved: "unresolved",
        JobCancelled: "cancelled",
    }
)
"""What an attempt came to, by the event that ended it."""
READY = (JobReady, JobRetrying, AttemptInterrupted, JobRetried)
"""After these a job may start, at once or (`JobRetrying`) when it says."""


class JobAttempt(NamedTuple):
    """One attempt of a job."""

    number: int
    waited: timedelta
    """How long the job was ready before."""
    started_at: datetime
    ended_at: datetime | None
    """None: it goes on."""
    ran: timedelta | None
    """How long the function ran, if that is on record; else from the start to the end, as they were recorded."""
    executor: str | None
    """`thread`, `process`, as the job asked for; `hand`; None: where the engine said."""
    outcome: str | None
    """`completed`, `failed`, `timed out`, `interrupted`, `snoozed`, `unresolved`, `cancelled`; None: it goes on."""
    error: str
    """An error or a reason; empty for none."""


def attempts_of(history: Sequence[Event]) -> list[JobAttempt]:
    """Return what became of each attempt, oldest first."""
    first = history[0]
    assert isinstance(first, JobEnqueued)
    found: list[JobAttempt] = []
    ready_us = max(first.at_us, first.spec.due_us)
    is_late = False
    for event in history[1:]:
        if isinstance(event, JobStarted | JobLeased):
            found.append(_begun(event, first.spec, ready_us))
        elif isinstance(event, AttemptTimedOut):
            is_late = True
        elif type(event) in OUTCOMES and found and found[-1].outcome is None:
            found[-1] = _ended(found[-1], event, is_late=is_late)
            is_late = False
        if isinstance(event, READY):
            ready_us = max(event.at_us, getattr(event, "due_us", 0))
    return found


def _begun(event: JobStarted | JobLeased, spec: JobSpec, ready_us: int) -> JobAttempt:
    asked = spec.life.executor or None if spec.life is not None else None
    return JobAttempt(
        number=event.attempt,
        waited=timedelta(microseconds=max(0, event.at_us - ready_us)),
        started_at=as_datetime(event.at_us),
        ended_at=None,
        ran=None,
        executor=BY_HAND if isinstance(event, JobLeased) else asked,
        outcome=None,
        error="",
    )


def _ended(attempt: JobAttempt, event: Any, *, is_late: bool) -> JobAttempt:
    ended_at = as_datetime(event.at_us)
    run_us = getattr(event, "run_us", 0)
    return attempt._replace(
        ended_at=ended_at,
        ran=timedelta(microseconds=run_us) if run_us else ended_at - attempt.started_at,
        outcome=TIMED_OUT if is_late else OUTCOMES[type(event)],
        error=getattr(event, "error", "") or getattr(event, "reason", ""),
    )
