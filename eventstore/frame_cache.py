"""The frames that were written or read last, decoded: a thousand jobs of one frame cost one decode."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from threading import Lock

from eventstore.records import Frame
from eventstore.retention import Remnant


class _Entry:
    """A frame in the cache."""

    __slots__ = ("frame", "size", "used")

    def __init__(self, frame: Frame | Remnant, size: int) -> None:
        self.frame = frame
        self.size = size
        self.used = False
        """Whether somebody asked for it since it was last near its end."""


class FrameCache:
    """Some frames, found by any of their positions; safe for many threads.

    The oldest goes first; one that was used since its last turn gets another (the clock algorithm): else the
    one frame of a great batch would be decoded again for every few frames written meanwhile.
    """

    def __init__(self, *, max_frames: int = 256, max_bytes: int = 4 * 1024 * 1024) -> None:
        """Begin empty, with bounds on the number of frames and, roughly, on their stored bytes."""
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._bytes = 0
        self._by_age: dict[int, _Entry] = {}
        """By first position, the oldest first."""
        # By position; replaced as a whole, so that a search needs no lock.
        self._sorted: tuple[list[int], list[_Entry]] = ([], [])

    def get(self, position: int, load: Callable[[int], tuple[Frame | Remnant, int]]) -> Frame | Remnant:
        """Return the frame that holds a position, loaded once however many threads ask."""
        return self._search(position) or self._load(position, load)

    def add(self, frame: Frame | Remnant, size: int) -> None:
        """Keep a frame of so many stored bytes."""
        with self._lock:
            self._add(frame, size)

    def _search(self, position: int) -> Frame | Remnant | None:
        firsts, entries = self._sorted
        place = bisect_right(firsts, position)
        if place:
            entry = entries[place - 1]
            if position <= entry.frame.last:
                entry.used = True
                return entry.frame
        return None

    def _load(self, position: int, load: Callable[[int], tuple[Frame | Remnant, int]]) -> Frame | Remnant:
        with self._lock:
            frame = self._search(position)
            if frame is None:
                frame, size = load(position)
                self._add(frame, size)
            return frame

    def _add(self, frame: Frame | Remnant, size: int) -> None:
        self._drop(self._by_age.get(frame.first))
        entry = self._by_age[frame.first] = _Entry(frame, size)
        self._bytes += size
        while len(self._by_age) > 1 and (
            len(self._by_age) > self._max_frames or self._bytes > self._max_bytes
        ):
            self._let_oldest_go(frame.first)
        firsts, entries = self._sorted
        place = bisect_right(firsts, frame.first)
        self._sorted = (
            [*firsts[:place], frame.first, *firsts[place:]],
            [*entries[:place], entry, *entries[place:]],
        )

    def _let_oldest_go(self, newest: int) -> None:
        """Drop the oldest frame, or give it another turn; the newest is always kept."""
        first = next(iter(self._by_age))
        entry = self._by_age[first]
        if entry.used or first == newest:
            entry.used = False
            del self._by_age[first]
            self._by_age[first] = entry
        else:
            self._drop(entry)

    def _drop(self, entry: _Entry | None) -> None:
        if entry is not None:
            first = entry.frame.first
            self._bytes -= entry.size
            del self._by_age[first]
            firsts, entries = self._sorted
            place = bisect_right(firsts, first)
            self._sorted = (firsts[: place - 1] + firsts[place:], entries[: place - 1] + entries[place:])
