"""What a compacted store keeps of what is before its horizon: read beside its log, and put into a new store.

A log does not open if one frame of its end is damaged; here only the rows that are needed are looked at. What
looks is to be run in a child process: a damaged page may kill whoever touches it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import lmdb
import msgspec

from eventstore.data_file import open_unused
from eventstore.entity_index import EntityIndex, put_rows, read_rows
from eventstore.errors import CorruptStoreError, StoreError
from eventstore.frame_table import pack_position, put_frame, stored_bytes, unpack_position
from eventstore.framing import decode_frame
from eventstore.lmdb_log import DEFAULT_MAP_SIZE
from eventstore.opening import ABOUT, FRAMES, INDEX, Folder
from eventstore.retention import (
    NO_HORIZON,
    Horizon,
    Ledger,
    Remnant,
    decode_remnant,
    encode_remnant,
    is_remnant,
    remnant_of,
)
from eventstore.segments import encode_segment
from eventstore.shedding import put_base, put_ledger, read_base, read_index, read_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator


class Past(NamedTuple):
    """All that a log has of what is before its horizon."""

    ledger: Ledger
    bases: dict[str, bytes]
    remnants: list[Remnant]
    """What is left of frames, in order."""


def horizon_of(data: str) -> tuple[Horizon, str]:
    """Return the horizon of a data file and, if it cannot be read, why."""
    try:
        with _looking(data) as (transaction, environment):
            about = environment.open_db(ABOUT, transaction, create=False)
            return read_ledger(transaction, about).horizon, ""
    except (StoreError, lmdb.Error) as error:
        return NO_HORIZON, str(error)


def why_not_whole(data: str) -> str:
    """Return why what is before the horizon of a data file cannot be taken over; nothing if it can."""
    try:
        read_past(data)
    except (StoreError, lmdb.Error) as error:
        return str(error)
    return ""


def read_past(data: str) -> Past:
    """Read all that is before the horizon of a data file. `CorruptStoreError`, `lmdb.Error`."""
    with _looking(data) as (transaction, environment):
        frames, index, about = (
            environment.open_db(name, transaction, create=False) for name in (FRAMES, INDEX, ABOUT)
        )
        ledger, segments = read_index(transaction, index, about=about)
        entities = EntityIndex(segments, lambda keys: read_rows(transaction, index, keys=keys))
        kept = entities.positions(upto=ledger.horizon.head.position)
        bases = {name: read_base(transaction, about, name=name) for name in ledger.bases}
        remnants = list(_remnants(transaction, frames, kept))
    found = [position for remnant in remnants for position in remnant.positions]
    if found != kept:
        missing = sorted({*kept}.difference(found))
        raise CorruptStoreError(
            f"position {missing[0]} was kept, and is missing, with {len(missing) - 1} more"
        )
    return Past(ledger, bases, remnants)


def put_past(data: str, folder: str) -> int:
    """Begin a new store in an empty folder with what is before the horizon of another; return its position.

    Whatever `read_past` raises, `StoreError`.
    """
    past = read_past(data)
    horizon = past.ledger.horizon.head.position
    positions = defaultdict(list)
    for remnant in past.remnants:
        for stored in remnant.all():
            positions[stored.record.entity].append(stored.position)
    _, rows = encode_segment(0, sorted(positions.items()), most=len(positions), first=1, last=horizon)
    place = Folder(folder, read_only=False)
    try:
        databases = place.connect(map_size=DEFAULT_MAP_SIZE)
        with databases.environment.begin(write=True) as transaction:
            for remnant in past.remnants:
                value = encode_remnant(remnant)
                put_frame(transaction, databases.frames, first=remnant.first, value=value)
            put_rows(transaction, databases.index, rows)
            ledger = msgspec.structs.replace(past.ledger, shed=horizon, retired=())
            put_ledger(transaction, databases.about, ledger)
            for name, state in past.bases.items():
                put_base(transaction, databases.about, name, state)
        databases.environment.sync(force=True)
        databases.environment.close()
    finally:
        place.close()
    return horizon


@contextmanager
def _looking(data: str) -> Iterator[tuple[Any, Any]]:
    """Give a read transaction on a data file that nobody uses, and the engine."""
    with open_unused(data) as environment, environment.begin(buffers=True) as transaction:
        yield transaction, environment


def _remnants(transaction: Any, frames: Any, kept: list[int]) -> Iterator[Remnant]:
    """Yield what is kept of frames; those that are not yet taken out are passed over."""
    cursor = transaction.cursor(db=frames)
    more = bool(kept) and cursor.set_range(pack_position(1))
    while more and (first := unpack_position(cursor.key())) <= kept[-1]:
        value = stored_bytes(first, cursor.value())
        whole = decode_remnant(first, value) if is_remnant(value) else decode_frame(first, value)
        left = remnant_of(whole, kept)
        if left is not None:
            yield left
        more = cursor.next()
