"""Whether a process stays once its main program has ended, and what Ctrl-C and SIGTERM say to that."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from actors.runtime.sigterm import answer_sigterm

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

LOOK_S = 1.0
"""How soon the end of a program notices that its engine has given up."""
GRACE_S = 10.0
"""How long closing waits for running functions."""
TERMINATED_S = 8.0
"""The same after SIGTERM: whoever sends it may kill ten seconds later, as `docker stop` does."""
TAKEN_IN_S = 30.0
"""How long the main program may take to end after SIGTERM: it may have taken in its `SystemExit`, as pytest does."""
HURRY_S = 0.2
"""The same after Ctrl-C: whoever presses that wants to be out within a second."""


class Stay:
    """The wish that the process stays, until a signal says otherwise.

    Signals are heeded once something is started that keeps the process alive, and only where nobody else answers
    them: for Ctrl-C, Python does, and for SIGTERM nobody. That is answered only while something is started.
    """

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        """`is_busy` says whether something is started."""
        self._is_busy = is_busy
        self.grace_s = GRACE_S
        """How long closing waits for running functions."""
        self.with_grace_s = GRACE_S
        """How long a `with` waits for them that is left: Ctrl-C makes no difference to it, a second one ends it."""
        self._is_unwanted = False
        """Whether a signal has come: then nothing is stayed for."""
        self._has_ended = False
        """Whether the main program has ended: what a signal would raise, nobody would take in."""
        self._takes_interrupts = True
        """Whether Ctrl-C is raised as an error."""
        self._wakes: SimpleQueue[None] = SimpleQueue()
        """Unlike an event, it may be put into by a signal's handler, whatever that has interrupted."""
        self._is_ending = False
        """Whether the main program was told to end."""

    def heed_signals(self) -> None:
        """Take Ctrl-C and SIGTERM, where Python's own answers stand, for a wish to end properly."""
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._on_interrupt)
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                answer_sigterm(self._on_terminate)

    def interrupted(self) -> None:
        """Take note of a Ctrl-C."""
        self._is_unwanted, self.grace_s = True, HURRY_S

    def terminated(self) -> None:
        """Take note of a SIGTERM."""
        self._is_unwanted, self.grace_s = True, min(self.grace_s, TERMINATED_S)
        self.with_grace_s = TERMINATED_S

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted()
        if self._takes_interrupts:
            signal.default_int_handler(number, frame)
        self.wake()

    def _on_terminate(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one is no worse than a kill
        if not self._has_ended and not self._is_busy():
            signal.raise_signal(number)
        self.terminated()
        if not self._has_ended:
            self._is_ending = True
            raise SystemExit(128 + number)
        self.wake()

    def closing(self) -> None:
        """Look, as a store is closed, whether that is for SIGTERM; and if so, have the program end in the end."""
        self.wake()
        if self._is_ending and not self._has_ended:  # in a handler no thread can be begun
            self._is_ending = False
            with suppress(RuntimeError):  # Python makes no more: the main program has ended
                threading.Thread(target=self._see_it_end, name="logistics-sigterm", daemon=True).start()

    def _see_it_end(self) -> None:
        threading.Event().wait(TAKEN_IN_S)
        if not self._has_ended:
            os.kill(os.getpid(), signal.SIGTERM)

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
