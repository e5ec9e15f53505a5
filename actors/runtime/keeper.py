"""The thread that looks after an open store once a second: how far it has come, and when it wants a snapshot."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from eventstore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.log import Log

logger = logging.getLogger("logistics.keeper")

EVERY_S = 1.0
TIDY_PAUSE_S = 0.005
"""Between two transactions that take out what was forgotten: commits come first."""


class SnapshotPolicy(NamedTuple):
    """When a snapshot is taken while the engine runs."""

    events: int = 200_000
    """As soon as so many were recorded since the newest one: half a second of replay."""
    least_events: int = 10_000
    """Fewer than these are replayed as fast as a snapshot is read."""
    seconds: float = 600.0
    """After so long, if there are `least_events`."""
    pause_s: float = 30.0
    """Never sooner after the one before."""

    def is_due(self, events: int, waited_s: float) -> bool:
        """Whether to take one, `events` and `waited_s` after the newest."""
        if events < self.least_events or waited_s < self.pause_s:
            return False
        return events >= self.events or waited_s >= self.seconds


class Photographer(Protocol):
    """Whoever takes snapshots beside the engine."""

    @property
    def busy(self) -> bool:
        """Whether one is under way."""

    @property
    def taken(self) -> int:
        """Up to where the newest one goes that came to its end; 0 if none did."""

    def take(self, upto: int) -> None:
        """Begin to take one, of everything up to a durable position."""

    def close(self) -> None:
        """Give up what is under way."""


class Retention(Protocol):
    """Whoever has the log forget what is over, beside the engine."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Give up what is under way, and end."""


class Keeper:
    """Tends the log, and has snapshots taken. Whatever goes wrong here is logged, and work goes on (F22)."""

    def __init__(
        self,
        log: Log,
        watermark: Callable[[], int],
        photographer: Photographer | None,
    ) -> None:
        self._log = log
        self._watermark = watermark
        self._photographer = photographer
        self.retention: Retention | None = None
        self.tidy: Callable[[], bool] = log.tidy
        self.policy = SnapshotPolicy()
        self.position = 0
        """Where the newest snapshot is, as far as we know: replay begins there."""
        self._asked = 0
        """Up to where the newest one goes that was begun, whatever became of it."""
        self._asked_s = time.monotonic()
        self._is_in_trouble = False
        """Whether the last look failed, and it was said so: what lasts is not said every second."""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so much was recorded since the newest snapshot that a start would take noticeably longer."""
        taken = 0 if self._photographer is None else self._photographer.taken
        return self._watermark() - max(self.position, taken) >= self.policy.least_events

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="logistics-keeper", daemon=True)
        self._thread.start()
        if self.retention is not None:
            self.retention.start()

    def stop(self) -> None:
        """End, and give up a snapshot that is under way; stopping twice is fine."""
        self._stopped.set()
        if self.retention is not None:
            self.retention.stop()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        if self._photographer is not None:
            self._photographer.close()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Do what is due."""
        try:
            self._log.tend()
            while self.tidy() and not self._stopped.wait(TIDY_PAUSE_S):
                pass
            photographer, watermark = self._photographer, self._watermark()
            if photographer is not None and not photographer.busy:
                self.position = max(self.position, photographer.taken)
                newest = max(self.position, self._asked)
                if self.policy.is_due(watermark - newest, now_s - self._asked_s):
                    self._asked_s = now_s  # one that cannot be begun is not tried again at once
                    photographer.take(watermark)
                    self._asked = watermark
        except (StoreError, OSError):
            if not self._is_in_trouble:
                logger.warning("the store cannot be looked after just now; work goes on", exc_info=True)
            self._is_in_trouble = True
        else:
            self._is_in_trouble = False
