"""Snapshots as files beside the log: a cache of states, worthless unless whole and of this log."""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from eventstore.errors import StoreError, StoreFullError
from eventstore.files import remove_file, sync_folder, write_file
from eventstore.records import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
_SEAL: Final = struct.Struct(">BBI")
# Position of the state; position, epoch, link and time of the log's head when it was saved.
_FIELDS: Final = struct.Struct(">QQQ32sq")
_LONGEST_NAME: Final = 200
_DIGITS: Final = 20
_SUFFIX: Final = ".snapshot"

FOLDER_NAME: Final = "snapshots"

KEPT: Final = 3
"""Snapshots of a name that are kept: should the newest not fit, an older one may."""


class Snapshot(NamedTuple):
    """A state as of a position, and the head that the log had when it was saved."""

    position: int
    head: Head
    data: bytes


class SnapshotFolder:
    """The snapshots of one store: the newest few of each name."""

    def __init__(self, path: Path) -> None:
        """Name the folder; it is made when it is needed."""
        self._path = path

    def save(self, name: str, snapshot: Snapshot) -> None:
        """Write a snapshot, and remove the oldest ones. `StoreError` if that is not possible."""
        head = snapshot.head
        sealed = _FIELDS.pack(snapshot.position, *head) + snapshot.data
        try:
            if not self._path.exists():
                self._path.mkdir(mode=0o700)
                sync_folder(self._path.parent)
            file = self._path / f"{_quoted(name)}.{snapshot.position:0{_DIGITS}d}{_SUFFIX}"
            write_file(file, _SEAL.pack(FORMAT, 0, crc32(sealed)) + sealed)
            files = self._files(name)
            # What is behind the head is of a log that was put back to an older copy since.
            lost = [each for each in files if _position(each) > head.position]
            left = files[len(lost) + KEPT :]
            for old in (*lost, *left, *self._path.glob(f"{_quoted(name)}.*.new")):
                remove_file(old)
        except OSError as error:
            message = f"the snapshot {name!r} cannot be written: {error}"
            raise StoreFullError(message, remedy="None needed: without it, a start takes longer.") from error

    def load(self, name: str, *, upto: int | None = None) -> Iterator[Snapshot]:
        """Yield the snapshots of a name, newest first, of positions up to `upto`; those that are whole."""
        for file in self._files(name):
            if upto is None or _position(file) <= upto:
                with contextlib.suppress(OSError, struct.error, StoreError):
                    snapshot = _decode(file.read_bytes())
                    if snapshot is not None:
                        yield snapshot

    def names(self, *, since: int = 0) -> dict[str, int]:
        """Return of what there are snapshots from a position on, and how many files of each, whole or not."""
        files = self._path.glob(f"*.{'[0-9]' * _DIGITS}{_SUFFIX}") if self._path.is_dir() else ()
        return Counter(unquote(file.name.partition(".")[0]) for file in files if _position(file) >= since)

    def _files(self, name: str) -> list[Path]:
        """Return the files of a name, those of the highest position first."""
        pattern = f"{_quoted(name)}.{'[0-9]' * _DIGITS}{_SUFFIX}"
        return sorted(self._path.glob(pattern), reverse=True) if self._path.is_dir() else []


def _quoted(name: str) -> str:
    # No dot, so that a name cannot look like another one and its position; no character of a pattern.
    quoted = quote(name, safe="").replace(".", "%2E")
    if not quoted or len(quoted) > _LONGEST_NAME:
        raise ValueError(f"a snapshot's name has 1 to {_LONGEST_NAME} bytes, quoted: {name!r}")
    return quoted


def _position(file: Path) -> int:
    return int(file.name.removesuffix(_SUFFIX)[-_DIGITS:])


def _decode(value: bytes) -> Snapshot | None:
    form, flags, checksum = _SEAL.unpack_from(value)
    sealed = memoryview(value)[_SEAL.size :]
    if form != FORMAT or flags or crc32(sealed) != checksum:
        return None
    position, *head = _FIELDS.unpack_from(sealed)
    return Snapshot(position, Head._make(head), bytes(sealed[_FIELDS.size :]))
