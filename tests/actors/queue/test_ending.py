"""What is kept of an exception, whatever it does when it is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.ending import failed
from actors.runtime.effects import AttemptKey, StartAttempt

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
