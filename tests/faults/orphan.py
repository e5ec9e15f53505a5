"""What a child of an engine runs that would go on for ever: its lock is free once it has ended."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> None:
    """Lock a file, say so in it, and wait."""
    with Path(arguments[0]).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("here")
        file.flush()
        threading.Event().wait()
