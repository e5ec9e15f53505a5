"""Ids of whatever the caller's side creates: short, sortable by time, never twice."""

from __future__ import annotations

import os
import secrets
import threading
import time


class IdSource:
    """Makes ids of 24 characters: microseconds since 1970, then 44 random bits drawn once per process, in hexadecimal.

    Within a process they strictly increase, also when the wall clock is set back; the random bits keep two
    processes apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_us = 0
        self._suffix = ""
        os.register_at_fork(after_in_child=self._forget)

    def go_beyond(self, us: int) -> None:
        """Make ids that are later than an instant from now on, also if the wall clock is not there yet."""
        with self._lock:
            self._last_us = max(self._last_us, us)

    def _forget(self) -> None:
        """Be another process: one that another thread was making an id in when it was forked."""
        self._lock = threading.Lock()
        self._suffix = ""

    def __call__(self) -> str:
        """Return a new id."""
        now_us = time.time_ns() // 1000
        with self._lock:
            if not self._suffix:  # the first id, or the first after a fork
                self._suffix = f"{secrets.randbits(44):011x}"
            if now_us <= self._last_us:
                now_us = self._last_us + 1
            self._last_us = now_us
            return f"{now_us:013x}{self._suffix}"


new_id = IdSource()
