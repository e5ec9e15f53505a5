"""What can be saved of a damaged store: the longest proven beginning of its log, into a new store.

Only a beginning is a history: an event without the one before it may mean anything. So a new store ends where the
first frame is missing; what is whole behind the gap is named, and can be looked at, but is not in it. Nothing of
the damaged store is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from eventstore.backup import build_aside
from eventstore.children import ChildDiedError, in_child
from eventstore.errors import NotAStoreError
from eventstore.high_water import HighWaterMark
from eventstore.lmdb_log import LmdbLog
from eventstore.loose_frames import LooseFrame, find_frames, read_loose
from eventstore.opening import DATA_NAME
from eventstore.records import NO_LINK

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventstore.records import Frame, Head

Range = tuple[int, int]
"""A first and a last position."""
_MORE_THAN_ALL: Final = 1 << 64


class Remains(NamedTuple):
    """What is left of a log in a data file."""

    path: Path
    chain: list[LooseFrame]
    """From the first frame on, each following on the one before."""
    beyond: list[LooseFrame]
    """Whole frames behind the first gap, in order."""
    known_end: int
    """The greatest position that the log is known to have had."""

    @property
    def end(self) -> int:
        """The last position that can be saved."""
        return self.chain[-1].last if self.chain else 0

    @property
    def lost(self) -> list[Range]:
        """The positions of which nothing is left, as first and last of each stretch."""
        gaps, end = [], self.end
        for first, last in (*((frame.first, frame.last) for frame in self.beyond), (self.known_end + 1,) * 2):
            if first > end + 1:
                gaps.append((end + 1, first - 1))
            end = max(end, last)
        return gaps

    @property
    def unsaved(self) -> list[Range]:
        """The positions that are whole, and cannot be saved because something before them is lost."""
        stretches: list[Range] = []
        for frame in self.beyond:
            if stretches and frame.first == stretches[-1][1] + 1:
                stretches[-1] = (stretches[-1][0], frame.last)
            else:
                stretches.append((frame.first, frame.last))
        return stretches

    def frames(self, places: Iterable[LooseFrame]) -> Iterator[Frame]:
        """Yield frames of `chain` or `beyond`, read again."""
        for place in places:
            yield read_loose(self.path, place)


def look_for_remains(folder: Path) -> Remains:
    """Read a store's data file without the engine. `NotAStoreError` if there is none, `OSError`."""
    path = folder / DATA_NAME
    if not path.is_file():
        raise NotAStoreError(f"{folder} has no {DATA_NAME}", remedy="Name the folder of a damaged store.")
    found = {frame.link: frame for frame in find_frames(path)}
    mark = HighWaterMark(folder).read()
    known_end = max((frame.last for frame in found.values()), default=0)
    chain = _longest_chain(found.values())
    end = chain[-1].last if chain else 0
    return Remains(path, chain, _behind(found.values(), end), max(known_end, mark.position if mark else 0))


def salvage(remains: Remains, target: str | os.PathLike[str], *, upto: int = _MORE_THAN_ALL) -> Head:
    """Make a new store of what can be saved, no further than the frame that holds `upto`; return its head.

    The chain is the same, so every link proves that nothing was changed. `NotAStoreError` if nothing can be
    saved or the target is there, `StoreFullError`.
    """
    places = [place for place in remains.chain if place.first <= upto]
    if not places:
        raise NotAStoreError(
            f"nothing can be saved of {remains.path}: it does not hold the beginning of a log",
            remedy="Restore a backup.",
        )

    def fill(folder: Path) -> None:
        with LmdbLog.open(folder) as log:
            for frame in remains.frames(places):
                expected, when = log.head.position, frame.recorded_us
                log.append(frame.records, expected=expected, epoch=frame.epoch, recorded_us=when)

    return build_aside(target, fill)


def compacted_upto(folder: Path) -> int:
    """Return the horizon of a store, as far as it can be read; 0 for none. Asks the engine, in a child process."""
    try:
        return in_child(horizon_of, str(folder), answer=int)
    except ChildDiedError:
        return 0


def horizon_of(path: str) -> int:
    """Return the position up to which a store was compacted. May fail in any way on a damaged one."""
    with LmdbLog.open(path, read_only=True) as log:
        return log.horizon.head.position


def _longest_chain(found: Iterable[LooseFrame]) -> list[LooseFrame]:
    """Return the frames from the beginning that leads furthest; among equals, to the newest end.

    Two frames may follow on one: of a commit that failed, the bytes may be there, though the log went on otherwise.
    """
    following: dict[tuple[bytes, int], list[LooseFrame]] = {}
    ends: dict[bytes, tuple[int, tuple[int, int]]] = {}

    def end_of(frame: LooseFrame) -> tuple[int, tuple[int, int]]:
        return ends[frame.link]

    for frame in sorted(found, key=lambda each: each.first, reverse=True):
        after = following.get((frame.link, frame.last + 1), ())
        ends[frame.link] = max(map(end_of, after), default=(frame.last, frame.age))
        following.setdefault((frame.previous, frame.first), []).append(frame)
    chain: list[LooseFrame] = []
    place = (NO_LINK, 1)
    while nexts := following.get(place):
        chain.append(max(nexts, key=end_of))
        place = (chain[-1].link, chain[-1].last + 1)
    return chain


def _behind(found: Iterable[LooseFrame], end: int) -> list[LooseFrame]:
    """Return the frames behind a position, in order; of two that hold the same one, the newer."""
    behind: list[LooseFrame] = []
    for frame in sorted(found, key=lambda each: (each.first, each.age)):
        if frame.first <= end:
            continue
        if behind and frame.first <= behind[-1].last:
            if frame.age < behind[-1].age:
                continue
            behind.pop()
        behind.append(frame)
    return behind
