"""A command in a process of its own: damage that kills the engine kills that one, and is told in a line."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGE: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
"""What a damaged page, or a file that was cut off, makes of whoever reads it."""


def guarded(work: Callable[[], int], *, died: int) -> int:
    """Do work in a forked child and return its exit code; `died` and a line of text if damage killed it.

    Called twice, as it were: the child, too, returns from here, and is to leave with what it is given.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child, too
    child = os.fork()
    if not child:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return work()
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        return code
    if -code not in DAMAGE:
        return 128 - code
    name = signal.Signals(-code).name
    sys.stderr.write(
        f"logistics: reading the store ended with {name}: it is damaged; see `logistics doctor`\n"
    )
    return died
