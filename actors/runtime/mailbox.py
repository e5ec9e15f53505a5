"""The inbox of an actor: unbounded, drained in batches, and answering for what it drops."""

from __future__ import annotations

import queue
import time
from typing import Any

from actors.runtime.messages import Letter, Nudge
from eventstore.errors import OutcomeUnknownError

DRAIN_LIMIT = 1024
"""Letters with which a turn is full, so that one turn stays one item of bounded size."""


class Delivery:
    """What `Mailbox.get` hands to Pykka's loop: a list of letters, and nobody whom Pykka should answer."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: list[Letter]) -> None:
        self.message = message
        self.reply_to = None


class Mailbox:
    """Pykka's inbox protocol (`put`, `get`, `empty`), handing over what waits as one batch.

    Callers' commands and peers' words come as a `Letter` or several; anything else (Pykka's own stop) is passed
    through alone and in order. The bound on callers is kept at the façade, never here (R22).
    """

    def __init__(self, drain_limit: int = DRAIN_LIMIT) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._held: Any = None
        self._drain_limit = drain_limit
        self._closed = False
        self.deadline: float | None = None
        """When set (seconds on the monotonic clock), `get` gives a `Nudge` at that moment."""

    def put(self, envelope: Any, /) -> None:
        """Take a message; after `close` it is answered with an error instead of being lost (R13)."""
        self._queue.put(envelope)
        if self._closed:
            self._refuse_rest()

    def get(self) -> Any:
        """Wait for a message; return a `Delivery` of letters, or a foreign envelope as it is."""
        first, self._held = self._held, None
        if first is None:
            first = self._wait()
        if type(first) is Delivery:
            return first
        letters: list[Letter] = []
        envelope, waiting = first, self._queue.qsize()
        while True:
            message = envelope.message
            if type(message) is Letter:
                letters.append(message)
            elif type(message) is tuple:  # of one sender, who put them in together
                letters += message
            elif letters:
                self._held = envelope
                break
            else:
                return envelope
            if not waiting or len(letters) >= self._drain_limit:
                break
            waiting -= 1
            envelope = self._queue.get()
        return Delivery(letters)

    def _wait(self) -> Any:
        deadline = self.deadline
        if deadline is None:
            return self._queue.get()
        try:
            return self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return Delivery([Letter(Nudge())])

    def empty(self) -> bool:
        """Whether nothing waits for the actor.

        Pykka asks when the actor has ended, and drops what it then takes: so nothing waits in a closed
        mailbox, and whoever put it there answers for it.
        """
        return self._closed or (self._held is None and self._queue.empty())

    def __len__(self) -> int:
        """Return about how many messages wait."""
        return self._queue.qsize()

    def close(self) -> None:
        """Refuse what waits and whatever still comes: the actor behind this mailbox is gone."""
        self._closed = True
        self._refuse_rest()

    def _refuse_rest(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            refuse_envelope(held)
        while True:
            try:
                envelope = self._queue.get_nowait()
            except queue.Empty:
                return
            refuse_envelope(envelope)


def letters_of(message: Any) -> tuple[Letter, ...]:
    """Return the letters in an envelope; none if it is a foreign one."""
    if type(message) is Letter:
        return (message,)
    return message if type(message) is tuple else ()


def refuse(letter: Letter) -> None:
    """Answer whoever waits for a letter that nobody will read."""
    if letter.reply is not None:
        letter.reply.fail(OutcomeUnknownError("the engine was rebuilt or closed before it took this command"))


def refuse_envelope(envelope: Any) -> None:
    """Answer whoever waits for something in a mailbox that nobody will read."""
    for letter in letters_of(envelope.message):
        refuse(letter)
    if envelope.reply_to is not None:  # Pykka's own stop, asked for twice
        envelope.reply_to.set(None)
