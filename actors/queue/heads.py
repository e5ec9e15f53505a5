"""Things in the order of their keys."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


def in_order(heap: list[tuple[Any, int, T]]) -> Iterator[tuple[Any, int, T]]:
    """Yield the entries of a heap in the order of their first two; looks no further than it is asked."""
    ahead = [(*heap[0][:2], 0)] if heap else []
    while ahead:
        _, _, index = heapq.heappop(ahead)
        yield heap[index]
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heapq.heappush(ahead, (*heap[child][:2], child))


class Heads(Generic[T]):
    """Things in the order of their keys: a change costs a logarithm, a look at the first ones nothing.

    A heap; what was moved or taken out stays in it until it is first or the heap is mostly made of such.
    """

    __slots__ = ("_keys", "_puts", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[tuple[int, ...], int, T]] = []
        """Keys and things; the first entry is of a thing that is there, others may be out of date."""
        self._keys: dict[T, tuple[int, ...]] = {}
        self._puts = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, thing: object) -> bool:
        return thing in self._keys

    def put(self, thing: T, key: tuple[int, ...]) -> None:
        """Give a thing its place, or another one."""
        if self._keys.get(thing) == key:
            return
        heap = self.heap
        self._keys[thing] = key
        self._puts += 1
        if not heap or heap[0][2] is not thing:
            heapq.heappush(heap, (key, self._puts, thing))
        elif len(heap) == 1:  # as one queue among others that have nothing to do
            heap[0] = (key, self._puts, thing)
            return
        else:  # as a lane's whose first job has left
            heapq.heapreplace(heap, (key, self._puts, thing))
        self._trim()

    def remove(self, thing: T) -> None:
        """Take a thing out, if it is there."""
        if self._keys.pop(thing, None) is not None:
            self._trim()

    def key_of(self, thing: T) -> tuple[int, ...]:
        """Return the key of a thing that is there."""
        return self._keys[thing]

    def first(self) -> T | None:
        """Return what is first."""
        return self.heap[0][2] if self.heap else None

    def first_key(self) -> tuple[int, ...] | None:
        """Return the key of what is first."""
        return self.heap[0][0] if self.heap else None

    def __iter__(self) -> Iterator[T]:
        """Yield everything in order; looks no further than it is asked."""
        for key, _, thing in in_order(self.heap):
            if self._keys.get(thing) is key:
                yield thing

    def _trim(self) -> None:
        heap, keys = self.heap, self._keys
        while heap and keys.get(heap[0][2]) is not heap[0][0]:
            heapq.heappop(heap)
        if len(heap) > 2 * len(keys) + 16:
            heap[:] = [entry for entry in heap if keys.get(entry[2]) is entry[0]]
            heapq.heapify(heap)
