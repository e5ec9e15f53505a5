"""The newest records in the index by entity, before they are a segment: only whose each is, until somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from threading import Lock

from eventstore.segments import Entry


class Tail:
    """Whose the records behind a position are; one thread adds, any number look up.

    A record costs its writer next to nothing. They are sorted out by entity when somebody looks one up, those that
    have come since; and where nobody does, as while a queue is drained, only when they become a segment.
    """

    def __init__(self, names: list[str] | None = None, *, after: int) -> None:
        """Begin with the entities of the records behind a position, in their order."""
        self.after = after
        self._names = names or []
        self._by_entity: dict[str, list[int]] = {}
        self._sorted = 0
        """How many of them are in `_by_entity`."""
        self._sorting = Lock()

    def add(self, names: list[str]) -> None:
        """Add the next records."""
        self._names += names

    def entries(self) -> list[Entry]:
        """Return the entities, sorted."""
        found = self._found()
        return [(entity, found[entity]) for entity in sorted(found)]

    def behind(self, horizon: int) -> Tail:
        """Return what is behind a position."""
        return Tail(self._names[max(0, horizon - self.after) :], after=max(self.after, horizon))

    # -- looking up ------------------------------------------------------------------------------------

    def of(self, entity: str) -> Sequence[int]:
        """Return the positions of an entity."""
        return self._found().get(entity, ())

    def items(self) -> list[Entry]:
        """Return the entities, in any order."""
        with self._sorting:  # the pairs are made one by one, and another thread may come between
            self._sort()
            return list(self._by_entity.items())

    def _found(self) -> dict[str, list[int]]:
        if self._sorted < len(self._names):
            with self._sorting:
                self._sort()
        return self._by_entity

    def _sort(self) -> None:
        by_entity, begin, end = self._by_entity, self._sorted, len(self._names)
        for position, entity in enumerate(islice(self._names, begin, end), self.after + 1 + begin):
            positions = by_entity.get(entity)
            if positions is None:
                by_entity[entity] = [position]
            else:
                positions.append(position)
        self._sorted = end
