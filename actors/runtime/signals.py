"""What running attempts say while they run: light words in memory, seen by others at once, on no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.effects import AttemptKey


class Progress(msgspec.Struct, frozen=True):
    """How far an attempt has come, by its own account."""

    done: float
    total: float | None
    message: str
    at_us: int
    """When it said so, µs UTC."""


class Signals:
    """Signs of life and progress, by attempt; only of attempts that gave any, and only until they have ended."""

    def __init__(
        self, knows: Callable[[AttemptKey], bool], set_back: Callable[[], None] = lambda: None
    ) -> None:
        """`knows` says whether an attempt is under way: a thread that it has left behind may still give signs.

        `set_back` is called when a sign is of an earlier time than the one before: whoever waits for silence was to
        look again when the clock is there.
        """
        self._knows = knows
        self._set_back = set_back
        self.beats: dict[AttemptKey, int] = {}
        """When an attempt last gave a sign of life, µs UTC."""
        self.progress: dict[AttemptKey, Progress] = {}

    def beat(self, key: AttemptKey, now_us: int) -> None:
        """Take a sign of life."""
        self._note(key, now_us)

    def report(self, key: AttemptKey, progress: Progress) -> None:
        """Take a report of progress, which is a sign of life, too."""
        self.progress[key] = progress
        self._note(key, progress.at_us)

    def _note(self, key: AttemptKey, at_us: int) -> None:
        before_us = self.beats.get(key, at_us)
        self.beats[key] = at_us
        # Asked behind the note: whoever forgets it at this moment comes before, or after.
        if not self._knows(key):
            self.forget(key)
        elif at_us < before_us:
            self._set_back()

    def forget(self, key: AttemptKey) -> None:
        """Forget an attempt that has ended."""
        if self.beats:
            self.beats.pop(key, None)
            self.progress.pop(key, None)
