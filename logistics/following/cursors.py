"""Where a reader of the log keeps its place: in the notebook of the store, under its name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from actors.runtime.errors import InputError
from eventstore.decoding import msgpack_decoder
from logistics.inputs import check_name

if TYPE_CHECKING:
    from eventstore.notebook import Notes

logger = logging.getLogger("logistics.following")

MOST_BYTES = 200
"""Of a name."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """How far a reader has come."""

    position: int
    store_id: str
    """Of which store's log: a notebook that was copied beside another log is not believed."""
    version: int = 1
    """Of the reader's own rules."""


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgpack_decoder(Cursor)


def check_reader_name(name: object) -> str:
    """Return a name that notes can be kept under."""
    checked = check_name("name", name)
    if len(checked.encode()) > MOST_BYTES:
        msg = f"name: expected at most {MOST_BYTES} bytes in UTF-8, got {len(checked.encode())}"
        raise InputError(msg)
    return checked


def key_of(kind: str, name: str, rest: bytes = b"") -> bytes:
    """Return the key of a note of a reader; without `rest`, what all its keys of that kind begin with."""
    return kind.encode() + name.encode() + b"\x00" + rest


def read_cursor(notes: Notes, name: str, *, store_id: str, head: int) -> Cursor | None:
    """Return a reader's cursor; None if it has none, or it is none of this log."""
    found = notes.get(key_of("c", name))
    if found is None:
        return None
    cursor = _DECODE(found)
    if cursor.store_id != store_id or cursor.position > head:
        logger.warning("the cursor of %r is none of this log, and is not believed", name)
        return None
    return cursor


def write_cursor(notes: Notes, name: str, cursor: Cursor) -> None:
    """Note how far a reader has come."""
    notes.put(key_of("c", name), _ENCODE(cursor))


def forget(notes: Notes, name: str, kinds: str) -> None:
    """Strike out all notes of a reader of some kinds."""
    for kind in kinds:
        for key in [key for key, _ in notes.items(key_of(kind, name))]:
            notes.delete(key)
