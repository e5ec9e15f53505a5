"""The end of an attempt whose function raised, as data: nothing of the exception itself is kept."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from actors.runtime.attempt import printable
from actors.runtime.effects import AS_USUAL, AttemptFinished, Verdict

if TYPE_CHECKING:
    from actors.runtime.effects import StartAttempt

TRACEBACK_LIMIT = 20
"""Frames of a traceback that are kept, the innermost ones."""


def failed(
    start: StartAttempt,
    error: BaseException,
    started_us: int,
    run_us: int,
    verdict: Verdict = AS_USUAL,
) -> AttemptFinished:
    """Return the end of an attempt whose function raised."""
    return AttemptFinished(
        key=start.key,
        outcome="error",
        error=printable(f"{type(error).__name__}: {_text(error)}"),
        traceback=printable("".join(traceback.format_exception(error, limit=-TRACEBACK_LIMIT))),
        started_us=started_us,
        run_us=run_us,
        correlation=start.correlation,
        advice=verdict.advice,
        after_us=verdict.after_us,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 -- an exception's own __str__ is user code too
        return "(its text cannot be made)"
