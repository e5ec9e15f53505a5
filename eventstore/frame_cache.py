"""The frames that were written or read last, decoded: a thousand jobs of one frame cost one decode."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from eventstore.records import Frame


class FrameCache:
    """A few frames, found by any of their positions; safe for many threads."""

    def __init__(self, *, max_frames: int = 16, max_bytes: int = 32 * 1024 * 1024) -> None:
        """Begin empty, with bounds on the number of frames and, roughly, on their stored bytes."""
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._lock = Lock()
        # Newest first, or last used; replaced as a whole, so that a search needs no lock.
        self._entries: tuple[tuple[int, int, Frame], ...] = ()

    def get(self, position: int, load: Callable[[int], tuple[Frame, int]]) -> Frame:
        """Return the frame that holds a position, loaded once however many threads ask."""
        entries = self._entries
        for place, entry in enumerate(entries):
            if entry[0] <= position <= entry[1]:
                if 2 * place >= self._max_frames:
                    self._refresh(entry)
                return entry[2]
        return self._load(position, load)

    def add(self, frame: Frame, size: int) -> None:
        """Keep a frame of so many stored bytes."""
        with self._lock:
            self._add(frame, size)

    def _search(self, position: int) -> Frame | None:
        for first, last, frame in self._entries:
            if first <= position <= last:
                return frame
        return None

    def _refresh(self, entry: tuple[int, int, Frame]) -> None:
        """Put a frame that is in use first again, when it has gone down half of the way out.

        Else the one frame of a great batch would be decoded again for every few frames written meanwhile.
        """
        with self._lock:
            self._entries = (entry, *(other for other in self._entries if other is not entry))[
                : self._max_frames
            ]

    def _load(self, position: int, load: Callable[[int], tuple[Frame, int]]) -> Frame:
        with self._lock:
            frame = self._search(position)
            if frame is None:
                frame, size = load(position)
                self._add(frame, size)
            return frame

    def _add(self, frame: Frame, size: int) -> None:
        # The newest is always kept; of the others, as many as there would be room for of its size.
        others = min(self._max_frames, self._max_bytes // size) - 1
        self._entries = ((frame.first, frame.last, frame), *self._entries[: max(others, 0)])
