"""What actors let out into the world, and what comes back of it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from actors.runtime.messages import Effect, Message


class AttemptKey(NamedTuple):
    """Names one execution of one job: a later attempt, or another incarnation's, is another key."""

    job_id: str
    attempt: int
    epoch: int
    """The owner's epoch under which the attempt was started: the fencing token."""


class StartAttempt(Effect, frozen=True):
    """Run an attempt on a worker. Idempotent: the executor never starts one key twice (R14)."""

    urgent: ClassVar[bool] = True

    key: AttemptKey
    correlation: str = ""


class CancelAttempt(Effect, frozen=True):
    """Do not begin an attempt that no worker has taken yet; one that runs is left alone."""

    key: AttemptKey


class Acknowledge(Effect, frozen=True):
    """The attempt's end is durable: the executor may forget it (R14)."""

    key: AttemptKey


class ReportUnacknowledged(Effect, frozen=True):
    """Have the executor tell again every end that was not acknowledged: asked after a rebuild."""


class AttemptFinished(Message, frozen=True, tag="attempt.finished"):
    """What an attempt came to, as data. Nothing that user code did raises on an actor's thread."""

    key: AttemptKey
    outcome: str
    """`ok`, `error`, `unresolved` (the function cannot be found) or `returned` (cancelled before it began)."""
    result: bytes = b""
    error: str = ""
    traceback: str = ""
    started_us: int = 0
    run_us: int = 0
    """How long the function ran, microseconds of the monotonic clock."""
    correlation: str = ""
    note: bytes = b""
    """Passed on to the job's owner, recorded with the result; empty for nothing."""
