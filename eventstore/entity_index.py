"""The index by entity: where the records of a job are, at the cost of that job's history."""

from __future__ import annotations

from hashlib import sha256
from itertools import takewhile
from typing import Any, Final

from eventstore.frame_table import pack_position, unpack_position
from eventstore.records import Frame

# The engine takes keys of up to 511 bytes.
_LONGEST_KEY: Final = 400
_HASH_SIZE: Final = 32
_NOWHERE: Final = pack_position(0)


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
