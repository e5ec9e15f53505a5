"""A command in a process of its own: damage that kills the engine kills that one, and is told in a line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

DAMAGE: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
"""What a damaged page, or a file that was cut off, makes of whoever reads it."""
UNGUARDED: Final = frozenset(
    {"run", "schedules run", "doctor", "validate", "graph", "preview", "schema", "bench"}
)
"""Who runs functions of the user, guards itself, or looks into no store that was there before."""
FORWARDED: Final = MappingProxyType({signal.SIGINT: signal.SIGUSR1, signal.SIGTERM: signal.SIGTERM})
"""What the child gets for a signal: a terminal sends Ctrl-C to both, and it is to hear that once."""


def wants_guard(arguments: Sequence[str]) -> bool:
    """Whether a command line is to be run in a child: each command is, unless it is named above."""
    if not arguments or arguments[0].startswith("-"):
        return False
    return not {arguments[0], " ".join(arguments[:2])} & UNGUARDED


def guarded(work: Callable[[], int], *, died: int) -> int:
    """Do work in a forked child and return its exit code; `died` and a line of text if damage killed it.

    Called twice, as it were: the child, too, returns from here, and is to leave with what it is given. It does not
    outlive its parent.
    """
    reading, writing = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if not child:
        os.close(writing)
        _be_a_child(reading)
        return work()
    os.close(reading)
    for number, sent in FORWARDED.items():
        signal.signal(number, lambda *_, sent=sent: os.kill(child, sent))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    return _told(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), died)


def _be_a_child(parent: int) -> None:
    """Hear of Ctrl-C from the parent alone, and end when it has ended."""

    def interrupted(_: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)

    def ended() -> None:
        os.read(parent, 1)  # nobody writes: it returns when the other end is closed
        os._exit(128 + signal.SIGKILL)

    signal.signal(signal.SIGUSR1, interrupted)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=ended, daemon=True).start()


def _told(code: int, died: int) -> int:
    if code >= 0:
        return code
    if -code not in DAMAGE:
        return 128 - code
    name = signal.Signals(-code).name
    sys.stderr.write(
        f"logistics: reading the store ended with {name}: it is damaged; see `logistics doctor`\n"
    )
    return died
