"""A log walked from its beginning: checksums, chain, positions, epochs, and the index against the frames."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from eventstore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore.lmdb_log import LmdbLog
    from eventstore.log import Log
    from eventstore.records import Frame, Head

INDEXED: Final = 2_000
"""Entities whose index is compared with what the frames say, spread over the whole log."""


class Check(NamedTuple):
    """What a walk has found."""

    frames: int
    records: int
    entities: int
    head: Head
    """The last head that is proven by the chain."""
    problem: str
    """What is wrong, first of all; empty if nothing is."""


def check_log(log: Log, *, seen: Callable[[Frame], object] = lambda _: None) -> Check:
    """Walk a log from its horizon to its present head; `seen` gets each frame. Damage is reported, not raised."""
    frames = records = 0
    head = log.horizon.head
    positions: dict[str, list[int]] = defaultdict(list)
    problem = ""
    try:
        for frame in log.frames(after=head.position):
            seen(frame)
            if problem := _wrong(frame, head):
                break
            for position, record in enumerate(frame.records, frame.first):
                positions[record.entity].append(position)
            frames, records, head = frames + 1, records + len(frame.records), frame.head
        problem = problem or next(_index_problems(log, positions, head.position), "")
    except StoreError as error:
        problem = str(error)
    return Check(frames, records, len(positions), head, problem)


def check_past(log: LmdbLog) -> str:
    """Read all that a log keeps of what is before its horizon; return what is wrong, first of all, or nothing."""
    try:
        for _ in log.kept():
            pass
        for name in log.bases:
            for _ in log.load_snapshots(name, upto=log.horizon.head.position):
                pass
    except StoreError as error:
        return f"what was kept from before position {log.horizon.head.position} is not whole: {error}"
    return ""


def _wrong(frame: Frame, before: Head) -> str:
    if frame.first != before.position + 1 or frame.previous != before.link:
        return f"the chain is broken at position {frame.first}"
    if frame.epoch < before.epoch or frame.recorded_us < before.recorded_us:
        return f"epoch or time goes back at position {frame.first}"
    return ""


def _index_problems(log: Log, positions: dict[str, list[int]], end: int) -> Iterator[str]:
    horizon = log.horizon.head.position
    step = max(len(positions) // INDEXED, 1)
    for entity in list(positions)[::step]:
        found = [stored.position for stored in log.history(entity, upto=end) if stored.position > horizon]
        if found != positions[entity]:
            yield f"the index of {entity!r} has {len(found)} positions, the log {len(positions[entity])}"
