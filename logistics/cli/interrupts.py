"""Ctrl-C and SIGTERM as an exception of the main thread, at moments when it can be had."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from actors.runtime.sigterm import answer_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interrupted(BaseException):
    """Somebody wants us to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Raises `Interrupted` at a signal, but not in the middle of what must not be cut in two.

    An exception out of a signal can hit any line, that which opens or closes something, too. So it is held
    back there; a second signal is not.
    """

    def __init__(self) -> None:
        self._number = 0
        self._released = True

    def __enter__(self) -> Self:
        """Listen, if this is the main thread: no other hears signals."""
        self._listens = threading.current_thread() is threading.main_thread()
        if self._listens:
            self._before = [
                (signal.SIGINT, signal.signal(signal.SIGINT, self._take)),
                (signal.SIGTERM, answer_sigterm(self._take)),
            ]
        return self

    def __exit__(self, *_: object) -> None:
        if self._listens:
            for number, handler in self._before:
                signal.signal(number, handler)

    def _take(self, number: int, _frame: object) -> None:
        again = self._number
        self._number = number
        if self._released or again:
            raise Interrupted(number)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let a signal wait; one that comes while the block ends has come too late."""
        self._released = False
        try:
            yield
        finally:
            self._released = True

    @contextmanager
    def released(self) -> Iterator[None]:
        """Inside `held_back`: let signals through, the one that waits first."""
        self._released = True
        try:
            if self._number:
                raise Interrupted(self._number)
            yield
        finally:
            self._released = False
