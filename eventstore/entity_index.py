"""The index by entity: where the records of a job are, at the cost of that job's history.

Transactions that read have buffers: keys and values are looked at before they are copied out.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import takewhile
from typing import Any, Final

from eventstore.errors import CorruptStoreError
from eventstore.frame_table import pack_position, unpack_position
from eventstore.records import Frame

# The engine takes keys of up to 511 bytes.
_LONGEST_KEY: Final = 400
_HASH_SIZE: Final = 32
_NOWHERE: Final = pack_position(0)
# Keys in one read transaction: while it is open, no page that is freed is used again.
_BATCH_KEYS: Final = 256


def index_key(entity: str) -> bytes:
    """Return the key of an entity; a long one is cut, and told apart by its hash."""
    key = entity.encode("utf-8", "surrogatepass")
    if len(key) <= _LONGEST_KEY:
        return key or b"\0"
    return key[: _LONGEST_KEY - _HASH_SIZE] + sha256(key).digest()


def index_entries(frame: Frame) -> list[tuple[bytes, bytes]]:
    """Return a frame's keys and positions in the order of the index, which writes fewer pages."""
    entries = [
        (index_key(record.entity), pack_position(position))
        for position, record in enumerate(frame.records, frame.first)
    ]
    entries.sort()
    return entries


def put_entries(transaction: Any, index: Any, entries: list[tuple[bytes, bytes]]) -> None:
    """Add the entries of a frame."""
    transaction.cursor(db=index).putmulti(entries)


def read_first(transaction: Any, index: Any, *, key: bytes) -> int:
    """Return the first position under a key; 0 for none."""
    return unpack_position(transaction.get(key, _NOWHERE, db=index))


def read_last(transaction: Any, index: Any, *, key: bytes, end: int) -> int:
    """Return the last position under a key that is not beyond an end; 0 for none."""
    cursor = transaction.cursor(db=index)
    if not cursor.set_key(key):
        return 0
    cursor.last_dup()
    if unpack_position(cursor.value()) > end:
        cursor.set_range_dup(key, pack_position(end + 1))
        if not cursor.prev_dup():
            return 0
    return unpack_position(cursor.value())


def read_all(transaction: Any, index: Any, *, key: bytes, end: int) -> list[int]:
    """Return all positions under a key that are not beyond an end."""
    cursor = transaction.cursor(db=index)
    if not cursor.set_key(key):
        return []
    positions = map(unpack_position, cursor.iternext_dup())
    return list(takewhile(lambda position: position <= end, positions))


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
    while found and len(batch) < _BATCH_KEYS and (key := _copied(cursor.key())).startswith(prefix):
        cursor.first_dup()
        batch.append((key, unpack_position(cursor.value())))
        found = cursor.prev_nodup()
    return batch


def _copied(key: memoryview) -> bytes:
    """Copy a key out of the engine's memory, unless a damaged length would lead too far."""
    if len(key) > _LONGEST_KEY:
        raise CorruptStoreError(f"a key of the index has {len(key)} bytes")
    return bytes(key)


def _set_below(cursor: Any, prefix: bytes, before: bytes | None) -> bool:
    """Go to the greatest key below `before`, and not above every key with the prefix."""
    # Above them all: UTF-8 has no byte 0xff, and the hash at the end of a cut key has fewer of them.
    bound = prefix + b"\xff" * (_HASH_SIZE + 1)
    if before is not None:
        bound = min(bound, before)
    return bool(cursor.prev_nodup() if cursor.set_range(bound) else cursor.last())
