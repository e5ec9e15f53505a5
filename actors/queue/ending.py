"""The end of an attempt as data: what its function returned, or what it raised, of which only the text is kept."""

from __future__ import annotations

import logging
import time
import traceback
from typing import TYPE_CHECKING

from actors.runtime.attempt import printable
from actors.runtime.effects import AS_USUAL, SNOOZE, AttemptFinished, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.effects import StartAttempt

logger = logging.getLogger("logistics.job")

MANY_STARTS, SOON_US = 1_000, 1_000_000
"""A job that asks to be called again so soon is warned of each time it has started so often."""
TRACEBACK_LIMIT = 20
"""Frames of a traceback that are kept, the innermost ones."""
OURS = __file__.removesuffix("queue/ending.py")
"""The folder of the frames that lead from a worker to the function: nobody who reads a traceback asks for them."""


def succeeded(start: StartAttempt, result: bytes, started_us: int, begun_ns: int) -> AttemptFinished:
    """Return the end of an attempt whose function returned; it was called at `begun_ns` of the monotonic clock."""
    return AttemptFinished(
        key=start.key,
        outcome="ok",
        result=result,
        started_us=started_us,
        run_us=(time.perf_counter_ns() - begun_ns) // 1000,
        correlation=start.correlation,
    )


def failed(
    start: StartAttempt,
    error: BaseException,
    started_us: int,
    run_us: int,
    verdict: Verdict = AS_USUAL,
) -> AttemptFinished:
    """Return the end of an attempt whose function raised."""
    if verdict.advice == SNOOZE and start.key.attempt % MANY_STARTS == 0 and verdict.after_us < SOON_US:
        logger.warning(
            "job %s has started %d times and asks again to be called in %g s: each one is on record, and the log grows "
            "(Snooze for longer)",
            start.key.job_id,
            start.key.attempt,
            verdict.after_us / 1e6,
            extra={"job_id": start.key.job_id},
        )
    return AttemptFinished(
        key=start.key,
        outcome="error",
        error=printable(f"{_text(lambda: type(error).__name__)}: {_text(lambda: str(error))}"),
        traceback=printable(_text(lambda: "".join(_lines(error)))),
        started_us=started_us,
        run_us=run_us,
        correlation=start.correlation,
        advice=verdict.advice,
        after_us=verdict.after_us,
    )


def _lines(error: BaseException) -> list[str]:
    """Return where an exception came from: from the first frame on that is not ours, if there is one."""
    theirs = error.__traceback__
    while theirs is not None and theirs.tb_frame.f_code.co_filename.startswith(OURS):
        theirs = theirs.tb_next
    found = theirs or error.__traceback__
    return traceback.format_exception(type(error), error, found, limit=-TRACEBACK_LIMIT)


def returned(start: StartAttempt) -> AttemptFinished:
    """Return the end of an attempt that is given back as if it had never begun."""
    return AttemptFinished(key=start.key, outcome="returned", correlation=start.correlation)


def _text(make: Callable[[], str]) -> str:
    try:
        return make()
    except BaseException:  # noqa: BLE001 -- an exception's own __str__, and what a traceback shows of it, is user code too
        return "(its text cannot be made)"
