"""Resources with a capacity: who holds how much, and who waits for some, first come first served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actors.queue.events import (
        ResourceAdded,
        ResourceEnding,
        ResourceGranted,
        ResourceReleased,
        ResourceRemoved,
        ResourceRequested,
    )

Amounts = tuple[tuple[str, float], ...]
Units = tuple[tuple[str, int], ...]
UNITS = 10**9
"""What is held is counted in billionths: ten tenths of a GPU are one GPU."""


def units(amount: float) -> int:
    """Return an amount in billionths."""
    return round(amount * UNITS)


def in_units(amounts: Amounts) -> Units:
    """Return amounts in billionths."""
    return tuple((name, units(amount)) for name, amount in amounts)


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
        self.ending: dict[str, bool] = {}
        """Resources that no new job of nobody's may need, and whether nobody at all needs them any more."""
        self._in_use: dict[str, int] = {}

    def used(self, name: str) -> float:
        """Return how much of a resource is held, by allocations and by attempts of jobs."""
        return self._in_use.get(name, 0) / UNITS

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
        free = {name: units((capacity or {}).get(name, self.capacity[name][1])) for name, _ in amounts}
        for name in free:
            free[name] -= self._in_use.get(name, 0)
        gone = (self.held[allocation].amounts for allocation in freed if allocation in self.held)
        for sign, others in ((1, gone), (-1, taken)):
            for each in others:
                for name, amount in each:
                    if name in free:
                        free[name] += sign * units(amount)
        return all(units(amount) <= free[name] for name, amount in amounts)

    def are_free(self, needs: Units) -> bool:
        """Whether a job could start that needs so much; those who wait by hand go first."""
        return next(self.lacking(needs), None) is None

    def lacking(self, needs: Units) -> Iterator[tuple[str, int]]:
        """Yield of what a job needs what it cannot have now; those who wait by hand go first."""
        wanted = {name for waiting in self.waiting.values() for name, _ in waiting.amounts}
        for name, amount in needs:
            if (
                name not in self.capacity
                or name in wanted
                or amount > units(self.capacity[name][1]) - self._in_use.get(name, 0)
            ):
                yield name, amount

    def take(self, needs: Units) -> None:
        """Hold so much more."""
        for name, amount in needs:
            self._in_use[name] = self._in_use.get(name, 0) + amount

    def give(self, needs: Units) -> None:
        """Hold so much less."""
        for name, amount in needs:
            self._in_use[name] -= amount

    def names_of(self, allocation_id: str) -> tuple[str, ...]:
        """Return what an allocation holds or waits for."""
        holding = self.held.get(allocation_id) or self.waiting.get(allocation_id)
        return () if holding is None else tuple(name for name, _ in holding.amounts)

    def added(self, event: ResourceAdded) -> None:
        """Define a resource."""
        self.capacity[event.name] = (event.kind, event.capacity)

    def on_ending(self, event: ResourceEnding) -> None:
        """Let nobody in who is new."""
        self.ending[event.name] = event.last

    def removed(self, event: ResourceRemoved) -> None:
        """Forget a resource that nothing holds."""
        del self.ending[event.name], self.capacity[event.name]
        self._in_use.pop(event.name, None)

    def requested(self, event: ResourceRequested) -> None:
        """Stand in line."""
        self.waiting[event.allocation_id] = Holding(event.requester, event.amounts, event.epoch)

    def granted(self, event: ResourceGranted) -> None:
        """Hold."""
        self.waiting.pop(event.allocation_id, None)
        self.held[event.allocation_id] = Holding(event.requester, event.amounts, event.epoch)
        self.take(in_units(event.amounts))

    def released(self, event: ResourceReleased) -> None:
        """Hold no more, wait no more."""
        held = self.held.pop(event.allocation_id, None)
        if held is not None:
            self.give(in_units(held.amounts))
        self.waiting.pop(event.allocation_id, None)

    def dump(self) -> Any:
        """Give the resources as plain data."""
        return {
            "capacity": [(name, kind, capacity) for name, (kind, capacity) in self.capacity.items()],
            "held": [(name, *msgspec.structs.astuple(holding)) for name, holding in self.held.items()],
            "waiting": [(name, *msgspec.structs.astuple(holding)) for name, holding in self.waiting.items()],
            "ending": list(self.ending.items()),
        }

    def restore(self, image: Any) -> None:
        """Become the resources whose `dump` was `image`."""
        self.ending = dict(image.get("ending", ()))
        self.capacity = {name: (kind, capacity) for name, kind, capacity in image["capacity"]}
        for target, rows in ((self.held, image["held"]), (self.waiting, image["waiting"])):
            target.clear()
            for name, requester, amounts, epoch in rows:
                target[name] = Holding(requester, tuple((held, amount) for held, amount in amounts), epoch)
        for holding in self.held.values():
            self.take(in_units(holding.amounts))
