"""Resources with a capacity: who holds how much, and who waits for some, first come first served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.queue.messages import ResourceAdded, ResourceGranted, ResourceReleased, ResourceRequested

Amounts = tuple[tuple[str, float], ...]
TOLERANCE = 1e-9
"""Amounts are floats: ten tenths of a GPU are one GPU."""


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """Amounts that somebody holds, or waits for, and under which epoch."""

    requester: str
    amounts: Amounts
    epoch: int


class Resources:
    """The fold of the resource events."""

    def __init__(self) -> None:
        self.capacity: dict[str, tuple[str, float]] = {}
        """Kind and capacity by name."""
        self.held: dict[str, Holding] = {}
        self.waiting: dict[str, Holding] = {}
        """In the order of their requests."""

    def used(self, name: str) -> float:
        """Return how much of a resource is held."""
        amounts = (holding.amounts for holding in self.held.values())
        return sum((amount for each in amounts for held, amount in each if held == name), 0.0)

    def fits(
        self,
        amounts: Amounts,
        *,
        freed: Iterable[str] = (),
        taken: Iterable[Amounts] = (),
        capacity: Mapping[str, float] | None = None,
    ) -> bool:
        """Whether all of `amounts` could be granted.

        With `freed` allocations gone, `taken` granted, and another `capacity` where it names one.
        """
        gone = frozenset(freed)
        free = {name: self.capacity[name][1] for name, _ in amounts}
        free |= {name: value for name, value in (capacity or {}).items() if name in free}
        held = [holding.amounts for allocation, holding in self.held.items() if allocation not in gone]
        for others in (*held, *taken):
            for name, amount in others:
                if name in free:
                    free[name] -= amount
        return all(amount <= free[name] + TOLERANCE for name, amount in amounts)

    def added(self, event: ResourceAdded) -> None:
        """Define a resource."""
        self.capacity[event.name] = (event.kind, event.capacity)

    def requested(self, event: ResourceRequested) -> None:
        """Stand in line."""
        self.waiting[event.allocation_id] = Holding(event.requester, event.amounts, event.epoch)

    def granted(self, event: ResourceGranted) -> None:
        """Hold."""
        self.waiting.pop(event.allocation_id, None)
        self.held[event.allocation_id] = Holding(event.requester, event.amounts, event.epoch)

    def released(self, event: ResourceReleased) -> None:
        """Hold no more, wait no more."""
        self.held.pop(event.allocation_id, None)
        self.waiting.pop(event.allocation_id, None)

    def dump(self) -> Any:
        """Give the resources as plain data."""
        return {
            "capacity": [(name, kind, capacity) for name, (kind, capacity) in self.capacity.items()],
            "held": [(name, *msgspec.structs.astuple(holding)) for name, holding in self.held.items()],
            "waiting": [(name, *msgspec.structs.astuple(holding)) for name, holding in self.waiting.items()],
        }

    def restore(self, image: Any) -> None:
        """Become the resources whose `dump` was `image`."""
        self.capacity = {name: (kind, capacity) for name, kind, capacity in image["capacity"]}
        for target, rows in ((self.held, image["held"]), (self.waiting, image["waiting"])):
            target.clear()
            for name, requester, amounts, epoch in rows:
                target[name] = Holding(requester, tuple((held, amount) for held, amount in amounts), epoch)
