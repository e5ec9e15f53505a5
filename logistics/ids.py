"""Ids of whatever the caller's side creates: short, sortable by time, never twice."""

from __future__ import annotations

import secrets
import threading
import time


class IdSource:
    """Makes ids of 24 characters: microseconds since 1970 and 44 random bits, both in hexadecimal.

    Within a process they strictly increase, also when the wall clock is set back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_us = 0

    def __call__(self) -> str:
        """Return a new id."""
        now_us = time.time_ns() // 1000
        with self._lock:
            if now_us <= self._last_us:
                now_us = self._last_us + 1
            self._last_us = now_us
        return f"{now_us:013x}{secrets.randbits(44):011x}"


new_id = IdSource()
