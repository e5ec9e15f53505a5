"""What is kept of an exception, whatever it does when it is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.ending import failed
from actors.runtime.effects import RETRY, SNOOZE, AttemptKey, StartAttempt, Verdict

ODD: Any = ("f.py", 1, 3, 5)
"""A place whose text is none: it cannot be shown."""
START = StartAttempt(AttemptKey("j", 1, 1))


class Nameless(type):
    """Of a class that does not tell its name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Silent(Exception, metaclass=Nameless):  # noqa: N818 -- as good a name as any
    """Tells nothing."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("x"), "ValueError: x"),
        (Silent(), "(its text cannot be made): (its text cannot be made)"),
        (SyntaxError("no", ODD), "SyntaxError: no (f.py, line 1)"),
    ],
)
def test_whatever_an_exception_does_its_attempt_has_an_end(error: BaseException, text: str) -> None:
    end = failed(START, error, 0, 0)
    assert end.outcome == "error"
    assert end.error == text
    assert end.traceback


@pytest.mark.parametrize(
    ("attempt", "verdict", "warned"),
    [
        (2_000, Verdict(SNOOZE, 0), True),
        (1_999, Verdict(SNOOZE, 0), False),
        (2_000, Verdict(SNOOZE, 5_000_000), False),
        (2_000, Verdict(RETRY, 0), False),
    ],
)
def test_a_job_that_asks_again_and_again_to_be_called_at_once_is_warned_of(
    attempt: int, verdict: Verdict, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    failed(StartAttempt(AttemptKey("j", attempt, 1)), ValueError(), 0, 0, verdict)
    assert ("job j has started 2000 times" in caplog.text) is warned
