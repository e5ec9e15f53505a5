"""Answers to SIGTERM of a process's own, which those that it forks do not inherit."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Answer:
    """A handler of the signal that is one of ours."""

    def __init__(self, answer: Callable[[int, FrameType | None], object]) -> None:
        self._answer = answer

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer."""
        self._answer(number, frame)


class Sigterm:
    """What has answers of ours stay in this process.

    A forked child is ended by the signal as it would have been without: `Process.terminate` relies on that. It is kept
    back during the fork, or it would be lost if it came before the child has Python's own answer again.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        os.register_at_fork(
            before=self._keep_back, after_in_parent=self._let_through, after_in_child=self._give_back
        )

    @staticmethod
    def take(answer: Callable[[int, FrameType | None], object]) -> Any:
        """Answer like that from now on; return what to give `signal.signal` to have it as it was. Main thread only."""
        return signal.signal(signal.SIGTERM, Answer(answer)) or signal.SIG_DFL

    def _keep_back(self) -> None:
        if isinstance(signal.getsignal(signal.SIGTERM), Answer):
            self._mine.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _let_through(self) -> None:
        mask = self._mine.__dict__.pop("mask", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _give_back(self) -> None:
        if isinstance(signal.getsignal(signal.SIGTERM), Answer):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._let_through()
