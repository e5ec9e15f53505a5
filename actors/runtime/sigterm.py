"""Answers to SIGTERM of a process's own, which those that it forks do not inherit.

A forked child is ended by the signal as it would have been without: `Process.terminate` relies on that. It is kept
back during the fork, or it would be lost if it came before the child has Python's own answer again.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class _Answer:
    """A handler of the signal that is one of ours."""

    def __init__(self, answer: Callable[[int, FrameType | None], object]) -> None:
        self._answer = answer

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer."""
        self._answer(number, frame)


def answer_sigterm(answer: Callable[[int, FrameType | None], object]) -> Any:
    """Answer like that from now on; return what to give `signal.signal` to have it as it was. Main thread only."""
    return signal.signal(signal.SIGTERM, _Answer(answer)) or signal.SIG_DFL


_FORKING: Final = threading.local()
"""What this thread, which forks, has kept back before."""


def _keep_back() -> None:
    if isinstance(signal.getsignal(signal.SIGTERM), _Answer):
        _FORKING.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_through() -> None:
    mask = _FORKING.__dict__.pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _give_back() -> None:
    if isinstance(signal.getsignal(signal.SIGTERM), _Answer):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()


os.register_at_fork(before=_keep_back, after_in_parent=_let_through, after_in_child=_give_back)
