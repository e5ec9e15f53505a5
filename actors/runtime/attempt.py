"""What user code may ask about the attempt that runs it, and how it knows whose worker it is on."""

from __future__ import annotations

import contextvars
import inspect
import logging
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from sys import float_info
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.runtime.binding import CONTEXT_PARAMETER
from actors.runtime.errors import InputError, WouldDeadlockError
from actors.runtime.patience import patiently
from actors.runtime.signals import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.effects import AttemptKey
    from actors.runtime.engine import Runtime


LARGEST, MOST_WHOLE = float_info.max, 2**63
"""The largest number, and from where on whole ones are told as floats: longer ones cannot be sent to processes."""


class Firing(NamedTuple):
    """A firing of a schedule, in µs UTC."""

    fired_us: int
    scheduled_us: int | None
    """None: it was triggered."""


def firing_of(runtime: Runtime, job_id: str, owner: str) -> Firing | None:
    """Return the firing that led to a job: as the job itself, or as the run that it is a step of; None: none did."""

    def first(entity: str) -> Any:
        stored = patiently(lambda: runtime.log.first(entity, upto=runtime.journal.watermark))
        assert stored is not None, "what has led to a job that runs is on record"
        return runtime.codec.decode(stored.record)

    while owner.startswith("run:"):
        created = first(owner)
        job_id = owner.removeprefix("run:")
        owner = f"run:{created.parent}" if created.parent else created.owner
    if not owner.startswith("schedule:"):
        return None
    _, _, instant = job_id.rpartition(".")
    return Firing(first(f"job:{job_id}").at_us, int(instant) if instant.isdecimal() else None)


class AttemptContext:
    """Handed to a function that has a parameter named `ctx`: which job, step and attempt this is."""

    __slots__ = ("_find", "_key", "_runtime", "attempt", "job_id", "logger", "name", "run_id")

    def __init__(
        self,
        key: AttemptKey,
        name: str,
        owner: str,
        runtime: Runtime,
        find: Callable[[], Firing | None] | None = None,
    ) -> None:
        self._key = key
        self._runtime = runtime
        self._find = find or partial(firing_of, runtime, key.job_id, owner)
        self.job_id = key.job_id
        """The job's id; a step's too."""
        self.attempt = key.attempt
        """1 for the first attempt."""
        self.name = name
        """The job's name; of a step `workflow.step`."""
        self.run_id = owner.removeprefix("run:") if owner.startswith("run:") else None
        """The run that a step belongs to, or None."""
        ids = {"job_id": key.job_id, "attempt": key.attempt, "run_id": self.run_id}
        self.logger = logging.LoggerAdapter(logging.getLogger("logistics.job"), ids)
        """Logs with the ids in `extra`."""

    @property
    def scheduled_at(self) -> datetime | None:
        """The time for which a schedule fired this job, or the run that it is a step of, in UTC.

        None for triggers, and for other jobs.
        """
        firing = self._find()
        return None if firing is None or firing.scheduled_us is None else _moment(firing.scheduled_us)

    @property
    def fired_at(self) -> datetime | None:
        """When a schedule fired or was triggered, in UTC: this is later than `scheduled_at` for what was made up."""
        firing = self._find()
        return None if firing is None else _moment(firing.fired_us)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job: give it to whatever must not do the work twice."""
        return self.job_id

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more: its job was cancelled, or it has taken too long.

        A function on a thread is not stopped by that: one that takes long should ask now and then, and return.
        """
        return self._runtime.executor.is_cancelled(self._key)

    def heartbeat(self) -> None:
        """Give a sign of life: a job with a `heartbeat` is given up if it gives none for so long."""
        self._runtime.signals.beat(self._key, self._runtime.clock.now_us())

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far this has come; `Queue.get_job` shows it at once. A sign of life, too. On no record.

        `InputError` for what is no number, or no text.
        """
        done, total = _number("done", done), None if total is None else _number("total", total)
        if not isinstance(message, str):
            msg = f"message: expected text, got {message!r}"
            raise InputError(msg)
        now_us = self._runtime.clock.now_us()
        self._runtime.signals.report(self._key, Progress(done, total, printable(message), now_us))

    def __repr__(self) -> str:
        """Show the ids."""
        return f"AttemptContext(job_id={self.job_id!r}, attempt={self.attempt}, name={self.name!r})"


def _number(what: str, number: object) -> float:
    """Return a number, of those kinds (`numpy.float64`) too, as one of Python's own that can be sent anywhere.

    `InputError` for what is none (NaN is not), or beyond all floats.
    """
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST:
        msg = f"{what}: expected a number, got {number!r}"
        raise InputError(msg)
    return int(number) if isinstance(number, int) and abs(number) < MOST_WHOLE else float(number)


def _moment(at_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)


@lru_cache(maxsize=1024)
def context_place(func: Callable[..., Any]) -> int | None:
    """Return which parameter of a function is named `ctx` and can be passed by name; None if there is none."""
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return None
    wanted = parameters.get(CONTEXT_PARAMETER)
    if wanted is None or wanted.kind not in (wanted.POSITIONAL_OR_KEYWORD, wanted.KEYWORD_ONLY):
        return None
    return list(parameters).index(CONTEXT_PARAMETER)


CURRENT: contextvars.ContextVar[tuple[Any, AttemptKey | None]] = contextvars.ContextVar(
    "logistics", default=(None, None)
)
"""The runtime on whose worker the present code runs, and the attempt that it belongs to."""
ELSEWHERE: Final = "elsewhere"
"""In place of the runtime, in a process that is not the engine's."""
TEXT_LENGTH = 10_000
"""Characters of an error's text, and of a traceback, that are kept."""


def runtime_here() -> Any:
    """Return the runtime on whose worker the present code runs, `ELSEWHERE` in a process of its own; None for none."""
    return CURRENT.get()[0]


def attempt_here(runtime: Any) -> AttemptKey | None:
    """Return the attempt of this engine that the present code belongs to; None for none."""
    here, key = CURRENT.get()
    return key if here is runtime else None


def own_job(runtime: Any) -> str:
    """Return the id of the job of this engine that the present code belongs to; empty for none."""
    key = attempt_here(runtime)
    return "" if key is None else key.job_id


def cause_here(runtime: Any) -> str:
    """Return which attempt of this engine is the cause of what the present code says to it; empty for none."""
    key = attempt_here(runtime)
    return "" if key is None else key.cause


def blocking(runtime: Any) -> AbstractContextManager[None]:
    """Mark the worker that the present code holds as waiting for others; `WouldDeadlockError` if none would be left."""
    key = attempt_here(runtime)
    return nullcontext() if key is None else runtime.executor.blocking(key)


def refuse_own_job(runtime: Any, job_id: str) -> None:
    """Refuse to have a job wait for its own end: `WouldDeadlockError`."""
    if job_id and own_job(runtime) == job_id:
        msg = f"job {job_id} would wait for its own end"
        raise WouldDeadlockError(msg)


def printable(text: str) -> str:
    """Cut a text to size and make sure that it can be encoded (a lone surrogate cannot)."""
    if len(text) > TEXT_LENGTH:
        text = text[: TEXT_LENGTH // 2] + " … " + text[-TEXT_LENGTH // 2 :]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
