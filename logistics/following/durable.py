"""Subscriptions that remember how far they are: each event is handled at least once, in order, or parked."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.runtime.patience import patiently
from eventstore.decoding import msgpack_decoder
from eventstore.errors import CorruptStoreError
from logistics.audit.past import recorded
from logistics.following.cursors import (
    Cursor,
    check_reader_name,
    forget,
    key_of,
    read_cursor,
    write_cursor,
)
from logistics.following.follower import Follower
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.engine import Runtime
    from eventstore.notebook import Notebook, Notes
    from logistics.audit.past import RecordedEvent

    Handler = Callable[[RecordedEvent], object]

logger = logging.getLogger("logistics.subscriptions")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Before the second try of an event, doubled for each that follows."""
NOTE_EVERY_S = 0.05
"""How long a handler may go on before what it has done is noted: so much may be repeated after a crash."""


class ParkedEvent(NamedTuple):
    """An event that a handler could not take, however often it was tried."""

    position: int
    tag: str
    entity: str
    error: str
    at: datetime
    """When it was given up."""


class _Parked(msgspec.Struct, frozen=True, array_like=True):
    tag: str
    entity: str
    error: str
    at_us: int


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgpack_decoder(_Parked)


class DurableSubscription(Follower):
    """A handler that hears of every event, over restarts. Made by `engine.subscribe(…, name=…)`.

    An event for which the handler raises is tried again, up to `attempts` times, while later ones wait; then it is
    parked, with its error, and the next one is taken. What was handled, but not noted before a crash, is handled
    again: a handler must be able to bear that.
    """

    def __init__(
        self,
        runtime: Runtime,
        notebook: Notebook,
        name: str,
        pattern: str,
        handler: Handler,
        *,
        attempts: int,
    ) -> None:
        self._key = check_reader_name(name)
        super().__init__(runtime, f"subscription {name}", pattern)
        self._notebook = notebook
        self._handler = handler
        self._attempts = attempts
        self._handling = threading.RLock()
        """Held while the handler runs: it is called by one thread at a time."""

    def begin(self, after: int | None) -> None:
        """Go on where it was; a new one begins behind `after`, which None says is here."""
        runtime = self._runtime
        head = runtime.journal.watermark

        def found(notes: Notes) -> int:
            cursor = read_cursor(notes, self._key, store_id=runtime.log.store_id, head=head)
            if cursor is not None:
                return cursor.position
            begin = head if after is None else after
            self._note(notes, begin)
            return begin

        self._start(self._notebook.write(found))

    def _note(self, notes: Notes, position: int) -> None:
        write_cursor(notes, self._key, Cursor(position, self._runtime.log.store_id))

    def _take(self, events: list[RecordedEvent], upto: int) -> int:
        """Have events handled for a while, then note it."""
        begun = time.monotonic()
        for event in events:
            if time.monotonic() - begun > NOTE_EVERY_S and event is not events[0]:
                return self._noted(event.position - 1)
            error = self._handled(event)
            if self._stopped.is_set() and error is not None:
                return self._noted(event.position - 1)  # it was stopped between two tries
            if error is not None:
                return self._park(event, error)
        return self._noted(upto)

    def _noted(self, position: int) -> int:
        self._notebook.write(lambda notes: self._note(notes, position))
        return position

    def _handled(self, event: RecordedEvent) -> BaseException | None:
        """Have one event handled, tried again if need be; the error of the last try, or None."""
        error: BaseException | None = None
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, self._attempts + 1):
            try:
                with self._handling:
                    self._handler(event)
            except BaseException as raised:  # noqa: BLE001 -- a handler that exits ends nothing but its own call
                error = raised
                text = "%s: attempt %d at %d failed: %r"
                logger.warning(text, self.name, attempt, event.position, raised)
            else:
                return None
            if attempt < self._attempts and self._pause(pause_s):
                break
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return error

    def _park(self, event: RecordedEvent, error: BaseException) -> int:
        """Put an event aside and go on, in one transaction."""
        text = f"{type(error).__name__}: {error}"
        logger.error("%s: %s at %d is parked: %s", self.name, event.tag, event.position, text)
        now_us = self._runtime.clock.now_us()

        def park(notes: Notes) -> None:
            notes.put(
                self._parked_key(event.position), _ENCODE(_Parked(event.tag, event.entity, text, now_us))
            )
            self._note(notes, event.position)

        self._notebook.write(park)
        return event.position

    def _parked_key(self, position: int) -> bytes:
        return key_of("p", self._key, position.to_bytes(8, "big"))

    # -- what was parked -----------------------------------------------------------------------------------

    def parked(self) -> list[ParkedEvent]:
        """Return the events that were given up, in the order of the log."""
        prefix = key_of("p", self._key)

        def find(notes: Notes) -> list[ParkedEvent]:
            return [_shown(key[len(prefix) :], value) for key, value in notes.items(prefix)]

        return self._notebook.read(find)

    def retry_parked(self) -> int:
        """Call the handler once more for each parked event, on this thread; return how many it has taken."""
        taken = 0
        for parked in self.parked():
            stored = patiently(partial(self._runtime.log.at, parked.position))
            if stored is None:
                raise CorruptStoreError(f"nothing is at position {parked.position} any more")
            event = recorded(stored, self._runtime.codec)
            try:
                with self._handling:
                    self._handler(event)
            except Exception as error:  # noqa: BLE001 -- whatever it raises, the event stays parked
                logger.warning("%s: %d fails again: %r", self.name, parked.position, error)
            else:
                key = self._parked_key(parked.position)
                self._notebook.write(lambda notes, key=key: notes.delete(key))  # type: ignore[misc]
                taken += 1
        return taken

    def cancel(self) -> None:
        """Hear of nothing more, for now: under the same name it goes on where it was."""
        self.stop()

    def forget(self) -> None:
        """Hear of nothing more, and forget how far it was and what was parked."""
        self.stop()
        self._notebook.write(lambda notes: forget(notes, self._key, "cp"))


def _shown(position: bytes, value: bytes) -> ParkedEvent:
    parked = _DECODE(value)
    at = as_datetime(parked.at_us)
    return ParkedEvent(int.from_bytes(position, "big"), parked.tag, parked.entity, parked.error, at)
