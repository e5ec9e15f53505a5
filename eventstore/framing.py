"""The bytes of a frame: one header with checksum and link, then the records as msgpack."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from zlib import crc32

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import CodecError, CorruptStoreError, StoreFormatError
from eventstore.records import DECODE_ERRORS, Frame, Head, Record

FORMAT: Final = 1

# Format, flags (none yet), CRC-32 of all that follows.
_SEAL: Final = struct.Struct(">BBI")
# Bytes of the body, first position, epoch, recorded time (µs UTC), number of records, previous link.
_FIELDS: Final = struct.Struct(">IQQqI32s")
_LENGTH: Final = struct.Struct(">I")
_HEADER: Final = struct.Struct(_SEAL.format + _FIELDS.format[1:])

HEADER_SIZE: Final = _HEADER.size
LINK_AT: Final = HEADER_SIZE - 32
"""Where a frame says which one it follows: at the end of its header."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODE: Final = msgpack_decoder(list[Record])


def encode_frame(
    records: Sequence[Record], *, head: Head, epoch: int, recorded_us: int
) -> tuple[Frame, bytes]:
    """Return the frame that follows a head, and its bytes. `CodecError` if it has none."""
    if not records:
        raise ValueError("an append needs at least one record")
    batch = list(records)
    for record in batch:
        if not record.entity:
            raise ValueError("a record needs an entity")
    first = head.position + 1
    try:
        body = _ENCODER.encode(batch)
        fields = _FIELDS.pack(len(body), first, epoch, recorded_us, len(batch), head.link)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise CodecError(f"a record cannot be encoded: {error}") from error
    sealed = fields + body
    value = _SEAL.pack(FORMAT, 0, crc32(sealed)) + sealed
    return Frame(first, epoch, recorded_us, head.link, sha256(value).digest(), batch), value


def copied(position: int, stored: memoryview) -> bytes:
    """Copy a stored frame out of the engine's memory, if it is as long as it says itself.

    A damaged length would lead beyond the end of the mapped file, and to touch that is the end.
    """
    if len(stored) >= _HEADER.size:
        (length,) = _LENGTH.unpack_from(stored, _SEAL.size)
        if len(stored) == _HEADER.size + length:
            return bytes(stored)
    raise CorruptStoreError(f"the frame at position {position} is not as long as it should be")


def size_of(header: bytes) -> tuple[int, int]:
    """Return how long the frame with a header says it is, and its first position. `CorruptStoreError`."""
    if len(header) < HEADER_SIZE:
        raise CorruptStoreError("a header is cut off")
    _, _, _, length, first, *_ = _HEADER.unpack_from(header)
    return HEADER_SIZE + length, first


def frame_end(value: bytes) -> int:
    """Return the position of the last record, as the header of a stored frame says."""
    _, _, _, _, first, _, _, size, _ = _HEADER.unpack_from(value)
    return int(first + size - 1)


def decode_frame(position: int, value: bytes) -> Frame:
    """Return the frame stored under a position. `CorruptStoreError` if a bit of it is wrong."""
    if len(value) < _HEADER.size:
        raise CorruptStoreError(f"the frame at position {position} is shorter than its header")
    form, flags, checksum, _, first, epoch, recorded_us, size, previous = _HEADER.unpack_from(value)
    if form != FORMAT or flags:
        raise StoreFormatError(
            f"the frame at position {position} has format {form}.{flags}; this version reads {FORMAT}.0"
        )
    view = memoryview(value)
    if crc32(view[_SEAL.size :]) != checksum:
        raise CorruptStoreError(f"the frame at position {position}{_entity_of(value)} fails its checksum")
    try:
        records = _DECODE(view[_HEADER.size :])
    except DECODE_ERRORS as error:
        raise CorruptStoreError(f"the frame at position {position} cannot be decoded: {error}") from error
    if first != position or size != len(records) or not records:
        raise CorruptStoreError(
            f"the frame at position {position} says of itself {size} records from {first} on, "
            f"and holds {len(records)}"
        )
    return Frame(first, epoch, recorded_us, previous, sha256(value).digest(), records)


def _entity_of(value: bytes) -> str:
    """Name a damaged frame's first entity, as far as it can still be read."""
    try:
        records = _DECODE(memoryview(value)[_HEADER.size :])
    except DECODE_ERRORS:
        return ""
    return f" (of {records[0].entity!r})" if records else ""
