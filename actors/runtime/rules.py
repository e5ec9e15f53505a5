"""The shape of an actor's rules and of its state: what the runtime asks of each of the four."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.runtime.messages import Context, Decision, Event, Message


class State(Protocol):
    """What an actor knows: the fold of its own events, and nothing else (R18)."""

    handlers: Mapping[type[Event], Callable[[Any], None]]
    """What `evolve` does with each type of event, for the fold over a whole log."""

    def evolve(self, event: Event, /) -> None:
        """Take in one event of its own, in place. Never refuses, never looks anything up."""
        ...

    def take_retired(self) -> list[str]:
        """Name what became final since the last call; it is kept until `forget`, which is no event (R7)."""
        ...

    def forget(self, names: Iterable[str], /) -> None:
        """Drop finished things from memory; the log's index has them by now."""
        ...

    def dump(self) -> Any:
        """Give the state as plain data: equal data, equal state. The image of a snapshot."""
        ...


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
