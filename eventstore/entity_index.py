"""The index by entity: where the records of a job are, at the cost of that job's history.

The newest records are in memory, in the *tail*; once there are enough of them, they are written as one
segment, in the transaction of the next frame. So a commit puts one row and not one for each record: each
row costs the global lock, which beside a busy thread may take milliseconds to come back. What is in the
tail when the process ends is read again from the frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, count, groupby, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from eventstore.errors import CorruptStoreError
from eventstore.index_tail import Tail
from eventstore.records import Frame
from eventstore.segments import (
    BLOCK_ENTITIES,
    Entries,
    Entry,
    Header,
    Row,
    SegmentWriter,
    decode_block,
    decode_header,
    digest_of,
    encode_segment,
    kind_of,
    merged_blocks,
    number_of,
    row_key,
)

SEGMENT_RECORDS: Final = 8192
"""Records in the tail from which on it is written."""
_CACHED_BLOCKS: Final = 128
MERGED: Final = 64
"""Segments that become one: each that is looked at costs every look-up a sixth of a microsecond, and the fewer
become one, the more often an entry is copied, for more than one."""
MANY: Final = 512
"""Segments from which on some become one even if nobody looks anything up."""
_PROBES_PER_BLOCK: Final = 1_000
"""So many segments are looked at in the time in which one block is merged."""
_LARGEST_BLOCKS: Final = 16_384
"""Blocks of a segment that is not merged any more."""
PIECE_ROWS: Final = 64
"""Rows of a merge that are put in one transaction: commits of others wait for it, and the engine keeps as much
memory as the largest transaction took."""

READ_ROWS: Final = 16
"""Rows of a segment that are read in one transaction by whoever needs all of them, and kept as bytes meanwhile."""

ReadRows = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Reads rows of the index in one transaction."""


class Segment(NamedTuple):
    """A segment on disk."""

    number: int
    """What its rows begin with; never used twice."""
    header: Header

    @property
    def weight(self) -> int:
        """How much work it is to merge it: its blocks."""
        return len(self.header.fences)


class _View(NamedTuple):
    """What a look-up sees: replaced as a whole, so that it needs no lock."""

    segments: tuple[Segment, ...]
    """In the order of what they cover."""
    tail: Tail


class Change(NamedTuple):
    """Segments that take the place of others: to be put in one transaction, and then told to `take`."""

    segments: tuple[Segment, ...]
    """The new ones."""
    rows: list[Row]
    replaced: tuple[int, ...] = ()
    """The numbers of those that they replace; and of one that is not complete: its rows are of no use yet."""
    tail: Tail | None = None
    """What becomes of the tail; None: it stays."""
    rest: _Merger | None = None
    """What makes the next piece of the same merge."""


class _Merger:
    """Makes one segment of several neighbours, a piece at a time."""

    def __init__(self, number: int, neighbours: tuple[Segment, ...], read: ReadRows) -> None:
        self._neighbours = neighbours
        most = sum(segment.weight for segment in neighbours) * BLOCK_ENTITIES
        self._writer = SegmentWriter(number, most=most)
        sources = [_blocks(segment, read) for segment in neighbours]
        self._rows = self._writer.blocks(chain.from_iterable(merged_blocks(sources)))

    def piece(self, rows: int) -> Change:
        """Return some more rows; or, if there are none left, the header, with which the new one is in use."""
        number = self._writer.number
        if some := list(islice(self._rows, rows)):
            return Change((), some, (number,), rest=self)
        first, last = self._neighbours[0].header.first, self._neighbours[-1].header.last
        header, row = self._writer.header(first=first, last=last)
        return Change((Segment(number, header),), [row], tuple(each.number for each in self._neighbours))


class MissingRowError(CorruptStoreError):
    """A row is not there: the index is damaged, or was changed while somebody looked."""


class EntityIndex:
    """Entities and the positions of their records; one thread adds, any number look up."""

    def __init__(
        self,
        segments: tuple[Segment, ...],
        read_rows: ReadRows,
        *,
        segment_records: int = SEGMENT_RECORDS,
        used: Iterable[int] = (),
    ) -> None:
        """Begin with the segments on disk; the frames behind them are to be added next.

        `used` are the numbers of segments that are replaced, and still there.
        """
        self.end = segments[-1].header.last if segments else 0
        """The position up to which it knows the log."""
        self._view = _View(segments, Tail(after=self.end))
        self._read_rows = read_rows
        self._segment_records = segment_records
        self._numbers = count(max((*used, *(segment.number for segment in segments)), default=-1) + 1)
        self._blocks: dict[bytes, dict[str, list[int]]] = {}
        self._merger: _Merger | None = None
        self._probes = 0
        """About how many segments were looked at since some became one."""

    @property
    def version(self) -> object:
        """Another one whenever segments were replaced or added."""
        return self._view.segments

    @property
    def is_merging(self) -> bool:
        """Whether a merge is under way: its rows are not to be taken out."""
        return self._merger is not None

    # -- adding: one thread at a time ----------------------------------------------------------------

    def add(self, frame: Frame) -> None:
        """Add the records of the next frame to the tail."""
        self._view.tail.add([record.entity for record in frame.records])
        self.end = frame.last

    def due(self) -> Change | None:
        """Return the tail as a segment, if it is long enough to be written."""
        tail = self._view.tail
        if self.end - tail.after < self._segment_records:
            return None
        segment, rows = self._made(tail.entries(), first=tail.after + 1, last=self.end)
        return Change((segment,), rows, tail=Tail(after=self.end))

    def take(self, change: Change) -> None:
        """Look into the new segments instead of the old ones: they are on disk, and nothing was added since."""
        segments, tail = self._view
        kept = [segment for segment in segments if segment.number not in change.replaced]
        kept = sorted((*kept, *change.segments), key=lambda segment: segment.header.first)
        self._view = _View(tuple(kept), tail if change.tail is None else change.tail)
        if change.replaced:
            self._merger = change.rest

    def merge(self) -> Change | None:
        """Return the next piece of one segment for several neighbours, if so many are there that it is worth it.

        Where a piece is not taken, as when the process ends, rows are left that are of no use: they are taken out,
        and the merge is begun anew.
        """
        merger, self._merger = self._merger or self._new_merger(), None
        return None if merger is None else merger.piece(PIECE_ROWS)

    def _new_merger(self) -> _Merger | None:
        """Begin with neighbours none of which weighs more than the others together: each entry is copied rarely.

        Not before look-ups have cost as much as that will: while a queue is drained there are none, and to merge
        what it leaves would be a tenth of the work.
        """
        segments = self._view.segments
        for begin in range(len(segments) - MERGED + 1):
            some = segments[begin : begin + MERGED]
            weights = [segment.weight for segment in some]
            weight = sum(weights)
            if 2 * max(weights) <= weight <= _LARGEST_BLOCKS:
                if self._probes < weight * _PROBES_PER_BLOCK and len(segments) < MANY:
                    return None
                self._probes = 0
                return _Merger(next(self._numbers), some, self._read_rows)
        return None

    def forgetting(self, kept: Entries, horizon: int) -> Change:
        """Return what the index becomes if, up to the horizon, it has nothing but `kept`."""
        segments, tail = self._view
        old = [segment for segment in segments if segment.header.first <= horizon]
        segment, rows = self._made(kept, first=1, last=horizon)
        new = [segment]
        if old and old[-1].header.last > horizon:
            rest = _behind(self._entries(old[-1]), horizon)
            segment, more = self._made(rest, first=horizon + 1, last=old[-1].header.last)
            new.append(segment)
            rows += more
        numbers = tuple(segment.number for segment in old)
        return Change(tuple(new), rows, numbers, tail.behind(horizon))

    def positions(self, *, upto: int) -> list[int]:
        """Return all positions in the segments that begin at or before one, up to it, sorted."""
        old = [segment for segment in self._view.segments if segment.header.first <= upto]
        found = [each for segment in old for _, positions in self._entries(segment) for each in positions]
        return sorted(each for each in found if each <= upto)

    def _made(self, entries: Entries, *, first: int, last: int) -> tuple[Segment, list[Row]]:
        number = next(self._numbers)
        header, rows = encode_segment(number, entries, most=len(entries), first=first, last=last)
        return Segment(number, header), rows

    def _entries(self, segment: Segment) -> Iterator[Entry]:
        return chain.from_iterable(_blocks(segment, self._read_rows))

    # -- looking up ------------------------------------------------------------------------------------

    def all_of(self, entity: str, *, end: int) -> list[int]:
        """Return all positions of an entity that are not beyond an end."""
        segments, tail = self._view
        positions = [each for found in self._in_segments(segments, entity) for each in found]
        positions += tail.of(entity)
        return positions[: bisect_right(positions, end)]

    def first(self, entity: str) -> int:
        """Return the first position of an entity; 0 for none."""
        segments, tail = self._view
        for positions in chain(self._in_segments(segments, entity), (tail.of(entity),)):
            if positions:
                return positions[0]
        return 0

    def last(self, entity: str, *, end: int) -> int:
        """Return the last position of an entity that is not beyond an end; 0 for none."""
        segments, tail = self._view
        newest = tail.of(entity)
        older = self._in_segments(segments, entity, newest_first=True)
        for positions in chain((newest,), older):  # looks no further back than it must
            place = bisect_right(positions, end)
            if place:
                return positions[place - 1]
        return 0

    def entities(self, prefix: str, *, before: str | None) -> Iterator[tuple[str, int]]:
        """Yield the entities with a prefix, each with its first position, from the greatest downwards."""
        segments, tail = self._view
        kind = kind_of(prefix) if ":" in prefix else None
        sources = [
            self._descending(segment, prefix, before)
            for segment in segments
            if kind is None or kind in segment.header.kinds
        ]
        newest = [each for each in tail.items() if each[0].startswith(prefix)]
        newest.sort(reverse=True)
        sources.append(each for each in newest if before is None or each[0] < before)
        together = merge(*sources, key=itemgetter(0), reverse=True)
        for entity, found in groupby(together, key=itemgetter(0)):
            yield entity, min(positions[0] for _, positions in found)

    def _in_segments(
        self, segments: tuple[Segment, ...], entity: str, *, newest_first: bool = False
    ) -> Iterator[list[int]]:
        self._probes += len(segments)
        digest = digest_of(entity)
        one = digest[0]
        for number, header in reversed(segments) if newest_first else segments:
            bits = header.filter
            place = one % (len(bits) * 8)
            if not bits[place >> 3] >> (place & 7) & 1:
                continue  # as `may_hold` says, without a call for each
            if header.may_hold(digest) and (block := header.block_of(entity)):
                positions = self._block(number, block).get(entity)
                if positions is not None:
                    yield positions

    def _descending(
        self, segment: Segment, prefix: str, before: str | None
    ) -> Iterator[tuple[str, list[int]]]:
        number, header = segment
        last = header.blocks_with(prefix) if before is None else header.block_of(before)
        for block in range(last, 0, -1):
            for entry in reversed(self._block(number, block).items()):
                entity = entry[0]
                if entity.startswith(prefix):
                    if before is None or entity < before:
                        yield entry
                elif entity < prefix:
                    return

    def _block(self, number: int, block: int) -> dict[str, list[int]]:
        key = row_key(number, block)
        found = self._blocks.get(key)
        if found is None:
            found = dict(_block(key, *self._read_rows((key,))))
            if len(self._blocks) >= _CACHED_BLOCKS:
                self._blocks = {}
            self._blocks[key] = found
        return found


def _blocks(segment: Segment, read: ReadRows) -> Iterator[Entries]:
    """Yield the blocks of a segment."""
    keys = (row_key(segment.number, block) for block in range(1, segment.weight + 1))
    while some := list(islice(keys, READ_ROWS)):
        yield from map(_block, some, read(some))


def _block(key: bytes, value: bytes | None) -> Entries:
    if value is None:
        raise MissingRowError(f"the index lacks a row, {key.hex()}")
    return decode_block(key, value)


def _behind(entries: Iterable[Entry], horizon: int) -> Entries:
    """Return what of some entries is behind a position."""
    cut = ((entity, positions[bisect_right(positions, horizon) :]) for entity, positions in entries)
    return [(entity, positions) for entity, positions in cut if positions]


def read_segments(transaction: Any, table: Any, *, retired: Collection[int] = ()) -> tuple[Segment, ...]:
    """Return the segments that are in use, checked: together they cover the log from its beginning on."""
    segments: list[Segment] = []
    cursor = transaction.cursor(db=table)
    number = 0
    while cursor.set_range(row_key(number, 0)):
        key = bytes(cursor.key())
        number = number_of(key)
        if number not in retired:
            if key != row_key(number, 0):
                raise MissingRowError(f"the index lacks the header of segment {number}")
            segments.append(Segment(number, decode_header(key, cursor.value())))
        number += 1
    segments.sort(key=lambda segment: segment.header.first)
    covered = 0
    for _, header in segments:
        if header.first != covered + 1:
            raise CorruptStoreError(f"the index goes on at {header.first}, not at {covered + 1}")
        covered = header.last
    return tuple(segments)


def read_rows(transaction: Any, table: Any, *, keys: Iterable[bytes]) -> list[bytes | None]:
    """Return rows of the index, copied out."""
    values = (transaction.get(key, db=table) for key in keys)
    return [None if value is None else bytes(value) for value in values]


def put_rows(transaction: Any, table: Any, rows: list[Row]) -> None:
    """Write new segments, in one call: each call gives the global lock away."""
    _, added = transaction.cursor(db=table).putmulti(rows, overwrite=False)
    if added != len(rows):
        raise CorruptStoreError(f"the engine refused {len(rows) - added} rows of the index")
