"""Resources as their users see them: counted, waited for in line, never over-committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.queue.messages import AddResource, GetResources, Release
from actors.runtime.errors import InputError, UnknownIdError
from logistics.ids import new_id
from logistics.inputs import check_id, check_name, check_positive, timeout_s
from logistics.orchestration.allocations import check_amounts, take
from logistics.orchestration.given import OnEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.queue.messages import ResourceView
    from logistics.inputs import Duration


@dataclass(frozen=True, slots=True)
class Allocation:
    """Amounts of resources that a requester holds until `ResourceManager.release(allocation_id)`."""

    allocation_id: str
    requester: str
    amounts: Mapping[str, float]
    """How much of which resource."""


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """A resource as it was when it was read."""

    name: str
    type: str
    capacity: float
    used: float
    available: float
    waiting: int
    """Requests that wait in line for some of it."""
    holders: Mapping[str, float]
    """How much each requester holds; jobs and steps are `job:` and their id."""
    line: tuple[tuple[str, float], ...] = ()
    """Who waits for how much, in the order of the requests."""


@dataclass(frozen=True, slots=True)
class ResourcePreview:
    """What a request would meet, as it was when that was asked."""

    granted: bool
    """Whether it would be granted at once."""
    missing: Mapping[str, float]
    """How much more of which resource would have to be free."""
    holders: Mapping[str, Mapping[str, float]]
    """Who holds how much of the resources that are missing."""
    ahead: tuple[str, ...]
    """Who waits for some of the same resources, in order: nobody is overtaken."""


class ResourceManager(OnEngine):
    """Hands out amounts of named resources, in the order of the requests, never more than there is.

    Whoever waits is not overtaken by a later request for the same resource. What the process that held it
    leaves behind when it ends is free again once the store is opened.
    """

    def add_resource(self, name: str, type: str, capacity: float) -> None:  # noqa: A002 -- the contract's word
        """Define a resource, durably; one that is known gets the new type and capacity.

        `InputError` if more than the new capacity is in use, or if capacity is not above 0.
        """
        self.engine.ask(
            "queue",
            AddResource(
                check_name("name", name), check_name("type", type), check_positive("capacity", capacity)
            ),
        )

    def allocate(
        self, name: str, requester: str, amount: float = 1.0, timeout: Duration | None = 0
    ) -> Allocation | None:
        """Take `amount` of a resource; None if it was not free in time.

        `timeout` in seconds: 0 does not wait, None waits for ever. With the id of a session as `requester` it
        is given back, at the latest, when the session is closed. `UnknownIdError` for an unknown resource,
        `InputError` for an amount that is not above 0 or beyond the capacity, `WouldDeadlockError` if the
        last free worker would wait.
        """
        return self._allocate(requester, {check_name("name", name): amount}, timeout)

    def allocate_all(
        self, requester: str, amounts: Mapping[str, float], *, timeout: Duration | None = 0
    ) -> Allocation | None:
        """Take amounts of several resources in one step, all or none; otherwise like `allocate`."""
        return self._allocate(requester, amounts, timeout)

    def _allocate(
        self, requester: str, amounts: Mapping[str, float], timeout: Duration | None
    ) -> Allocation | None:
        allocation = Allocation(
            new_id(), check_name("requester", requester), check_amounts("amounts", amounts)
        )
        if not allocation.amounts:
            msg = f"amounts: expected at least one resource, got {amounts!r}"
            raise InputError(msg)
        held = take(
            self.engine,
            allocation.allocation_id,
            requester=requester,
            amounts=tuple(allocation.amounts.items()),
            timeout_s=timeout_s("timeout", timeout),
        )
        return allocation if held else None

    def release(self, allocation_id: str) -> bool:
        """Give an allocation back; False if nothing is held under this id."""
        return bool(self.engine.ask("queue", Release(check_id("allocation_id", allocation_id))))

    def preview(self, amounts: Mapping[str, float]) -> ResourcePreview:
        """Say what a request for these amounts would meet now; changes nothing.

        `UnknownIdError` for an unknown resource, `InputError` for amounts that can never be granted.
        """
        wanted = check_amounts("amounts", amounts)
        known = {usage.name: usage for usage in self.list_resources()}
        for name, amount in wanted.items():
            if name not in known:
                msg = f"no resource {name!r}; there is {', '.join(map(repr, sorted(known))) or 'none'}"
                raise UnknownIdError(msg)
            if amount > known[name].capacity:
                msg = f"{amount} of {name!r} can never be granted: its capacity is {known[name].capacity}"
                raise InputError(msg)
        missing = {
            name: amount - known[name].available
            for name, amount in wanted.items()
            if amount > known[name].available
        }
        ahead = tuple(dict.fromkeys(each for name in wanted for each, _ in known[name].line))
        holders = {name: known[name].holders for name in missing}
        return ResourcePreview(not missing and not ahead, missing, holders, ahead)

    def get_usage(self, name: str) -> ResourceUsage | None:
        """Return how much of a resource is used, by whom; None if there is none of this name."""
        check_name("name", name)
        return next((usage for usage in self.list_resources() if usage.name == name), None)

    def list_resources(self) -> list[ResourceUsage]:
        """Return every resource, in the order in which they were added; not the engine's own."""
        views: tuple[ResourceView, ...] = self.engine.ask("queue", GetResources())
        return [_usage(view) for view in views if not view.name.startswith("@")]


def _usage(view: ResourceView) -> ResourceUsage:
    holders: dict[str, float] = {}
    for _, requester, amount in view.holders:
        holders[requester] = holders.get(requester, 0.0) + amount
    return ResourceUsage(
        name=view.name,
        type=view.kind,
        capacity=view.capacity,
        used=view.used,
        available=max(0.0, view.capacity - view.used),
        waiting=view.waiting,
        holders=holders,
        line=tuple((requester, amount) for _, requester, amount in view.line),
    )
