"""What a log has forgotten: up to where, what stays of that, and where the rest has gone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import CompactedError, CorruptStoreError
from eventstore.records import DECODE_ERRORS, EMPTY, Frame, Head, Record, Stored
from eventstore.segments import Entries


class Horizon(NamedTuple):
    """Up to where a log was compacted: what is left of it is behind this head, but for what was kept."""

    head: Head
    """The head that the log once had there: the chain begins with its link."""
    archive: str
    """The newest file that holds what was taken out; empty if it was not archived."""


NO_HORIZON: Final = Horizon(EMPTY, "")
"""That of a log from which nothing was taken."""


class Compaction(msgspec.Struct, frozen=True, array_like=True):
    """What a compaction does: everything up to the horizon is forgotten, but for what is kept."""

    horizon: Horizon
    kept: Entries
    """Entities, sorted, each with its positions up to the horizon, all of them, sorted."""
    bases: dict[str, bytes]
    """States as of the horizon, by name: what a fold begins with from then on."""
    position: int
    """Up to where the log was read for this plan: what came later may stand against it."""


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """What a store keeps about its own compactions."""

    horizon: Horizon = NO_HORIZON
    bases: tuple[str, ...] = ()
    """The names of the states that are kept as of the horizon."""
    shed: int = 0
    """The horizon up to which the frames were taken out: less than the other one while that is under way."""
    retired: tuple[int, ...] = ()
    """Segments of the index that others have replaced, or that are not complete: still to be removed."""


class Remnant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is left of a frame: some of its records, under their old positions. No link vouches for it."""

    recorded_us: int
    positions: list[int]
    records: list[Record]

    @property
    def first(self) -> int:
        """The first position that is left."""
        return self.positions[0]

    @property
    def last(self) -> int:
        """The last position that is left."""
        return self.positions[-1]

    def stored(self, position: int) -> Stored:
        """Return the record at a position. `CompactedError` if it is gone."""
        place = bisect_left(self.positions, position)
        if place == len(self.positions) or self.positions[place] != position:
            raise CompactedError(position)
        return Stored(position, self.recorded_us, self.records[place])

    def all(self) -> Iterator[Stored]:
        """Yield all that is left."""
        for position, record in zip(self.positions, self.records, strict=True):
            yield Stored(position, self.recorded_us, record)


REMNANT_FORMAT: Final = 2
"""The first byte of a remnant, where a frame has its own format."""
_SEAL: Final = Struct(">BI")
_ENCODER: Final = msgspec.msgpack.Encoder()
_REMNANT: Final = msgpack_decoder(Remnant)
_LEDGER: Final = msgpack_decoder(Ledger)


def remnant_of(frame: Frame | Remnant, kept: list[int]) -> Remnant | None:
    """Return what is left of a frame if only these positions, sorted, are kept; None for nothing."""
    positions = kept[bisect_left(kept, frame.first) : bisect_right(kept, frame.last)]
    if not positions:
        return None
    stored = [frame.stored(position) for position in positions]
    return Remnant(frame.recorded_us, positions, [each.record for each in stored])


def encode_remnant(remnant: Remnant) -> bytes:
    """Return a remnant's bytes."""
    return sealed(_ENCODER.encode(remnant))


def is_remnant(value: bytes) -> bool:
    """Whether stored bytes are a remnant, not a frame."""
    return value[:1] == bytes((REMNANT_FORMAT,))


def decode_remnant(position: int, value: bytes) -> Remnant:
    """Return the remnant stored under a position. `CorruptStoreError` if a bit of it is wrong."""
    remnant: Remnant = _unsealed(_REMNANT, value, f"the remnant at position {position}")
    sizes = {len(remnant.positions), len(remnant.records)}
    if sizes == {0} or len(sizes) > 1 or remnant.first < position:
        raise CorruptStoreError(f"the remnant at position {position} is not what it should be")
    return remnant


def encode_ledger(ledger: Ledger) -> bytes:
    """Return a ledger's bytes."""
    return sealed(_ENCODER.encode(ledger))


def decode_ledger(value: bytes | None) -> Ledger:
    """Return a store's ledger, empty if it has none. `CorruptStoreError` if a bit of it is wrong."""
    if value is None:
        return Ledger()
    ledger: Ledger = _unsealed(_LEDGER, value, "the ledger of compactions")
    return ledger


def sealed(body: bytes) -> bytes:
    """Return bytes with a checksum before them."""
    return _SEAL.pack(REMNANT_FORMAT, crc32(body)) + body


def unsealed(value: bytes, what: str) -> bytes:
    """Return the bytes that were sealed. `CorruptStoreError` if a bit of them is wrong."""
    body = value[_SEAL.size :]
    if len(value) < _SEAL.size or _SEAL.unpack_from(value) != (REMNANT_FORMAT, crc32(body)):
        raise CorruptStoreError(f"{what} fails its checksum")
    return body


def _unsealed(decode: Callable[[bytes | memoryview], Any], value: bytes, what: str) -> Any:
    try:
        return decode(unsealed(value, what))
    except DECODE_ERRORS as error:
        raise CorruptStoreError(f"{what} cannot be decoded: {error}") from error


def check_plan(plan: Compaction, head: Head, horizon: Horizon) -> None:
    """Refuse a plan for another log, or for a moment that is over."""
    begin, end = horizon.head.position, plan.horizon.head.position
    if not begin < end < head.position:
        raise ValueError(
            f"a horizon at {end} is not between the present one, {begin}, and the end, {head.position}"
        )
