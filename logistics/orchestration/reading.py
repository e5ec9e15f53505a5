"""Reading the durable log from a caller's thread, with patience while the engine reopens it."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from actors.runtime.patience import patiently
from logistics.audit.narrowing import narrowed
from logistics.audit.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.runtime.messages import Event
    from logistics.audit.narrowing import Clue
    from logistics.orchestration.engine import OrchestrationEngine

FIRST_BATCH, LAST_BATCH = 16, 4096
"""Entities that are looked for at a time."""


def history(engine: OrchestrationEngine, entity: str) -> list[Event]:
    """Return the durable events of an entity, oldest first."""
    return [event for _, event in numbered(engine, entity)]


def numbered(engine: OrchestrationEngine, entity: str) -> list[tuple[int, Event]]:
    """Return the durable events of an entity with their positions, oldest first."""
    return engine.history(entity)


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


def backwards(engine: OrchestrationEngine, entity: str) -> Iterator[Event]:
    """Yield the durable events of an entity, newest first; each costs the same, however many there are."""
    runtime = engine.store.runtime
    position = runtime.journal.watermark
    while (stored := patiently(partial(runtime.log.last, entity, upto=position))) is not None:
        yield runtime.codec.decode(stored.record)
        position = stored.position - 1


def entities(engine: OrchestrationEngine, prefix: str, *, before: str | None = None) -> Iterator[str]:
    """Yield the entities that begin with `prefix`, from the greatest downwards: new ids before old ones."""
    size = FIRST_BATCH
    while found := patiently(partial(_entities, engine, prefix, before, size)):
        yield from found
        before, size = found[-1], min(2 * size, LAST_BATCH)


def likely(
    engine: OrchestrationEngine, prefix: str, clues: Sequence[Clue], *, after: str | None
) -> Iterator[str]:
    """Yield what `entities` does, behind the id `after`, without those of which some clue does not hold."""
    runtime = engine.store.runtime
    past = Past(runtime.log, runtime.codec, lambda: runtime.journal.watermark)
    found = entities(engine, prefix, before=None if after is None else f"{prefix}{after}")
    return narrowed(found, clues, lambda clues: patiently(lambda: past.entities_with(clues)))


def _entities(engine: OrchestrationEngine, prefix: str, before: str | None, size: int) -> list[str]:
    runtime = engine.store.runtime
    return list(islice(runtime.log.entities(prefix, before=before, upto=runtime.journal.watermark), size))
