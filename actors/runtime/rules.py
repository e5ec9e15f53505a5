"""The shape of an actor's rules: what the runtime asks of each of the four."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.messages import Context, Decision, Event, Message


class Rules(Protocol):
    """The rules of one actor: pure functions of state, message and context."""

    name: str
    """The actor's address."""
    events: tuple[type[Event], ...]
    """The types of its own events."""

    def initial(self) -> Any:
        """Return the state before the first event."""
        ...

    def restore(self, image: Any, /) -> Any:
        """Return the state whose `dump` was `image`."""
        ...

    def lookups(self, state: Any, message: Message, /) -> Iterable[str]:
        """Name the entities whose durable past `decide` will need, because memory has forgotten them."""
        ...

    def decide(self, state: Any, message: Message, context: Context, /) -> Decision:
        """Decide on one message, without changing anything."""
        ...

    def settle(self, state: Any, context: Context, /) -> Iterable[Decision]:
        """Decide what follows from the state alone, once per turn, after its messages.

        A generator: each decision is applied before the next one is made.
        """
        ...

    def pending(self, state: Any, context: Context, /) -> Decision:
        """Say everything that is owed: starts, messages to peers (R8, R16). Asked on `Resume`."""
        ...

    def next_wake_us(self, state: Any, context: Context, /) -> int | None:
        """Return the instant (µs UTC) at which time alone will make something due; None: never."""
        ...
