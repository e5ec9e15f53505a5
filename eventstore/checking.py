"""A log walked from its beginning: checksums, chain, positions, epochs, and the index against the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from eventstore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore.lmdb_log import LmdbLog
    from eventstore.log import Log
    from eventstore.records import Frame, Head

INDEXED: Final = 2_000
"""Entities whose index is compared with what the frames say, at least; chosen by their names, from the whole log."""


class Check(NamedTuple):
    """What a walk has found."""

    frames: int
    records: int
    entities: int
    """Those that the index knows, up to `head`."""
    head: Head
    """The last head that is proven by the chain."""
    problem: str
    """What is wrong, first of all; empty if nothing is."""


def check_log(log: Log, *, seen: Callable[[Frame], object] = lambda _: None) -> Check:
    """Walk a log from its horizon to its present head; `seen` gets each frame. Damage is reported, not raised.

    What goes wrong while the log forgets is no damage: it is walked once more then.
    """
    while True:
        horizon = log.horizon
        check = _walked(log, seen)
        if not check.problem or log.horizon == horizon:
            return check


def _walked(log: Log, seen: Callable[[Frame], object]) -> Check:
    frames = records = entities = 0
    head = log.horizon.head
    sample = _Sample()
    problem = ""
    try:
        for frame in log.frames(after=head.position):
            seen(frame)
            if problem := _wrong(frame, head):
                break
            for position, record in enumerate(frame.records, frame.first):
                sample.add(record.entity, position)
            frames, records, head = frames + 1, records + len(frame.records), frame.head
        problem = problem or next(_index_problems(log, sample.positions, head.position), "")
        entities = sum(1 for _ in log.entities("", upto=head.position))
    except StoreError as error:
        problem = problem or str(error)
    return Check(frames, records, entities, head, problem)


class _Sample:
    """Where the records of some entities are: of all while there are few, of ever fewer the more there are."""

    def __init__(self) -> None:
        self.positions: dict[str, list[int]] = {}
        self._mask = 0

    def add(self, entity: str, position: int) -> None:
        if self._is_chosen(entity):
            self.positions.setdefault(entity, []).append(position)
            while len(self.positions) > 2 * INDEXED:
                self._mask = 2 * self._mask + 1
                self.positions = {name: at for name, at in self.positions.items() if self._is_chosen(name)}

    def _is_chosen(self, entity: str) -> bool:
        return not crc32(entity.encode()) & self._mask


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
    for entity, known in positions.items():
        found = [stored.position for stored in log.history(entity, upto=end) if stored.position > horizon]
        if found != known:
            yield f"the index of {entity!r} has {len(found)} positions, the log {len(known)}"
