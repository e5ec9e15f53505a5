"""Telling users' handlers of events, from the durable log, without ever slowing the writer."""

from __future__ import annotations

import logging
import threading
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.errors import EngineClosedError, InputError
from eventstore.errors import ArchiveError, CompactedError, StoreError
from logistics.audit.past import recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.engine import Runtime
    from actors.runtime.messages import Event
    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from logistics.audit.past import RecordedEvent

logger = logging.getLogger("logistics.subscriptions")


RETRY_S = 0.1
"""Pause before the log is read again, after it could not be."""


class Subscription:
    """One handler and how far it has been told."""

    def __init__(self, pattern: str, call: Callable[[RecordedEvent], object], position: int) -> None:
        self.pattern = pattern
        """Which tags it hears of, in the manner of `fnmatch`."""
        self.position = position
        """The last position that it has been told of, or that was passed over for it."""
        self.call = call
        self.cancelled = False
        self.error: StoreError | None = None
        """Why it hears of nothing more: the log was compacted beyond where it was, and the archive is not there."""

    def __repr__(self) -> str:
        ended = (
            ", cancelled" if self.cancelled else f", error={self.error!r}" if self.error is not None else ""
        )
        return f"Subscription({self.pattern!r}, position={self.position}{ended})"

    def cancel(self) -> None:
        """Hear of nothing more."""
        self.cancelled = True


class Subscriptions:
    """The subscriptions of one handle, served by one thread that is started with the first of them."""

    def __init__(self, runtime: Runtime, whole_log: Callable[[], Log]) -> None:
        """`whole_log` returns the log joined with its archive."""
        self._runtime = runtime
        self._whole_log = whole_log
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._subscriptions: list[Subscription] = []
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def has_begun(self) -> bool:
        """Whether somebody has subscribed."""
        return self._thread is not None

    def add(
        self, pattern: str, call: Callable[[RecordedEvent], object], *, after: int | None
    ) -> Subscription:
        """Subscribe what gets events with their places."""
        return self._add(pattern, call, after)

    def add_plain(self, pattern: str, handler: Callable[[str, dict[str, Any]], object]) -> Subscription:
        """Subscribe a handler that gets a tag and plain data."""
        check_handler(handler)
        return self._add(pattern, lambda each: handler(each.tag, plain(each.event, each.position)), None)

    def _add(self, pattern: str, call: Callable[[RecordedEvent], object], after: int | None) -> Subscription:
        check_pattern(pattern, self._runtime.codec)
        check_after(after)
        watermark = self._runtime.journal.watermark
        subscription = Subscription(pattern, call, watermark if after is None else after)
        with self._lock:
            if self._closing:
                msg = "this engine was closed; make a new one"
                raise EngineClosedError(msg)
            self._subscriptions.append(subscription)
            if self._thread is None:
                self._runtime.watch.listen(self._changed)
                self._thread = threading.Thread(target=self._run, name="logistics-subscriptions", daemon=True)
                self._thread.start()
        self._changed.set()
        return subscription

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._closing:
                return
            with self._lock:
                self._subscriptions = [each for each in self._subscriptions if not each.cancelled]
                waiting = list(self._subscriptions)
            try:
                self._tell_all(waiting)
            except StoreError:
                logger.warning("the log could not be read for subscribers; trying again", exc_info=True)
                self._changed.wait(RETRY_S)
                self._changed.set()

    def _tell_all(self, subscriptions: list[Subscription]) -> None:
        try:
            self._tell(self._runtime.log, subscriptions, self._runtime.journal.watermark)
        except CompactedError:
            self._catch_up(subscriptions)

    def _catch_up(self, subscriptions: list[Subscription]) -> None:
        """Tell those who stand behind the horizon what the archive has; who cannot be told all is told nothing more."""
        horizon = self._runtime.log.horizon.head.position
        for each in subscriptions:
            if each.position >= horizon:
                continue
            try:
                self._tell(self._whole_log(), [each], horizon)
            except (CompactedError, ArchiveError) as error:
                each.error = error
                each.cancel()
                logger.error(  # noqa: TRY400 -- where it was noticed says nothing
                    "the handler for %r hears of nothing behind position %d: %s",
                    each.pattern,
                    each.position,
                    error,
                )
        self._changed.set()

    def _tell(self, log: Log, subscriptions: list[Subscription], watermark: int) -> None:
        after = min((each.position for each in subscriptions), default=watermark)
        for frame in log.frames(after=after, upto=watermark):
            for offset, record in enumerate(frame.records):
                position = frame.first + offset
                tag = record.tag
                for each in subscriptions:
                    if each.position < position and not each.cancelled and not self._closing:
                        each.position = position
                        if fnmatchcase(tag, each.pattern):
                            self._call(each, recorded(frame.stored(position), self._runtime.codec))

    @staticmethod
    def _call(subscription: Subscription, event: RecordedEvent) -> None:
        try:
            subscription.call(event)
        except BaseException:  # a handler that exits ends nothing but its own call
            logger.exception(
                "the handler for %r failed on %s at %d",
                subscription.pattern,
                event.tag,
                event.position,
                extra={"entity": event.entity, "position": event.position},
            )

    def close(self) -> None:
        """Tell nobody anything more; a handler in progress is waited for, briefly."""
        with self._lock:  # so that a thread is not met between being made and being started
            self._closing = True
            thread = self._thread
        self._changed.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self._runtime.watch.unlisten(self._changed)


def check_handler(handler: object) -> None:
    """Refuse what cannot be called."""
    if not callable(handler):
        msg = f"handler: expected a function, got {handler!r}"
        raise InputError(msg)


def check_pattern(pattern: object, codec: EventCodec, *, what: str = "pattern") -> None:
    """Refuse what is no pattern of tags, or one that no event's tag matches: a slip of the pen, heard of never."""
    if not isinstance(pattern, str) or not pattern:
        msg = f"{what}: expected a tag or a pattern like 'job.*', got {pattern!r}"
        raise InputError(msg)
    tags = [str(each.__struct_config__.tag) for each in codec.types]
    if not any(fnmatchcase(tag, pattern) for tag in tags):
        near = " or ".join(map(repr, get_close_matches(pattern, tags)))
        hint = f"did you mean {near}?" if near else "`logistics schema` describes them all"
        msg = f"{what}: no event has a tag like {pattern!r}; {hint}"
        raise InputError(msg)


def check_after(after: object) -> None:
    """Refuse what is no position, and not None."""
    if after is not None and (isinstance(after, bool) or not isinstance(after, int) or after < 0):
        msg = f"after: expected a position, 0 or more, got {after!r}"
        raise InputError(msg)


def handler_of(handler: Callable[..., object], *, source: str = "") -> Callable[[RecordedEvent], object]:
    """Return what is called with a recorded event: a handler of events, or with a `source` one of CloudEvents."""
    check_handler(handler)
    if source:
        return lambda each: handler(each.cloud_event(source))
    return lambda each: handler(each.event, each.position)


def plain(event: Event | None, position: int) -> dict[str, Any]:
    """Return an event's fields as plain data, with its position."""
    assert event is not None  # an engine that does not understand an event is not opened
    data = {name: msgspec.to_builtins(getattr(event, name)) for name in event.__struct_fields__}
    return data | {"position": position}
