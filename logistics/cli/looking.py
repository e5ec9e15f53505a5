"""How far a long list is: told on the terminal to whoever sees no lines of it yet."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PATIENCE_S = 2.0
"""How long nobody wonders whether anything happens."""
PAUSE_S = 0.2
"""Between two numbers."""
CLEAR = "\r\x1b[K"
T = TypeVar("T")


class Looking:
    """Counts what is gone through, on standard error, if that is a terminal and it takes long."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next_s = time.monotonic() + PATIENCE_S if _can_wipe() else float("inf")
        self._is_shown = False

    def at(self, things: Iterable[T]) -> Iterator[T]:
        """Yield things, and tell how many there were."""
        for number, thing in enumerate(things):
            self.tell(number)
            yield thing

    def tell(self, number: int) -> None:
        """Tell how many there are, unless that was told just now."""
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PAUSE_S
            self._is_shown = True
            sys.stderr.write(f"{CLEAR}{number:,} {self._what} …")
            sys.stderr.flush()

    def found(self, rows: Iterable[T]) -> Iterator[T]:
        """Yield rows that are shown: on the terminal they stand where the number was."""
        try:
            for row in rows:
                if sys.stdout.isatty():
                    self.clear()
                yield row
        finally:
            self.clear()

    def clear(self) -> None:
        """Take the number off the terminal."""
        if self._is_shown:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()
            self._is_shown = False


def _can_wipe() -> bool:
    """Whether what stands on standard error can be taken off again."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
