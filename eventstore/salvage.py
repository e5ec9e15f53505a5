"""What can be saved of a damaged store: the longest proven beginning of its log, into a new store.

Only a beginning is a history: an event without the one before it may mean anything. So a new store ends where the
first frame is missing; what is whole behind the gap is named, and can be looked at, but is not in it. The beginning
of a log that was compacted is its horizon, with the states as of it and all that was kept, or else its archive.
Nothing of the damaged store is changed.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from eventstore.archive import FOLDER_NAME, ArchiveFile, copy_archive, whole_archive
from eventstore.backup import build_aside
from eventstore.children import ChildDiedError, in_child
from eventstore.errors import ArchiveError, NotAStoreError
from eventstore.forgotten import horizon_of, put_past, why_not_whole
from eventstore.high_water import HighWaterMark
from eventstore.lmdb_log import LmdbLog
from eventstore.loose_frames import LooseFrame, find_frames, read_loose
from eventstore.opening import DATA_NAME
from eventstore.records import EMPTY, Head
from eventstore.retention import NO_HORIZON, Horizon

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eventstore.records import Frame

Range = tuple[int, int]
"""A first and a last position."""
_MORE_THAN_ALL: Final = 1 << 64
_BACKUP: Final = "Restore a backup; or put back the files of the folder `archive`, and try again."


class Remains(NamedTuple):
    """What is left of a log in a data file."""

    path: Path
    chain: list[LooseFrame]
    """From the first frame on, each following on the one before."""
    beyond: list[LooseFrame]
    """Whole frames behind the first gap, in order."""
    known_end: int
    """The greatest position that the log is known to have had."""
    horizon: Head = EMPTY
    """What the chain begins with: the head up to which the log was compacted."""
    problem: str = ""
    """Why a horizon, or what is before it, cannot be read; empty if it can, or there is none."""
    archived: Sequence[ArchiveFile] = ()
    """Files that have all from the first frame to the horizon: then nothing else is needed of what is before it."""

    @property
    def end(self) -> int:
        """The last position that can be saved."""
        return self.chain[-1].last if self.chain else self.horizon.position

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


def remains_of(folder: Path) -> Remains:
    """Return what is left of a store, compacted or not; the engine is asked in child processes only.

    Where a horizon cannot be read, `problem` says so, and what is left from the very first frame on is looked for,
    in the archive first of all.
    `NotAStoreError` if there is no data file, `OSError`.
    """
    data = str(folder / DATA_NAME)
    try:
        horizon, problem = in_child(horizon_of, data, answer=tuple[Horizon, str])
    except ChildDiedError as error:
        horizon, problem = NO_HORIZON, str(error)
    if problem:
        problem = f"whether it was compacted cannot be read: {problem}"
    elif horizon.head.position and (why := _why_not_whole(data)):
        problem = f"it was compacted up to {horizon.head.position}, and what it kept cannot be read: {why}"
    return _archived(folder, problem) if problem else look_for_remains(folder, horizon=horizon.head)


def _archived(folder: Path, problem: str) -> Remains:
    """Return what is left of a store if its beginning is taken from the archive, where it is whole."""
    files: list[ArchiveFile] = []
    try:
        files = whole_archive(folder / FOLDER_NAME)
    except ArchiveError as error:
        problem = f"{problem}; {error}"
    head = files[-1].table.head if files else EMPTY
    return look_for_remains(folder, horizon=head)._replace(problem=problem, archived=files)


def _why_not_whole(data: str) -> str:
    try:
        return in_child(why_not_whole, data, answer=str)
    except ChildDiedError as error:
        return str(error)


def look_for_remains(folder: Path, *, horizon: Head = EMPTY) -> Remains:
    """Look for what follows on a horizon, without the engine. `NotAStoreError` if there is no data file, `OSError`."""
    path = folder / DATA_NAME
    if not path.is_file():
        raise NotAStoreError(f"{folder} has no {DATA_NAME}", remedy="Name the folder of a damaged store.")
    found = {frame.link: frame for frame in find_frames(path)}
    mark = HighWaterMark(folder).read()
    ends = (horizon.position, mark.position if mark else 0, *(frame.last for frame in found.values()))
    chain = _longest_chain(found.values(), horizon)
    end = chain[-1].last if chain else horizon.position
    return Remains(path, chain, _behind(found.values(), end), max(ends), horizon)


def salvage(remains: Remains, target: str | os.PathLike[str], *, upto: int = _MORE_THAN_ALL) -> Head:
    """Make a new store of what can be saved, no further than the frame that holds `upto`; return its head.

    The chain is the same, so every link proves that nothing was changed. `NotAStoreError` if nothing can be
    saved or the target is there, `StoreFullError`.
    """
    horizon = remains.horizon.position
    places = [place for place in remains.chain if place.first <= upto]
    if not places and not horizon:
        why = remains.problem or "it does not hold the beginning of a log"
        raise NotAStoreError(f"nothing can be saved of {remains.path}: {why}", remedy=_BACKUP)
    if upto < horizon and not remains.archived:
        text = f"{remains.path} was compacted up to {horizon}: no position before that can be gone back to"
        raise NotAStoreError(text, remedy=f"Name a position from {horizon} on.")

    def fill(folder: Path) -> None:
        if horizon and not remains.archived:
            _put_past(remains.path, folder)
        archived = (frame for file in remains.archived for frame in file.frames() if frame.first <= upto)
        with LmdbLog.open(folder) as log:
            for frame in chain(archived, remains.frames(places)):
                expected, when = log.head.position, frame.recorded_us
                log.append(frame.records, expected=expected, epoch=frame.epoch, recorded_us=when)

    return build_aside(target, fill)


def _put_past(data: Path, folder: Path) -> None:
    """Have a child begin a store with what is before the horizon, and give it the archive."""
    try:
        in_child(put_past, str(data), str(folder), answer=int)
    except ChildDiedError as error:
        raise NotAStoreError(f"what {data} kept cannot be taken over: {error}", remedy=_BACKUP) from error
    copy_archive(data.parent, folder)


def _longest_chain(found: Iterable[LooseFrame], begin: Head) -> list[LooseFrame]:
    """Return the frames from a beginning that lead furthest; among equals, to the newest end.

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
    place = (begin.link, begin.position + 1)
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
