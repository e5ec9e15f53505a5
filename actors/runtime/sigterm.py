"""An answer to SIGTERM of a process's own, which those that it forks do not inherit."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Sigterm:
    """What a process does at SIGTERM once `take` was called, on the main thread.

    A forked child is ended by the signal as it would have been without: `Process.terminate` relies on that. It is kept
    back during the fork, or it would be lost if it came before the child has Python's own answer again.
    """

    def __init__(self, answer: Callable[[int, FrameType | None], object]) -> None:
        self._answer = answer
        self._mine = threading.local()
        os.register_at_fork(
            before=self._keep_back, after_in_parent=self._let_through, after_in_child=self._give_back
        )

    def take(self) -> None:
        """Answer from now on."""
        signal.signal(signal.SIGTERM, self._answer)

    @property
    def _is_taken(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._answer

    def _keep_back(self) -> None:
        if self._is_taken:
            self._mine.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _let_through(self) -> None:
        mask = self._mine.__dict__.pop("mask", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _give_back(self) -> None:
        if self._is_taken:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._let_through()
