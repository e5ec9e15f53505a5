"""The index by entity: where the records of a job are, at the cost of that job's history.

The engine has no checksums, so each entry has one, of its key and position together. A damaged position
is noticed when it is read, a damaged key by who looks for it in vain: it lies where the search ends.

Transactions that read have buffers: keys and values are looked at before they are copied out.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import Any, Final
from zlib import crc32

from eventstore.errors import CorruptStoreError
from eventstore.frame_table import pack_position
from eventstore.records import Frame

# The engine takes keys of up to 511 bytes.
_LONGEST_KEY: Final = 400
_HASH_SIZE: Final = 32
# Position and checksum; entries of a key are sorted by their position.
_ENTRY: Final = Struct(">QI")
# Keys in one read transaction: while it is open, no page that is freed is used again.
_BATCH_KEYS: Final = 256


def index_key(entity: str) -> bytes:
    """Return the key of an entity; a long one is cut, and told apart by its hash."""
    key = entity.encode("utf-8", "surrogatepass")
    if len(key) <= _LONGEST_KEY:
        return key or b"\0"
    return key[: _LONGEST_KEY - _HASH_SIZE] + sha256(key).digest()


def index_entries(frame: Frame) -> list[tuple[bytes, bytes]]:
    """Return a frame's keys and entries in the order of the index, which writes fewer pages."""
    entries = [
        (key := index_key(record.entity), _ENTRY.pack(position, _checksum(key, position)))
        for position, record in enumerate(frame.records, frame.first)
    ]
    entries.sort()
    return entries


def put_entries(transaction: Any, index: Any, entries: list[tuple[bytes, bytes]]) -> None:
    """Add the entries of a frame."""
    transaction.cursor(db=index).putmulti(entries)


def read_first(transaction: Any, index: Any, *, key: bytes) -> int:
    """Return the first position under a key; 0 for none."""
    cursor = transaction.cursor(db=index)
    return _position(cursor) if _found(cursor, key) else 0


def read_last(transaction: Any, index: Any, *, key: bytes, end: int) -> int:
    """Return the last position under a key that is not beyond an end; 0 for none."""
    cursor = transaction.cursor(db=index)
    if not _found(cursor, key):
        return 0
    cursor.last_dup()
    if (position := _position(cursor)) <= end:
        return position
    cursor.set_range_dup(key, pack_position(end + 1))
    _position(cursor)
    return _position(cursor) if cursor.prev_dup() else 0


def read_all(transaction: Any, index: Any, *, key: bytes, end: int) -> list[int]:
    """Return all positions under a key that are not beyond an end."""
    cursor = transaction.cursor(db=index)
    positions: list[int] = []
    found = _found(cursor, key)
    while found and (position := _position(cursor)) <= end:
        positions.append(position)
        found = cursor.next_dup()
    return positions


def _found(cursor: Any, key: bytes) -> bool:
    """Go to the first entry of a key; if there is none, see that no damage hides it."""
    found = cursor.set_range(key)
    if found:
        if cursor.key() == key:
            return True
        _check_order(key, _whole_key(cursor))
    if cursor.prev() if found else cursor.last():
        _check_order(_whole_key(cursor), key)
    return False


def _check_order(lower: bytes, upper: bytes) -> None:
    if lower >= upper:
        raise CorruptStoreError(f"the index has {upper!r} after {lower!r}")


def _whole_key(cursor: Any) -> bytes:
    """Return the key that a cursor is at, if its entry says that it is whole."""
    key = cursor.key()
    # A damaged length would lead beyond the end of the mapped file.
    if len(key) > _LONGEST_KEY:
        raise CorruptStoreError(f"a key of the index has {len(key)} bytes")
    _position(cursor)
    return bytes(key)


def _position(cursor: Any) -> int:
    """Return the position of the entry that a cursor is at, if its checksum is right."""
    key, entry = cursor.item()
    if len(entry) == _ENTRY.size and len(key) <= _LONGEST_KEY:
        position, checksum = _ENTRY.unpack(entry)
        if checksum == _checksum(key, position):
            return int(position)
    raise CorruptStoreError(f"the index has a damaged entry near {bytes(key[:_LONGEST_KEY])!r}")


def _checksum(key: bytes | memoryview, position: int) -> int:
    """Return the CRC-32 of a key, begun with a position: half the cost of putting them together."""
    return crc32(key, position ^ position >> 32)


def key_prefix(prefix: str) -> bytes:
    """Return what the keys of all entities that begin with `prefix` begin with, and perhaps others' keys."""
    return prefix.encode("utf-8", "surrogatepass")[: _LONGEST_KEY - _HASH_SIZE]


def entity_of(key: bytes) -> str | None:
    """Return the entity that a key stands for; None if it was cut."""
    return key.decode("utf-8", "surrogatepass") if len(key) < _LONGEST_KEY else None


def read_keys(
    transaction: Any, index: Any, *, prefix: bytes, before: bytes | None
) -> list[tuple[bytes, int]]:
    """Return keys with a prefix and their first positions, from the greatest below `before` downwards.

    As many as one short transaction may see; none if there are no more.
    """
    cursor = transaction.cursor(db=index)
    found = _set_below(cursor, prefix, before)
    batch: list[tuple[bytes, int]] = []
    while found and len(batch) < _BATCH_KEYS and (key := _whole_key(cursor)).startswith(prefix):
        cursor.first_dup()
        batch.append((key, _position(cursor)))
        found = cursor.prev_nodup()
    return batch


def _set_below(cursor: Any, prefix: bytes, before: bytes | None) -> bool:
    """Go to the greatest key below `before`, and not above every key with the prefix."""
    # Above them all: UTF-8 has no byte 0xff, and the hash at the end of a cut key has fewer of them.
    bound = prefix + b"\xff" * (_HASH_SIZE + 1)
    if before is not None:
        bound = min(bound, before)
    return bool(cursor.prev_nodup() if cursor.set_range(bound) else cursor.last())
