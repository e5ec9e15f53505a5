"""Taking and giving back amounts of resources, waiting in line for them if need be."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from actors.queue.events import ResourceGranted
from actors.queue.messages import Allocate, Release
from actors.runtime.errors import EngineClosedError, InputError
from eventstore.errors import StoreError
from logistics.inputs import check_name, check_positive

if TYPE_CHECKING:
    from logistics.orchestration.engine import OrchestrationEngine

Amounts = tuple[tuple[str, float], ...]


def check_amounts(what: str, amounts: Any) -> dict[str, float]:
    """Return amounts by resource, each above 0."""
    if not isinstance(amounts, Mapping):
        msg = f"{what}: expected a mapping of resources to amounts, got {amounts!r}"
        raise InputError(msg)
    return {
        check_name(f"{what}: resource", name): check_positive(f"{what}: amount of {name!r}", amount)
        for name, amount in amounts.items()
    }


def take(
    engine: OrchestrationEngine,
    allocation_id: str,
    *,
    requester: str,
    amounts: Amounts,
    timeout_s: float | None,
) -> bool:
    """Take amounts under an id of the caller's; return whether they are held now.

    0 does not wait, None waits for ever. Whatever else happens meanwhile, an interruption or an answer that
    was lost, nothing stays held or waiting under this id.
    """
    entity = f"allocation:{allocation_id}"
    wait = timeout_s != 0
    watched = engine.watch(entity)
    held = settled = False
    try:
        held = engine.ask("queue", Allocate(allocation_id, requester, amounts, wait=wait))
        settled = held or not wait
        if not settled:
            with contextlib.suppress(TimeoutError):
                held = isinstance(engine.wait(watched, timeout_s), ResourceGranted)
                settled = True
    finally:
        engine.unwatch(entity, watched)
        if not settled:
            _give_up(engine, allocation_id)
    return held


def _give_up(engine: OrchestrationEngine, allocation_id: str) -> None:
    """Leave the line; what was granted at the very last moment goes to the next one."""
    with contextlib.suppress(StoreError, EngineClosedError):  # then the end of the process frees it
        engine.ask("queue", Release(allocation_id))
