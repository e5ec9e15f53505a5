"""Whether a process stays once its main program has ended, and what Ctrl-C and SIGTERM say to that."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from actors.runtime.sigterm import Sigterm

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

LOOK_S = 1.0
"""How soon the end of a program notices that its engine has given up."""
GRACE_S = 10.0
"""How long closing waits for running functions."""
TERMINATED_S = 8.0
"""The same after SIGTERM: whoever sends it may kill ten seconds later, as `docker stop` does."""
HURRY_S = 0.2
"""The same after Ctrl-C: whoever presses that wants to be out within a second."""


class Stay:
    """The wish that the process stays, until a signal says otherwise.

    Signals are heeded once something is started that keeps the process alive, and only where nobody else answers
    them: for Ctrl-C, Python does, and for SIGTERM nobody.
    """

    def __init__(self) -> None:
        self.grace_s = GRACE_S
        """How long closing waits for running functions."""
        self._is_unwanted = False
        """Whether a signal has come: then nothing is stayed for."""
        self._has_ended = False
        """Whether the main program has ended: what a signal would raise, nobody would take in."""
        self._takes_interrupts = True
        """Whether Ctrl-C is raised as an error."""
        self._wakes: SimpleQueue[None] = SimpleQueue()
        """Unlike an event, it may be put into by a signal's handler, whatever that has interrupted."""
        self._sigterm = Sigterm(self._on_terminate)

    def heed_signals(self) -> None:
        """Take Ctrl-C and SIGTERM, where Python's own answers stand, for a wish to end properly."""
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._on_interrupt)
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._sigterm.take()

    def interrupted(self) -> None:
        """Take note of a Ctrl-C."""
        self._is_unwanted, self.grace_s = True, HURRY_S

    def terminated(self) -> None:
        """Take note of a SIGTERM."""
        self._is_unwanted, self.grace_s = True, min(self.grace_s, TERMINATED_S)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted()
        if self._takes_interrupts:
            signal.default_int_handler(number, frame)
        self.wake()

    def _on_terminate(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one is no worse than a kill
        self.terminated()
        if not self._has_ended:
            raise SystemExit(128 + number)
        self.wake()

    def wake(self) -> None:
        """Have whoever stays look whether that is still wished for."""
        if self._wakes.empty():
            self._wakes.put(None)

    def leave(self) -> None:
        """Take signals from now on for a word, and no error: raised at the wrong moment, no store would be closed."""
        self._has_ended, self._takes_interrupts = True, False

    def until(self, is_over: Callable[[], bool]) -> None:
        """Stay until that is so, or a signal comes."""
        try:
            while not self._is_unwanted and not is_over():
                with suppress(Empty):
                    self._wakes.get(timeout=LOOK_S)
        except KeyboardInterrupt:  # of handlers that are not ours
            self.interrupted()
        except SystemExit:
            self.terminated()
        # Who presses Ctrl-C for the first time is tired of waiting for what runs.
        self._takes_interrupts = not self._is_unwanted
