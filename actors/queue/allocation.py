"""The rules of resources: all or nothing, first come first served, never over-committed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from actors.queue.events import ResourceAdded, ResourceGranted, ResourceReleased, ResourceRequested
from actors.queue.messages import ResourceView
from actors.queue.specs import SHARE
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.runtime.messages import Decision

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from actors.queue.messages import AddResource, Allocate, GetResources, Release, ReleaseAll
    from actors.queue.resources import Amounts, Holding, Resources
    from actors.queue.specs import Terms
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context


def add(state: QueueState, message: AddResource, context: Context, decision: Decision) -> None:
    """Define a resource, or change it and let in who waits; the same definition again changes nothing."""
    name, capacity = message.name, message.capacity
    _check_positive(f"capacity of {name!r}", capacity)
    resources = state.resources
    if resources.capacity.get(name) == (message.kind, capacity):
        return
    used = resources.used(name)
    waiting = (each.amounts for each in resources.waiting.values())
    needed = (lane.kind.resources for lane in state.hall.lanes.values() if lane.size)
    wanted = max(
        (amount for amounts in (*waiting, *needed) for other, amount in amounts if other == name), default=0.0
    )
    if capacity < used:
        msg = f"resource {name!r}: {used} are in use, more than the new capacity of {capacity}"
        raise InputError(msg)
    if capacity < wanted:
        msg = f"resource {name!r}: somebody waits for {wanted}, more than the new capacity of {capacity}"
        raise InputError(msg)
    decision.emit(ResourceAdded(name, message.kind, capacity, context.now_us))
    _let_in(state, (), context, decision, capacity={name: capacity})


def _check_positive(what: str, number: float) -> None:
    if not 0 < number < math.inf:
        msg = f"{what}: expected a number above 0, got {number}"
        raise InputError(msg)


def allocate(state: QueueState, message: Allocate, context: Context, decision: Decision) -> None:
    """Grant at once, or stand in line, or say no."""
    resources = state.resources
    _check_amounts(message.amounts)
    for held in (resources.held, resources.waiting):
        before = held.get(message.allocation_id)
        if before is not None:
            if (before.requester, before.amounts) != (message.requester, message.amounts):
                msg = f"allocation id {message.allocation_id!r} is in use for something else"
                raise ConflictingIdError(msg)
            decision.answer(held is resources.held)
            return
    _check_possible(resources, message.amounts)
    granted = not _somebody_before(state, message.amounts) and resources.fits(message.amounts)
    decision.answer(granted)
    event = ResourceGranted if granted else ResourceRequested
    if granted or message.wait:
        decision.emit(
            event(message.allocation_id, message.requester, message.amounts, context.epoch, context.now_us)
        )


def _check_amounts(amounts: Amounts) -> None:
    if not amounts or len({name for name, _ in amounts}) < len(amounts):
        msg = f"amounts: expected at least one resource, each once, got {list(amounts)}"
        raise InputError(msg)
    for name, amount in amounts:
        _check_positive(f"amount of {name!r}", amount)


def _check_possible(resources: Resources, amounts: Amounts, *, owned: bool = False) -> None:
    for name, amount in amounts:
        if (name not in resources.capacity and name.startswith(SHARE)) or (
            name in resources.ending and not owned
        ):
            msg = f"session {name.removeprefix(SHARE)!r} is over, or not on record"
            raise InputError(msg)
        if name not in resources.capacity:
            known = ", ".join(repr(each) for each in sorted(resources.capacity) if not each.startswith("@"))
            msg = f"no resource {name!r}; there is {known or 'none'}"
            raise UnknownIdError(msg)
        if amount > resources.capacity[name][1]:
            msg = f"{amount} of {name!r} can never be granted: its capacity is {resources.capacity[name][1]}"
            raise InputError(msg)


def check_needs(state: QueueState, terms: Terms, *, owned: bool) -> None:
    """Refuse a job whose resources can never be granted, and one of nobody's that is of a session that is over."""
    if terms.resources:
        _check_amounts(terms.resources)
        _check_possible(state.resources, terms.resources, owned=owned)


def _somebody_before(state: QueueState, amounts: Amounts) -> bool:
    """Whether somebody already waits for one of these resources: nobody overtakes."""
    names = {name for name, _ in amounts}
    return any(name in names for waiting in state.resources.waiting.values() for name, _ in waiting.amounts)


def release(state: QueueState, message: Release, context: Context, decision: Decision) -> None:
    """Give back, and grant to those whose turn it is."""
    resources = state.resources
    there = message.allocation_id in resources.held or message.allocation_id in resources.waiting
    decision.answer(there)
    if there:
        _release(state, (message.allocation_id,), "released", context, decision)


def release_all(state: QueueState, message: ReleaseAll, context: Context, decision: Decision) -> None:
    """Give back what one requester holds and waits for: its session is over."""
    resources = state.resources
    theirs = [
        allocation
        for holdings in (resources.held, resources.waiting)
        for allocation, holding in holdings.items()
        if holding.requester == message.requester
    ]
    decision.answer(len(theirs))
    if theirs:
        _release(state, theirs, "requester ended", context, decision)


def free_the_dead(state: QueueState, context: Context, decision: Decision) -> None:
    """Free what holders of an earlier incarnation held: their process is gone."""
    resources = state.resources
    dead = [
        allocation
        for holdings in (resources.held, resources.waiting)
        for allocation, holding in holdings.items()
        if holding.epoch != context.epoch
    ]
    if dead:
        _release(state, dead, "holder ended", context, decision)


def _release(
    state: QueueState, allocations: Iterable[str], reason: str, context: Context, decision: Decision
) -> None:
    gone = list(allocations)
    for allocation in gone:
        decision.emit(ResourceReleased(allocation, context.now_us, reason))
    _let_in(state, gone, context, decision)


def let_in(state: QueueState, context: Context) -> Decision:
    """Grant to those who wait by hand what jobs have given back."""
    decision = Decision()
    _let_in(state, (), context, decision)
    return decision


def _let_in(
    state: QueueState,
    gone: Collection[str],
    context: Context,
    decision: Decision,
    *,
    capacity: Mapping[str, float] | None = None,
) -> None:
    """Grant, in the order of their requests, to all who wait and can be served once `gone` is gone."""
    resources = state.resources
    taken: list[Amounts] = []
    blocked: set[str] = set()
    for allocation, waiting in resources.waiting.items():
        if allocation in gone:
            continue
        names = {name for name, _ in waiting.amounts}
        if names & blocked or not resources.fits(waiting.amounts, freed=gone, taken=taken, capacity=capacity):
            blocked |= names  # those behind it must not overtake on any of these
            continue
        taken.append(waiting.amounts)
        decision.emit(
            ResourceGranted(allocation, waiting.requester, waiting.amounts, context.epoch, context.now_us)
        )


def get(state: QueueState, _message: GetResources, _context: Context, decision: Decision) -> None:
    """Answer who holds what."""
    resources = state.resources
    views = []
    for name, (kind, capacity) in resources.capacity.items():
        line, holders = tuple(_shares(resources.waiting, name)), holders_of(state, name)
        views.append(ResourceView(name, kind, capacity, resources.used(name), holders, len(line), line))
    decision.answer(tuple(views))


def holders_of(state: QueueState, name: str) -> tuple[tuple[str, str, float], ...]:
    """Return who holds some of a resource: allocation or job, requester, amount."""
    holders = list(_shares(state.resources.held, name))
    jobs = [*state.running.values(), *(state.jobs[job_id] for job_id in state.leases)]
    attempts = [(f"job:{job.job_id}", job.kind) for job in jobs]
    attempts += [(f"job:{key.job_id}", kind) for key, (_, kind) in state.zombies.items()]
    holders += [
        (holder, holder, amount)
        for holder, kind in attempts
        for held, amount in kind.resources
        if held == name
    ]
    return tuple(holders)


def _shares(holdings: Mapping[str, Holding], name: str) -> Iterator[tuple[str, str, float]]:
    """Yield the allocation, the requester and the amount of each that holds, or waits for, some of a resource."""
    for allocation, holding in holdings.items():
        for held, amount in holding.amounts:
            if held == name:
                yield allocation, holding.requester, amount
