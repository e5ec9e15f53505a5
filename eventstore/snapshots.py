"""Snapshots as files beside the log: a cache of states, worthless unless whole and of this log."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote
from zlib import crc32

from eventstore.errors import StoreError, StoreFullError
from eventstore.files import sync_folder, write_file
from eventstore.records import Head

FORMAT: Final = 1
_SEAL: Final = struct.Struct(">BBI")
# Position of the state; position, epoch, link and time of the log's head when it was saved.
_FIELDS: Final = struct.Struct(">QQQ32sq")
_LONGEST_NAME: Final = 200


class Snapshot(NamedTuple):
    """A state as of a position, and the head that the log had when it was saved."""

    position: int
    head: Head
    data: bytes


class SnapshotFolder:
    """The snapshots of one store, the newest of each name."""

    def __init__(self, path: Path) -> None:
        """Name the folder; it is made when it is needed."""
        self._path = path

    def save(self, name: str, snapshot: Snapshot) -> None:
        """Write a snapshot in place of the one before. `StoreError` if that is not possible."""
        head = snapshot.head
        sealed = _FIELDS.pack(snapshot.position, *head) + snapshot.data
        try:
            if not self._path.exists():
                self._path.mkdir(mode=0o700)
                sync_folder(self._path.parent)
            write_file(self._file(name), _SEAL.pack(FORMAT, 0, crc32(sealed)) + sealed)
        except OSError as error:
            message = f"the snapshot {name!r} cannot be written: {error}"
            raise StoreFullError(message, remedy="None needed: without it, a start takes longer.") from error

    def load(self, name: str) -> Snapshot | None:
        """Return the snapshot of a name; None for a missing, damaged or unknown one."""
        with contextlib.suppress(OSError, struct.error, StoreError):
            return _decode(self._file(name).read_bytes())
        return None

    def _file(self, name: str) -> Path:
        quoted = quote(name, safe="").replace(".", "%2E")
        if not quoted or len(quoted) > _LONGEST_NAME:
            raise ValueError(f"a snapshot's name has 1 to {_LONGEST_NAME} bytes, quoted: {name!r}")
        return self._path / f"{quoted}.snapshot"


def _decode(value: bytes) -> Snapshot | None:
    form, flags, checksum = _SEAL.unpack_from(value)
    sealed = memoryview(value)[_SEAL.size :]
    if form != FORMAT or flags or crc32(sealed) != checksum:
        return None
    position, *head = _FIELDS.unpack_from(sealed)
    return Snapshot(position, Head._make(head), bytes(sealed[_FIELDS.size :]))
