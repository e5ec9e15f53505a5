"""The bytes of a frame: one header with checksum and link, then the records as msgpack."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from eventstore.errors import CodecError, CorruptStoreError, StoreFormatError
from eventstore.records import DECODE_ERRORS, Frame, Head, Record

FORMAT: Final = 1

# Format, flags (none yet), CRC-32 of all that follows.
_SEAL: Final = struct.Struct(">BBI")
# First position, epoch, recorded time (µs UTC), number of records, link of the frame before.
_FIELDS: Final = struct.Struct(">QQqI32s")
_HEADER_SIZE: Final = _SEAL.size + _FIELDS.size

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Record])


class Header(NamedTuple):
    """What a stored frame says about itself before its records."""

    first: int
    epoch: int
    recorded_us: int
    size: int
    previous: bytes

    @property
    def last(self) -> int:
        """The position of the last record."""
        return self.first + self.size - 1


def encode_frame(
    records: Sequence[Record], *, head: Head, epoch: int, recorded_us: int
) -> tuple[Frame, bytes]:
    """Return the frame that follows a head, and its bytes. `CodecError` if it has none."""
    if not records:
        raise ValueError("an append needs at least one record")
    batch = list(records)
    if not all(record.entity for record in batch):
        raise ValueError("a record needs an entity")
    first = head.position + 1
    try:
        body = _ENCODER.encode(batch)
        fields = _FIELDS.pack(first, epoch, recorded_us, len(batch), head.link)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise CodecError(f"a record cannot be encoded: {error}") from error
    sealed = fields + body
    value = _SEAL.pack(FORMAT, 0, crc32(sealed)) + sealed
    return Frame(first, epoch, recorded_us, head.link, sha256(value).digest(), batch), value


def read_header(value: bytes | memoryview) -> Header:
    """Return a stored frame's header, unchecked but for its format."""
    if len(value) < _HEADER_SIZE:
        raise CorruptStoreError(f"a frame of {len(value)} bytes is shorter than its header")
    if value[0] != FORMAT or value[1]:
        raise StoreFormatError(f"a frame has format {value[0]}.{value[1]}; this version reads {FORMAT}.0")
    return Header._make(_FIELDS.unpack_from(value, _SEAL.size))


def decode_frame(first: int, value: bytes) -> Frame:
    """Return the frame stored under a position. `CorruptStoreError` if a bit of it is wrong."""
    header = read_header(value)
    (_, _, checksum) = _SEAL.unpack_from(value)
    if crc32(memoryview(value)[_SEAL.size :]) != checksum:
        raise CorruptStoreError(f"the frame at position {first}{_entity_of(value)} fails its checksum")
    try:
        records = _DECODER.decode(memoryview(value)[_HEADER_SIZE:])
    except DECODE_ERRORS as error:
        raise CorruptStoreError(f"the frame at position {first} cannot be decoded: {error}") from error
    if header.first != first or header.size != len(records) or not records:
        raise CorruptStoreError(
            f"the frame at position {first} says of itself {header.size} records from "
            f"{header.first} on, and holds {len(records)}"
        )
    link = sha256(value).digest()
    return Frame(first, header.epoch, header.recorded_us, header.previous, link, records)


def _entity_of(value: bytes) -> str:
    """Name a damaged frame's first entity, as far as it can still be read."""
    try:
        records = _DECODER.decode(memoryview(value)[_HEADER_SIZE:])
    except DECODE_ERRORS:
        return ""
    return f" (of {records[0].entity!r})" if records else ""
