"""Waiting for the end of something, on the durable log, so that no actor holds anybody's call (R13)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from actors.runtime.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.runtime.messages import Event


class Watch:
    """Who waits for the final event of which entity, and who wants to hear of every commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Reply]] = {}
        self._listeners: tuple[threading.Event, ...] = ()
        self._closed: BaseException | None = None

    def final(self, entity: str) -> Reply:
        """Return a reply that gets the next durable final event of `entity`."""
        reply = Reply()
        with self._lock:
            if self._closed is not None:
                reply.fail(self._closed)
            else:
                self._waiting.setdefault(entity, []).append(reply)
        return reply

    def awaits(self, events: Sequence[Event]) -> bool:
        """Whether somebody waits for one of these events."""
        waiting = self._waiting
        return bool(waiting) and any(event.final and event.entity in waiting for event in events)

    def forget(self, entity: str, reply: Reply) -> None:
        """Stop waiting."""
        with self._lock:
            replies = self._waiting.get(entity, [])
            if reply in replies:
                replies.remove(reply)
                if not replies:
                    del self._waiting[entity]

    def listen(self, changed: threading.Event) -> None:
        """Set `changed` after every commit with events, until `unlisten`."""
        with self._lock:
            self._listeners = (*self._listeners, changed)

    def unlisten(self, changed: threading.Event) -> None:
        """Take back what `listen` said."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not changed)

    def published(self, events: Sequence[Event], _watermark: int) -> None:
        """Tell whoever waits. Called by the journal, in log order, once the events are durable."""
        if self._waiting:
            for event in events:
                if event.final:
                    with self._lock:
                        replies = self._waiting.pop(event.entity, ())
                    for reply in replies:
                        reply.set(event)
        for listener in self._listeners:
            listener.set()

    def close(self, error: BaseException) -> None:
        """Answer everybody with `error`: the engine ends."""
        with self._lock:
            self._closed = error
            waiting = [reply for replies in self._waiting.values() for reply in replies]
            self._waiting.clear()
        for reply in waiting:
            reply.fail(error)
