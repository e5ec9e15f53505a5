"""One segment of the index by entity: the entities of a stretch of the log, in blocks, never changed.

A segment is a row with its header and a row for each block. Every row has a checksum of its key and its
contents, so that damage is noticed by whoever reads it, and a damaged row cannot hide an entity.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import chain, islice
from operator import itemgetter
from struct import Struct
from typing import Any, Final
from zlib import crc32

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import CorruptStoreError
from eventstore.records import DECODE_ERRORS

BLOCK_ENTITIES: Final = 64
"""Entities of one block: a look-up decodes one block of each segment that may hold its entity."""

_KEY: Final = Struct(">II")
_CHECKSUM: Final = Struct(">I")
_FILTER_BITS: Final = 16
"""Bits of the filter for each entity; with two probes, one look-up in 70 is led astray."""
_SPREAD: Final = 0x9E3779B1

Entry = tuple[str, list[int]]
"""An entity with the positions of its records, sorted."""
Entries = list[Entry]
"""Entities, sorted."""
Row = tuple[bytes, bytes]
"""A key and its value."""
Digest = tuple[int, int]
"""The two places, before they are brought into the range of a filter, where an entity leaves its mark."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODE_BLOCK: Final = msgpack_decoder(Entries)


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a segment says of itself, in memory while the log is open."""

    first: int
    """The position of the first record whose entity is in it."""
    last: int
    """The position of the last one: all from the first to the last are."""
    kinds: tuple[str, ...]
    """What the entities begin with, up to their first colon."""
    fences: tuple[str, ...]
    """The first entity of each block."""
    filter: bytes
    """A Bloom filter of the entities: most of those that are not in the segment are known by it."""

    def may_hold(self, digest: Digest) -> bool:
        """Whether an entity may be in the segment; False is certain."""
        bits, (one, other) = self.filter, digest
        size = len(bits) * 8
        one %= size
        other %= size
        return bool(bits[one >> 3] >> (one & 7) & bits[other >> 3] >> (other & 7) & 1)

    def block_of(self, entity: str) -> int:
        """Return the number of the block that holds an entity if any does; 0 for none."""
        return bisect_right(self.fences, entity)

    def blocks_with(self, prefix: str) -> int:
        """Return the number of the last block that may hold an entity with a prefix; 0 for none."""
        return bisect_right(self.fences, prefix, key=lambda fence: fence[: len(prefix)])


_DECODE_HEADER: Final = msgpack_decoder(Header)


def digest_of(entity: str) -> Digest:
    """Return the fingerprint of an entity that a filter is probed with."""
    one = crc32(entity.encode("utf-8", "surrogatepass"))
    return one, one * _SPREAD >> 8 & 0xFFFFFFFF


def kind_of(entity: str) -> str:
    """Return what an entity begins with, up to its first colon."""
    return entity.partition(":")[0]


class SegmentWriter:
    """Makes the rows of a segment one block at a time, so that those of a large one are never all in memory."""

    def __init__(self, number: int, *, most: int) -> None:
        """Begin a segment of `most` entities at most."""
        self.number = number
        self._bits = _no_marks(most)
        self._kinds: set[str] = set()
        self._fences: list[str] = []

    def blocks(self, entries: Iterable[Entry]) -> Iterator[Row]:
        """Yield the rows of all entries, in the order of their keys."""
        rest = iter(entries)
        while block := list(islice(rest, BLOCK_ENTITIES)):
            entities = [entity for entity, _ in block]
            _mark(self._bits, entities)
            self._kinds.update(_kinds_of(entities))
            self._fences.append(entities[0])
            yield _row(row_key(self.number, len(self._fences)), block)

    def header(self, *, first: int, last: int) -> tuple[Header, Row]:
        """Return the header, once all blocks were made, and its row."""
        header = Header(first, last, tuple(sorted(self._kinds)), tuple(self._fences), bytes(self._bits))
        return header, _row(row_key(self.number, 0), header)


def _kinds_of(entities: list[str]) -> Collection[str]:
    """Return the kinds of sorted entities: whatever stands between two with a common beginning shares it."""
    kind = kind_of(entities[0])
    same = f"{kind}:"
    if entities[0].startswith(same) and entities[-1].startswith(same):
        return (kind,)
    return set(map(kind_of, entities))


def encode_segment(
    number: int, entries: Iterable[Entry], *, most: int, first: int, last: int
) -> tuple[Header, list[Row]]:
    """Return a segment's header and its rows, in the order of their keys; of `most` entries at most."""
    writer = SegmentWriter(number, most=most)
    blocks = list(writer.blocks(entries))
    header, row = writer.header(first=first, last=last)
    return header, [row, *blocks]


def merged_blocks(sources: Iterable[Iterator[Entries]]) -> Iterator[Entries]:
    """Yield the entries of several segments, neighbours in their order, as those of one: a stretch at a time.

    A stretch is all up to the first entity with which a block that begins in it ends: what is before it is at hand,
    too. Where the segments do not overlap, that is a whole block, and no other is looked at.
    """
    at_hand = [(block[0][0], n, block, rest) for n, rest in enumerate(sources) for block in islice(rest, 1)]
    heapify(at_hand)
    while at_hand:
        blocks = [heappop(at_hand)]
        end = blocks[0][2][-1][0]
        while at_hand and at_hand[0][0] <= end:
            blocks.append(heappop(at_hand))
            end = min(end, blocks[-1][2][-1][0])
        blocks.sort(key=itemgetter(1))
        stretches = []
        for _, n, block, rest in blocks:
            here = bisect_right(block, end, key=itemgetter(0))
            stretches.append(block[:here])
            if more := block[here:] or next(rest, []):
                heappush(at_hand, (more[0][0], n, more, rest))
        yield stretches[0] if len(stretches) == 1 else _joined(chain.from_iterable(stretches))


def _joined(entries: Iterable[Entry]) -> Entries:
    """Sort entries, and make one of those of the same entity, in the order in which they come."""
    joined: Entries = []
    before = None
    for entry in sorted(entries, key=itemgetter(0)):
        if entry[0] == before:
            joined[-1] = (before, joined[-1][1] + entry[1])
        else:
            joined.append(entry)
            before = entry[0]
    return joined


def row_key(number: int, block: int) -> bytes:
    """Return the key of a segment's block, which are numbered from 1; of its header for 0."""
    return _KEY.pack(number, block)


def number_of(key: bytes | memoryview) -> int:
    """Return the number of the segment that a row belongs to."""
    if len(key) != _KEY.size:
        raise CorruptStoreError(f"a key of the index has {len(key)} bytes")
    return int.from_bytes(key[:4], "big")


def decode_header(key: bytes, value: memoryview | bytes) -> Header:
    """Return a segment's header. `CorruptStoreError` if a bit of it is wrong."""
    header: Header = _decode(_DECODE_HEADER, key, value)
    return header


def decode_block(key: bytes, value: memoryview | bytes) -> Entries:
    """Return the entities of a block. `CorruptStoreError` if a bit of it is wrong."""
    entries: Entries = _decode(_DECODE_BLOCK, key, value)
    return entries


def _row(key: bytes, content: Header | Entries) -> Row:
    body = _ENCODER.encode(content)
    return key, _CHECKSUM.pack(crc32(body, crc32(key))) + body


def _decode(decode: Callable[[bytes | memoryview], Any], key: bytes, value: memoryview | bytes) -> Any:
    view = memoryview(value)
    body = view[_CHECKSUM.size :]
    if len(view) < _CHECKSUM.size or crc32(body, crc32(key)) != _CHECKSUM.unpack_from(view)[0]:
        raise CorruptStoreError(f"the index has a damaged row, {key.hex()}")
    try:
        return decode(body)
    except DECODE_ERRORS as error:
        raise CorruptStoreError(f"the index has a row that cannot be decoded, {key.hex()}") from error


def filter_holds(bits: bytes, digest: Digest) -> bool:
    """Whether an entity may be among those of a filter; False is certain."""
    one, other = (place % (len(bits) * 8) for place in digest)
    return bool(bits[one >> 3] >> (one & 7) & bits[other >> 3] >> (other & 7) & 1)


def filter_of(entities: Collection[str]) -> bytes:
    """Return a Bloom filter of entities."""
    bits = _no_marks(len(entities))
    _mark(bits, entities)
    return bytes(bits)


def _no_marks(most: int) -> bytearray:
    """Return the filter of no entity, wide enough for so many."""
    return bytearray(most * _FILTER_BITS // 8 + 1)


def _mark(bits: bytearray, entities: Iterable[str]) -> None:
    """Leave the marks of entities in a filter: at the two places that `digest_of` says, without a call for each."""
    size = len(bits) * 8
    for entity in entities:
        one = crc32(entity.encode("utf-8", "surrogatepass"))
        place = one % size
        bits[place >> 3] |= 1 << (place & 7)
        place = (one * _SPREAD >> 8 & 0xFFFFFFFF) % size
        bits[place >> 3] |= 1 << (place & 7)
