"""What readers of the log keep for themselves: how far they are, and what they have made of it.

Not part of the log, and no truth: all of it can be made again from there. It has files of its own, so that whoever
reads never waits for, nor slows, the one who writes the log.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, insort
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import lmdb

from eventstore.errors import StoreClosedError, StoreFullError
from eventstore.files import sync_folder
from eventstore.lmdb_errors import commit_error, open_error, read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

FOLDER_NAME: Final = "notebook"
FIRST_SIZE: Final = 16 << 20
LONGEST_KEY: Final = 511
"""Bytes of a key."""


class Notes(Protocol):
    """Pages of a notebook, within one transaction; keys are ordered as bytes are."""

    def get(self, key: bytes) -> bytes | None:
        """Return what is noted under a key."""

    def put(self, key: bytes, value: bytes) -> None:
        """Note something."""

    def delete(self, key: bytes) -> None:
        """Strike something out, if it is there."""

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is noted under the keys that begin with a prefix, in their order."""


class Notebook(Protocol):
    """Notes that outlive the process: all of one change, durable when it returns, or nothing."""

    def read(self, look: Callable[[Notes], T]) -> T:
        """Return what `look` finds: all of one moment."""

    def write(self, change: Callable[[Notes], T]) -> T:
        """Let `change` make notes, which may be called twice; if it raises, nothing has changed."""

    def close(self) -> None:
        """Give the files back; a second call does nothing."""


class LmdbNotebook:
    """A notebook in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, made if need be. `StoreError`."""
        self._folder = folder
        self._lock = threading.RLock()
        """Held while notes are made, and while the map grows, when nobody may read."""
        self._is_closed = False
        self._size = FIRST_SIZE
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._environment: Any = self._opened()
            for each in (folder, folder.parent):
                sync_folder(each)  # the engine does not: with the names of its files, all notes would be gone
        except OSError as error:
            raise StoreFullError(f"the notebook {folder} cannot be made: {error.strerror}") from error

    def read(self, look: Callable[[Notes], T]) -> T:
        with self._lock, self._begun() as transaction:
            try:
                return look(_LmdbNotes(transaction))
            except lmdb.Error as error:
                raise read_error(error) from error

    def write(self, change: Callable[[Notes], T]) -> T:
        with self._lock:
            while True:
                try:
                    with self._begun(write=True) as transaction:
                        return change(_LmdbNotes(transaction))
                except lmdb.MapFullError:
                    self._size *= 2
                    self._environment.set_mapsize(self._size)
                except lmdb.Error as error:
                    self._shut()  # after a failed commit it may refuse everything, or take for durable what is not
                    raise commit_error(error, self._folder) from error

    def _begun(self, *, write: bool = False) -> Any:
        if self._is_closed:
            raise StoreClosedError("this notebook is closed")
        if self._environment is None:
            self._environment = self._opened()
        return self._environment.begin(write=write)

    def _opened(self) -> Any:
        try:
            environment = lmdb.open(
                os.fsencode(self._folder), map_size=self._size, mode=0o600, lib_version=0, max_readers=1024
            )
        except lmdb.Error as error:
            raise open_error(error) from error
        self._size = max(self._size, environment.info()["map_size"])
        return environment

    def _shut(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._shut()


class _LmdbNotes:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._transaction.get(key)
        return found

    def put(self, key: bytes, value: bytes) -> None:
        self._transaction.put(key, value)

    def delete(self, key: bytes) -> None:
        self._transaction.delete(key)

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._transaction.cursor() as cursor:
            found = cursor.set_range(prefix)
            while found and cursor.key().startswith(prefix):
                yield cursor.item()
                found = cursor.next()


class MemoryNotebook:
    """A notebook of a store in memory."""

    def __init__(self) -> None:
        """Begin with an empty one."""
        self._lock = threading.RLock()
        self._notes: dict[bytes, bytes] = {}

    def read(self, look: Callable[[Notes], T]) -> T:
        with self._lock:
            return look(_MemoryNotes(self._notes))

    def write(self, change: Callable[[Notes], T]) -> T:
        with self._lock:
            notes = dict(self._notes)
            result = change(_MemoryNotes(notes))
            self._notes = notes
            return result

    def close(self) -> None:
        """Nothing is to be given back."""


class _MemoryNotes:
    def __init__(self, notes: dict[bytes, bytes]) -> None:
        self._notes = notes
        self._keys = sorted(notes)

    def get(self, key: bytes) -> bytes | None:
        return self._notes.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self._notes:
            insort(self._keys, key)
        self._notes[key] = value

    def delete(self, key: bytes) -> None:
        if self._notes.pop(key, None) is not None:
            self._keys.remove(key)

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys[bisect_left(self._keys, prefix) :]:
            if not key.startswith(prefix):
                return
            yield key, self._notes[key]
