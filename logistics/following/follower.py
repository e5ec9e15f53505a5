"""A thread that follows the durable log from a position on, batch by batch."""

from __future__ import annotations

import logging
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from actors.runtime.errors import EngineClosedError
from eventstore.errors import ArchiveError, CompactedError, ReopenNeededError, StoreError
from logistics.audit.past import recorded
from logistics.errors import WaitTimeoutError
from logistics.inputs import timeout_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.runtime.engine import Runtime
    from eventstore.log import Log
    from eventstore.records import Frame
    from logistics.audit.past import RecordedEvent
    from logistics.inputs import Duration

logger = logging.getLogger("logistics.following")

BATCH = 256
"""Events that are taken at a time, at most."""
RETRY_S = 0.1
"""Pause before the log is read again, after it could not be."""


class Follower:
    """Takes what matches a pattern, in the order of the log, from a position on: a base class.

    `_take` is called on a thread of its own with what matches, and the position up to which everything was looked
    at. It says how far it has come; less than that if it has to be called again for the rest.
    """

    def __init__(self, runtime: Runtime, name: str, pattern: str) -> None:
        self.name = name
        self.pattern = pattern
        self._runtime = runtime
        self.whole_log: Callable[[], Log] = lambda: runtime.log
        """Returns the log joined with its archive."""
        self._joined: Log | None = None
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._moved = threading.Condition()
        self._position = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"logistics-{name}", daemon=True)

    def __repr__(self) -> str:
        stopped = "" if self.error is None else f", error={self.error!r}"
        return f"{type(self).__name__}({self.name!r}, {self.pattern!r}, position={self.position}{stopped})"

    @property
    def position(self) -> int:
        """The last position that it is done with, durably."""
        return self._position

    @property
    def error(self) -> BaseException | None:
        """What stopped it for good; None as long as it follows."""
        return self._error

    @property
    def is_running(self) -> bool:
        """Whether it follows."""
        return not self._stopped.is_set()

    def _start(self, position: int) -> None:
        """Begin behind a position."""
        self._position = position
        self._runtime.watch.listen(self._changed)
        self._changed.set()
        self._thread.start()

    def _take(self, events: list[RecordedEvent], upto: int) -> int:
        """Take a batch; return how far it has come."""
        raise NotImplementedError

    def wait_until(self, position: int | None = None, timeout: Duration | None = None) -> None:
        """Wait until it is done with a position; None: with all that is on record now.

        `TimeoutError` if that takes longer than `timeout` (None: for ever), or what stopped it.
        """
        wanted = self._runtime.journal.watermark if position is None else position
        limit_s = timeout_s("timeout", timeout)
        with self._moved:
            done = self._moved.wait_for(lambda: self._position >= wanted or not self.is_running, limit_s)
        if self._position >= wanted:
            return
        if not done:
            msg = f"{self.name!r} is at position {self._position}, not at {wanted}, after {limit_s} s"
            raise WaitTimeoutError(msg)
        if self._error is not None:
            raise self._error
        msg = f"{self.name!r} was stopped at position {self._position}"
        raise EngineClosedError(msg)

    def stop(self) -> None:
        """Take nothing more; what is under way is waited for, briefly. A second call does nothing."""
        self._stopped.set()
        self._changed.set()
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(1.0)
        self._runtime.watch.unlisten(self._changed)
        with self._moved:
            self._moved.notify_all()

    def _fail(self, error: BaseException) -> None:
        """Give up; the error is there to be seen."""
        self._error = error
        self._stopped.set()
        logger.error("%r stops at position %d: %s", self.name, self._position, error)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._changed.wait()
                self._changed.clear()
                self._catch_up()
        except BaseException as error:
            if not self._stopped.is_set():  # else the store was closed under it
                logger.exception("%r cannot go on", self.name)
                self._fail(error)
        with self._moved:
            self._moved.notify_all()

    def _catch_up(self) -> None:
        """Take all that is durable."""
        while not self._stopped.is_set() and self._position < (upto := self._runtime.journal.watermark):
            try:
                self._take_next(upto)
            except (CompactedError, ArchiveError) as error:
                self._fail(error)
            except ReopenNeededError:  # a commit has failed, and the engine reopens the log
                self._pause(RETRY_S)
            except StoreError:
                logger.warning("the log could not be read for %r; trying again", self.name, exc_info=True)
                self._pause(RETRY_S)

    def _pause(self, seconds: float) -> bool:
        """Wait; whether it was stopped meanwhile."""
        return self._stopped.wait(seconds)

    def _frames(self, upto: int) -> Iterable[Frame]:
        """Return the next frames: of the archive, if the log was compacted beyond where this one is."""
        try:
            return list(self._runtime.log.frames(after=self._position, upto=upto))
        except CompactedError:
            self._joined = self._joined or self.whole_log()
            return self._joined.frames(after=self._position, upto=upto)

    def _take_next(self, watermark: int) -> None:
        upto = min(self._position + BATCH, watermark)
        codec, found = self._runtime.codec, []
        for frame in self._frames(upto):
            for position, record in enumerate(frame.records, frame.first):
                if self.pattern == "*" or fnmatchcase(record.tag, self.pattern):
                    found.append(recorded(frame.stored(position), codec))
        position = self._take(found, upto)
        with self._moved:
            self._position = position
            self._moved.notify_all()
