"""Reading the durable log from a caller's thread, with patience while the engine reopens it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from actors.runtime.errors import not_now
from eventstore.errors import ForkedError, ReopenNeededError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.messages import Event
    from logistics.orchestration.engine import OrchestrationEngine

T = TypeVar("T")

PAUSES_S = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0)
"""How long the engine is given to come back from a failed commit, try by try."""


def patiently(look: Callable[[], T], passing: type[StoreError] = ReopenNeededError) -> T:
    """Return what `look` reads; after a failed commit the log is reopened, which is waited for.

    `passing` is the error that says so.
    """
    for pause_s in PAUSES_S:
        try:
            return look()
        except ForkedError:  # that does not pass
            raise
        except passing:
            threading.Event().wait(pause_s)
    try:
        return look()
    except ReopenNeededError as error:
        raise not_now(error) from error


def history(engine: OrchestrationEngine, entity: str) -> list[Event]:
    """Return the durable events of an entity, oldest first."""
    return patiently(lambda: [event for _, event in engine.history(entity)])


def first(engine: OrchestrationEngine, entity: str) -> Event | None:
    """Return the first durable event of an entity."""
    runtime = engine.store.runtime
    stored = patiently(lambda: runtime.log.first(entity, upto=runtime.journal.watermark))
    return None if stored is None else runtime.codec.decode(stored.record)


def last(engine: OrchestrationEngine, entity: str) -> Event | None:
    """Return the last durable event of an entity."""
    runtime = engine.store.runtime
    stored = patiently(lambda: runtime.log.last(entity, upto=runtime.journal.watermark))
    return None if stored is None else runtime.codec.decode(stored.record)
