"""The frames in the engine: stored bytes under the position of their first record.

Transactions that read have buffers: a value is looked at before it is copied out.
"""

from __future__ import annotations

import time
from struct import Struct
from typing import Any, Final

from eventstore.errors import CorruptStoreError
from eventstore.framing import copied, decode_frame
from eventstore.records import Head
from eventstore.retention import is_remnant

# Bounds of one read transaction of a scan: while it is open, no page that is freed is used again.
_BATCH_FRAMES: Final = 1000
_BATCH_BYTES: Final = 8 * 1024**2
_BATCH_S: Final = 0.1

_POSITION: Final = Struct(">Q")
pack_position: Final = _POSITION.pack


class NoFrameError(CorruptStoreError):
    """A position that should be there is in no frame."""


def unpack_position(key: memoryview | bytes) -> int:
    """Return the position that a key stands for."""
    if len(key) != _POSITION.size:
        raise CorruptStoreError(f"a position has {len(key)} bytes")
    return int.from_bytes(key, "big")


def put_frame(transaction: Any, table: Any, *, first: int, value: bytes) -> None:
    """Add a frame at the end: the one place where that is done, and believed only if it was.

    Out of order, the engine writes nothing, raises nothing, and returns False.
    """
    if not transaction.put(pack_position(first), value, append=True, overwrite=False, db=table):
        raise CorruptStoreError(f"the engine refused to append at position {first}")


def count_commits(transaction: Any, _table: Any) -> int:
    """Return the number of the last commit that a transaction sees: with another one, anything may be new."""
    return int(transaction.id())


def read_head(transaction: Any, table: Any, *, horizon: Head) -> Head:
    """Return the head of the log, from its last frame, checked; the horizon if there is none behind it."""
    cursor = transaction.cursor(db=table)
    if not cursor.last() or (first := unpack_position(cursor.key())) <= horizon.position:
        return horizon
    return decode_frame(first, copied(first, cursor.value())).head


def read_frame(transaction: Any, table: Any, *, position: int) -> tuple[int, bytes]:
    """Return the last frame that begins at a position or before it, and where it begins."""
    cursor = transaction.cursor(db=table)
    found = cursor.set_range(pack_position(position))
    if (found and unpack_position(cursor.key()) == position) or (cursor.prev() if found else cursor.last()):
        first = unpack_position(cursor.key())
        return first, stored_bytes(first, cursor.value())
    raise NoFrameError(f"no frame holds position {position}")


def stored_bytes(first: int, stored: memoryview) -> bytes:
    """Copy what is stored under a position out of the engine's memory: a frame, or what is left of one."""
    return bytes(stored) if is_remnant(bytes(stored[:1])) else copied(first, stored)


def read_batch(transaction: Any, table: Any, *, first: int, end: int) -> list[tuple[int, bytes]]:
    """Return frames from a position on, as many as one short transaction may see."""
    cursor = transaction.cursor(db=table)
    cursor.set_range(pack_position(first))
    batch: list[tuple[int, bytes]] = []
    size, deadline_s = 0, time.monotonic() + _BATCH_S
    for key, stored in cursor:
        position = unpack_position(key)
        if position > end:
            break
        batch.append((position, copied(position, stored)))
        size += len(stored)
        if len(batch) >= _BATCH_FRAMES or size >= _BATCH_BYTES or time.monotonic() > deadline_s:
            break
    if not batch:
        raise CorruptStoreError(f"the log ends before position {first}")
    return batch
