"""Where the time comes from: the system's clock, or a virtual one that only a test moves."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The port of time. Wall time may jump; monotonic time only goes on."""

    def now_us(self) -> int:
        """Wall-clock time, microseconds since 1970 UTC."""
        ...

    def monotonic_us(self) -> int:
        """Monotonic time in microseconds, from an arbitrary start."""
        ...


class SystemClock:
    """The host's clock."""

    def now_us(self) -> int:
        """Wall-clock time, microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        """Monotonic time in microseconds."""
        return time.monotonic_ns() // 1000


class VirtualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_us: int = 1_767_225_600_000_000) -> None:  # 2026-01-01T00:00:00Z
        self._wall_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        """Virtual wall-clock time, microseconds since 1970 UTC."""
        return self._wall_us

    def monotonic_us(self) -> int:
        """Virtual monotonic time in microseconds."""
        return self._monotonic_us

    def advance(self, by_us: int) -> None:
        """Let time pass."""
        self._wall_us += by_us
        self._monotonic_us += by_us

    def jump(self, by_us: int) -> None:
        """Set the wall clock, forward or back, while monotonic time stands."""
        self._wall_us += by_us
