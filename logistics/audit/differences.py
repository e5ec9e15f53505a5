"""What has changed between two moments: what was there at each, compared thing by thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logistics.audit.store_view import StoreView


class Difference(NamedTuple):
    """One thing that is not the same at two moments."""

    part: str
    """`queues`, `jobs`, `runs`, `run_totals`, `schedules` or `resources`."""
    key: str
    """Which thing in it: an id or a name."""
    before: Any
    """As plain data; None: it was not there, or had ended."""
    after: Any
    """None: it is not there any more, or has ended."""


def differences(before: StoreView, after: StoreView) -> Iterator[Difference]:
    """Yield what is not the same: queues' counts, what had not ended, schedules, resources."""
    old, new = _things(before), _things(after)
    for part, key in dict.fromkeys((*old, *new)):
        was, has = old.get((part, key)), new.get((part, key))
        if was != has:
            yield Difference(part, key, was, has)


def _things(view: StoreView) -> dict[tuple[str, str], Any]:
    """Return everything that a view shows, by part and key."""
    things: dict[tuple[str, str], Any] = {("queues", name): stats for name, stats in view.queues().items()}
    things |= {("jobs", job.job_id): job for job in view.jobs()}
    things |= {("runs", run.run_id): run for run in view.runs()}
    things |= {("run_totals", status): count for status, count in view.run_totals().items()}
    things |= {("schedules", schedule.name): schedule for schedule in view.schedules()}
    things |= {("resources", resource.name): resource for resource in view.resources()}
    return {key: _plain(thing) for key, thing in things.items()}


def _plain(thing: Any) -> Any:
    if isinstance(thing, msgspec.Struct):
        return {name: msgspec.to_builtins(getattr(thing, name)) for name in thing.__struct_fields__}
    return msgspec.to_builtins(thing)
