"""The index by entity: where the records of a job are, at the cost of that job's history.

The newest records are in memory, in the *tail*; once there are enough of them, they are written as one
segment, in the transaction of the next frame. So a commit puts one row and not one for each record: each
row costs the global lock, which beside a busy thread may take milliseconds to come back. What is in the
tail when the process ends is read again from the frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from eventstore.errors import CorruptStoreError
from eventstore.records import Frame
from eventstore.segments import (
    Header,
    decode_block,
    decode_header,
    digest_of,
    encode_segment,
    kind_of,
    number_of,
    row_key,
)

SEGMENT_RECORDS: Final = 8192
"""Records in the tail from which on it is written."""
_CACHED_BLOCKS: Final = 128

ReadRow = Callable[[bytes], bytes | None]
"""Reads a row of the index in a transaction of its own."""
Tail = dict[str, list[int]]


class _View(NamedTuple):
    """What a look-up sees: replaced as a whole, so that it needs no lock."""

    headers: tuple[Header, ...]
    tail: Tail


class Written(NamedTuple):
    """A tail on its way to the disk: to be put in one transaction, and then told to `take_written`."""

    header: Header
    rows: list[tuple[bytes, bytes]]


class EntityIndex:
    """Entities and the positions of their records; one thread adds, any number look up."""

    def __init__(
        self, headers: tuple[Header, ...], read_row: ReadRow, *, segment_records: int = SEGMENT_RECORDS
    ) -> None:
        """Begin with the segments on disk; the frames behind them are to be added next."""
        self._view = _View(headers, {})
        self._read_row = read_row
        self._segment_records = segment_records
        self.end = headers[-1].last if headers else 0
        """The position up to which it knows the log."""
        self._blocks: dict[bytes, dict[str, list[int]]] = {}

    # -- adding: one thread at a time ----------------------------------------------------------------

    def add(self, frame: Frame) -> None:
        """Add the records of the next frame to the tail."""
        tail = self._view.tail
        for position, record in enumerate(frame.records, frame.first):
            positions = tail.get(record.entity)
            if positions is None:
                tail[record.entity] = [position]
            else:
                positions.append(position)
        self.end = frame.last

    def due(self) -> Written | None:
        """Return the tail as a segment, if it is long enough to be written."""
        headers, tail = self._view
        covered = headers[-1].last if headers else 0
        if self.end - covered < self._segment_records:
            return None
        return Written(*encode_segment(len(headers), sorted(tail.items()), first=covered + 1, last=self.end))

    def take_written(self, written: Written) -> None:
        """Begin a new tail: the old one is on disk, and nothing was added since."""
        self._view = _View((*self._view.headers, written.header), {})

    # -- looking up ------------------------------------------------------------------------------------

    def all_of(self, entity: str, *, end: int) -> list[int]:
        """Return all positions of an entity that are not beyond an end."""
        headers, tail = self._view
        positions = [each for found in self._in_segments(headers, entity) for each in found]
        positions += tail.get(entity, ())
        return positions[: bisect_right(positions, end)]

    def first(self, entity: str) -> int:
        """Return the first position of an entity; 0 for none."""
        headers, tail = self._view
        newest = tail.get(entity, (0,))
        return next(self._in_segments(headers, entity), newest)[0]

    def last(self, entity: str, *, end: int) -> int:
        """Return the last position of an entity that is not beyond an end; 0 for none."""
        headers, tail = self._view
        newest = tail.get(entity, ())
        for positions in (newest, *self._in_segments(headers, entity, newest_first=True)):
            place = bisect_right(positions, end)
            if place:
                return positions[place - 1]
        return 0

    def entities(self, prefix: str, *, before: str | None) -> Iterator[tuple[str, int]]:
        """Yield the entities with a prefix, each with its first position, from the greatest downwards."""
        headers, tail = self._view
        kind = kind_of(prefix) if ":" in prefix else None
        sources = [
            self._descending(number, header, prefix, before)
            for number, header in enumerate(headers)
            if kind is None or kind in header.kinds
        ]
        newest = [each for each in list(tail.items()) if each[0].startswith(prefix)]
        newest.sort(reverse=True)
        sources.append(each for each in newest if before is None or each[0] < before)
        together = merge(*sources, key=itemgetter(0), reverse=True)
        for entity, found in groupby(together, key=itemgetter(0)):
            yield entity, min(positions[0] for _, positions in found)

    def _in_segments(
        self, headers: tuple[Header, ...], entity: str, *, newest_first: bool = False
    ) -> Iterator[list[int]]:
        digest = digest_of(entity)
        numbers = range(len(headers))
        for number in reversed(numbers) if newest_first else numbers:
            header = headers[number]
            if header.may_hold(digest) and (block := header.block_of(entity)):
                positions = self._block(number, block).get(entity)
                if positions is not None:
                    yield positions

    def _descending(
        self, number: int, header: Header, prefix: str, before: str | None
    ) -> Iterator[tuple[str, list[int]]]:
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
            value = self._read_row(key)
            if value is None:
                raise CorruptStoreError(f"the index lacks a row, {key.hex()}")
            found = dict(decode_block(key, value))
            if len(self._blocks) >= _CACHED_BLOCKS:
                self._blocks = {}
            self._blocks[key] = found
        return found


def read_headers(transaction: Any, table: Any) -> tuple[Header, ...]:
    """Return the headers of all segments, checked: together they cover the log from its beginning on."""
    headers: list[Header] = []
    covered = 0
    while (value := transaction.get(key := row_key(len(headers), 0), db=table)) is not None:
        header = decode_header(key, value)
        if header.first != covered + 1:
            raise CorruptStoreError(f"the index goes on at {header.first}, not at {covered + 1}")
        covered = header.last
        headers.append(header)
    cursor = transaction.cursor(db=table)
    if cursor.last() and number_of(cursor.key()) >= len(headers):
        raise CorruptStoreError(f"the index lacks the header of segment {len(headers)}")
    return tuple(headers)


def read_row(transaction: Any, table: Any, *, key: bytes) -> bytes | None:
    """Return a row of the index, copied out."""
    value = transaction.get(key, db=table)
    return None if value is None else bytes(value)


def put_rows(transaction: Any, table: Any, rows: list[tuple[bytes, bytes]]) -> None:
    """Write a segment behind those that are there."""
    _, added = transaction.cursor(db=table).putmulti(rows, overwrite=False, append=True)
    if added != len(rows):
        raise CorruptStoreError(f"the engine refused {len(rows) - added} rows of the index")
