"""What every actor's state has in common: handlers by event, and the memory of what has just ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.runtime.messages import Event

T = TypeVar("T")


class FoldedState(Generic[T]):
    """The fold of an actor's own events.

    What has ended leaves the live state, and is remembered in `retired` until its end is durable: from then
    on the log's index has it (R7). Forgetting is no event, and `retired` is no part of `dump`.
    """

    handlers: Mapping[type[Event], Callable[[Any], None]]
    """What each type of event does."""

    def __init__(self) -> None:
        self.retired: dict[str, T] = {}
        self.is_past = False
        """Whether all that it is told is durable already, so that nothing needs to be remembered."""
        self._newly_retired: list[tuple[str, Any]] = []

    def begin_past(self) -> None:
        """Expect events that are long durable, until `end_past`: nobody asks anything in between."""
        self.is_past = True

    def end_past(self) -> None:
        """Be as one is after these events, ready to be asked."""
        self.is_past = False

    def evolve(self, event: Event) -> None:
        """Take in one event of its own, in place."""
        self.handlers[type(event)](event)

    def retire(self, name: str, what: T) -> None:
        """Remember how something ended."""
        if self.is_past:
            return
        self.retired[name] = what
        self._newly_retired.append((name, what))

    def take_retired(self) -> list[tuple[str, Any]]:
        """Return what has ended since the last call."""
        retired = self._newly_retired
        if retired:
            self._newly_retired = []
        return retired

    def forget(self, ended: Iterable[tuple[str, Any]]) -> None:
        """Drop what ended, unless it was taken up again and has ended anew meanwhile."""
        for name, what in ended:
            if self.retired.get(name) is what:
                del self.retired[name]
