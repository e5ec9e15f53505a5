"""What actors let out into the world, and what comes back of it."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import msgspec

from actors.runtime.messages import Effect, Message


class AttemptKey(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Names one execution of one job: a later attempt, or another incarnation's, is another key."""

    job_id: str
    attempt: int
    epoch: int
    """The owner's epoch under which the attempt was started: the fencing token."""

    @property
    def cause(self) -> str:
        """What the log calls it as the cause of an event."""
        return f"attempt:{self.job_id}/{self.attempt}"


class Verdict(NamedTuple):
    """What is to become of a job whose attempt raised."""

    advice: str = ""
    """Empty: as its retry policy says; `give-up`: no other try; `retry`: another try after `after_us`, if there
    is one left; `snooze`: this was no attempt, the next one is after `after_us`."""
    after_us: int = 0


AS_USUAL = Verdict()
GIVE_UP = "give-up"
RETRY = "retry"
SNOOZE = "snooze"


class StartAttempt(Effect, frozen=True):
    """Run an attempt on a worker. Idempotent: the executor never starts one key twice (R14)."""

    urgent: ClassVar[bool] = True

    key: AttemptKey
    correlation: str = ""
    spec: Any = None
    """The job as it was enqueued (`JobSpec`), where memory has it: a worker need not look it up in the log."""
    batched: bool = False
    """Whether the function gets a list of jobs: this one, and those of `others`."""
    others: tuple[AttemptKey, ...] = ()
    """Attempts that are made in the same call."""


class CancelAttempt(Effect, frozen=True):
    """Nobody waits for an attempt any more: it does not begin, or is told, and its worker is made up for."""

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
    """`ok`, `error`, `unresolved` (the function cannot be found) or `returned` (given back before it began)."""
    result: bytes = b""
    error: str = ""
    traceback: str = ""
    started_us: int = 0
    run_us: int = 0
    """How long the function ran, microseconds of the monotonic clock."""
    correlation: str = ""
    note: bytes = b""
    """Passed on to the job's owner, recorded with the result; empty for nothing."""
    advice: str = ""
    """What the exception means, see `Verdict`: empty for nothing beyond a failure."""
    after_us: int = 0
    output: str = ""
    """What it printed, if it ran in a process: the end of it."""
