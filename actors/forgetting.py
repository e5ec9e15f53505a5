"""Carrying out a compaction while the engine runs: nobody is stopped, and nobody loses what he has just looked up."""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from actors.retention import Objections
from actors.runtime.events import LogCompacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.engine import Runtime
    from eventstore.records import Record
    from eventstore.retention import Compaction

logger = logging.getLogger("logistics.retention")

PATIENCE_S = 1.0
"""How long a commit under way is waited for."""


def forget(runtime: Runtime, plan: Compaction) -> bool:
    """Forget what a plan says; False, and nothing is changed, if what has happened since stands against it.

    An actor that has looked something up hands over what it decided by that before anything is forgotten;
    what was handed over is compared with the plan. So nobody goes on with something that is gone. What raises
    is a failed commit.
    """
    objections = Objections(plan, runtime.log.first)
    journal = runtime.journal
    seen = journal.watermark
    if _any_stands(objections, _recorded(runtime, plan.position, seen)):
        return False
    with runtime.looking.alone(), journal.alone(PATIENCE_S) as can_write:
        if not can_write:
            return False
        since = [*_recorded(runtime, seen, journal.watermark), *journal.unwritten()]
        if _any_stands(objections, since):
            return False
        runtime.record(compacted(plan, runtime.clock.now_us()))
        runtime.log.compact(plan)
    logger.info("the log has forgotten what ended up to position %d", plan.horizon.head.position)
    return True


def compacted(plan: Compaction, now_us: int) -> LogCompacted:
    """Return the word in the log that goes with a plan."""
    head, archive = plan.horizon
    return LogCompacted(head.position, head.link.hex(), archive, digest_of(plan.kept), now_us)


def digest_of(kept: Iterable[tuple[str, list[int]]]) -> str:
    """Return what the log says of what is kept: SHA-256 of entities and positions, in hexadecimal digits."""
    return sha256(msgspec.msgpack.encode(list(kept))).hexdigest()


def _recorded(runtime: Runtime, after: int, upto: int) -> Iterable[Record]:
    for frame in runtime.log.frames(after=after, upto=upto):
        yield from frame.records


def _any_stands(objections: Objections, records: Iterable[Record]) -> bool:
    found = next((record for record in records if objections.stands_against(record)), None)
    if found is not None:
        logger.info("not compacted: %s was taken up again; planned anew", found.entity)
    return found is not None
