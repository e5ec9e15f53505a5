"""Which schedule is due next: a cache beside the state, filled by the decider and never part of an image."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.schedule.spec import Firing

SLACK = 64
"""Outdated entries that the heap may hold beyond as many as there are schedules."""


class Agenda:
    """The next instant of each schedule, earliest first; equal instants are in order of names.

    A name is *unknown* until somebody computes its next instant and notes it: the fold only invalidates,
    because it must not consult cron or zones. Each operation costs at most the logarithm of their number.
    """

    def __init__(self) -> None:
        self.exhausted: dict[str, None] = {}
        """Schedules that were found to have no more instants, and are not recorded as completed yet."""
        self.errors: dict[str, str] = {}
        """Schedules whose next instant cannot be computed, and why."""
        self._unknown: dict[str, None] = {}
        self._next: dict[str, tuple[int, Firing]] = {}
        """When the instant is due, and the instant."""
        self._heap: list[tuple[int, str]] = []

    def invalidate(self, name: str) -> None:
        """Forget what was computed for a schedule: something happened to it."""
        self._unknown[name] = None
        self._next.pop(name, None)
        self.exhausted.pop(name, None)
        self.errors.pop(name, None)

    def take_unknown(self) -> list[str]:
        """Name the schedules to compute; they count as computed, and as not due, from now on."""
        names = list(self._unknown)
        if names:
            self._unknown = {}
        return names

    def note(self, name: str, firing: Firing, due_us: int) -> None:
        """Take in a schedule's next instant, and when it is due."""
        self._next[name] = (due_us, firing)
        if len(self._heap) > 2 * len(self._next) + SLACK:
            self._heap = [(known[0], other) for other, known in self._next.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (due_us, name))

    def fail(self, name: str, error: str) -> None:
        """Take a schedule out, because its instants cannot be computed."""
        self._next.pop(name, None)
        self.errors[name] = error

    def next_of(self, name: str) -> Firing | None:
        """Return the next instant of a schedule, if it is known to have one."""
        known = self._next.get(name)
        return None if known is None else known[1]

    def first_us(self) -> int | None:
        """Return when the first of all is due."""
        heap = self._heap
        while heap and not self._is_current(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take_due(self, now_us: int) -> list[tuple[str, Firing]]:
        """Take out the schedules that are due, earliest first; whoever takes them serves them."""
        due = []
        while (first_us := self.first_us()) is not None and first_us <= now_us:
            name = heapq.heappop(self._heap)[1]
            due.append((name, self._next.pop(name)[1]))
        return due

    def _is_current(self, entry: tuple[int, str]) -> bool:
        known = self._next.get(entry[1])
        return known is not None and known[0] == entry[0]
