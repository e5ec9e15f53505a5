"""Taking out of the engine what a log has forgotten, a little at a time, while others read and write.

Each call to the engine gives the global lock away, and beside a busy thread it may take milliseconds to come
back: so what is done in one transaction is bounded by time, not by number.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any, Final, NamedTuple

from eventstore.entity_index import Segment, read_segments
from eventstore.errors import CorruptStoreError
from eventstore.frame_table import pack_position, stored_bytes, unpack_position
from eventstore.framing import decode_frame, frame_end
from eventstore.retention import (
    Ledger,
    Remnant,
    decode_ledger,
    decode_remnant,
    encode_ledger,
    encode_remnant,
    is_remnant,
    remnant_of,
    sealed,
    unsealed,
)
from eventstore.segments import number_of, row_key

_LEDGER: Final = b"ledger"
_BASE: Final = b"base:"
_BATCH: Final = 256
"""Rows that are looked at, at a time."""
WRITE_S: Final = 0.005
"""Seconds after which a transaction takes out no more: commits of others wait for it."""


class Row(NamedTuple):
    """A row to be taken out or replaced."""

    of_index: bool
    key: bytes
    value: bytes | None
    """What takes its place; None: nothing."""


class Shedder:
    """Goes through what is to be taken out, from the beginning; begun anew, it finds what is left."""

    def __init__(self, ledger: Ledger, kept: list[int]) -> None:
        """Begin. `kept` are the positions up to the horizon that stay, sorted."""
        self.ledger = ledger
        self._kept = kept
        self._after = 0
        self._rows: list[Row] = []

    def look(self, transaction: Any, frames: Any, *, index: Any) -> bool:
        """Find the next rows, if none are left; False if there are no more."""
        if not self._rows:
            self._rows = self._of_index(transaction, index) or self._of_frames(transaction, frames)
        return bool(self._rows)

    def write(self, transaction: Any, frames: Any, index: Any) -> int:
        """Take out some of what was found; return how many rows: to be `taken` once that is committed."""
        deadline_s = time.monotonic() + WRITE_S
        done = 0
        for row in self._rows:
            table = index if row.of_index else frames
            if row.value is None:
                transaction.delete(row.key, db=table)
            else:
                transaction.put(row.key, row.value, db=table)
            done += 1
            if time.monotonic() > deadline_s:
                break
        return done

    def taken(self, rows: int) -> None:
        """Go on behind rows that are out."""
        del self._rows[:rows]

    def _of_index(self, transaction: Any, index: Any) -> list[Row]:
        rows: list[Row] = []
        cursor = transaction.cursor(db=index)
        for number in self.ledger.retired:
            found = cursor.set_range(row_key(number, 0))
            while found and number_of(cursor.key()) == number and len(rows) < _BATCH:
                rows.append(Row(of_index=True, key=bytes(cursor.key()), value=None))
                found = cursor.next()
        return rows

    def _of_frames(self, transaction: Any, frames: Any) -> list[Row]:
        """Find frames that are to go or to shrink; go on until there are some."""
        rows: list[Row] = []
        horizon = self.ledger.horizon.head.position
        cursor = transaction.cursor(db=frames)
        found = self.ledger.shed < horizon and cursor.set_range(pack_position(self._after + 1))
        while found and len(rows) < _BATCH:
            first = unpack_position(cursor.key())
            if first > horizon:
                break
            row = self._shrunk(first, cursor.value())
            if row is not None:
                rows.append(row)
            self._after = first
            found = cursor.next()
        return rows

    def _shrunk(self, first: int, stored: memoryview) -> Row | None:
        """Return what becomes of a frame; None: it stays as it is."""
        key, value = pack_position(first), stored_bytes(first, stored)
        whole: Remnant | None = decode_remnant(first, value) if is_remnant(value) else None
        last = frame_end(value) if whole is None else whole.last
        place = bisect_left(self._kept, first)
        if place == len(self._kept) or self._kept[place] > last:
            return Row(of_index=False, key=key, value=None)
        left = remnant_of(whole or decode_frame(first, value), self._kept)
        assert left is not None
        if whole is not None and left.positions == whole.positions:
            return None
        return Row(of_index=False, key=key, value=encode_remnant(left))


def put_ledger(transaction: Any, about: Any, ledger: Ledger) -> None:
    """Write the ledger."""
    transaction.put(_LEDGER, encode_ledger(ledger), db=about)


def read_ledger(transaction: Any, about: Any) -> Ledger:
    """Return the ledger, empty where nothing was ever compacted."""
    value = transaction.get(_LEDGER, db=about)
    return decode_ledger(None if value is None else bytes(value))


def put_base(transaction: Any, about: Any, name: str, state: bytes) -> None:
    """Keep a state as of the horizon."""
    transaction.put(_BASE + name.encode(), sealed(state), db=about)


def read_base(transaction: Any, about: Any, *, name: str) -> bytes:
    """Return a state as of the horizon. `CorruptStoreError` if it is not whole."""
    value = transaction.get(_BASE + name.encode(), db=about)
    if value is None:
        raise CorruptStoreError(f"the state of {name!r}, as of the horizon, is missing")
    return unsealed(bytes(value), f"the state of {name!r}, as of the horizon,")


def read_base_of_horizon(transaction: Any, about: Any, *, name: str) -> tuple[int, bytes | None]:
    """Return where the horizon is, and a state as of it, None if there is none: both of one moment."""
    ledger = read_ledger(transaction, about)
    state = read_base(transaction, about, name=name) if name in ledger.bases else None
    return ledger.horizon.head.position, state


def read_index(transaction: Any, index: Any, *, about: Any) -> tuple[Ledger, tuple[Segment, ...]]:
    """Return the ledger and the segments of the index that are in use, as of one moment."""
    ledger = read_ledger(transaction, about)
    return ledger, read_segments(transaction, index, retired=ledger.retired)
