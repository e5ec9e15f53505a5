"""The way into a store's folder, in an order that loses nothing and lets nothing crash.

1. The platform can keep the promises, and the path is, or may become, a store.
2. The owner's lock: one process writes, and in it one handle.
3. The marker `STORE`, written last when a store is created: what it promises and is gone was lost.
4. The meta pages and the size of the file, before the engine maps it; all pages, in a child process,
   if the machine went down under the last owner, it died before it wrote, or the meta pages look odd.
5. The engine, without a writable map; the last commit, if its meta page was lost with the power (`last_commit.py`);
   then the owner is written down.
6. The log ends no earlier than it did before, and holds what it held (`high_water.py`).
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb
import msgspec
from msgspec.structs import replace

from eventstore.data_file import last_transaction, look_at, verify
from eventstore.decoding import json_decoder
from eventstore.errors import (
    CorruptStoreError,
    NotAStoreError,
    StoreAccessError,
    StoreEmptyError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreLostError,
    UnsupportedPlatformError,
)
from eventstore.file_system import remote_file_system
from eventstore.files import fill_standard_descriptors, make_folders, sync_folder, write_file
from eventstore.last_commit import take_back
from eventstore.lmdb_errors import is_open_already, open_error
from eventstore.owner import INFO_NAME, LOCK_NAME, Owner

FORMAT: Final = 3
"""The layout of folder and databases; a frame has a format of its own.

Format 1 had another index; format 2 could not forget, and its segments were numbered without a gap.
"""
READABLE: Final = 2
"""The oldest format that is read as it is."""

MARKER_NAME: Final = "STORE"
DATA_NAME: Final = "data.mdb"
ENGINE_LOCK_NAME: Final = "lock.mdb"

FRAMES: Final = b"frames"
INDEX: Final = b"segments"
ABOUT: Final = b"about"
_OLD_INDEX: Final = b"index"
_STORE_ID: Final = b"store_id"

# What can be in a folder whose creation was cut short.
_UNMARKED: Final = frozenset(
    {LOCK_NAME, INFO_NAME, f"{INFO_NAME}.new", f"{MARKER_NAME}.new", DATA_NAME, ENGINE_LOCK_NAME}
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOO_MANY: Final = frozenset({errno.EMFILE, errno.ENFILE})
_NO_PATH: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
)
_LESS: Final = 1024
"""By how much less is mapped where a limit leaves no room: 64 MiB of the usual 64 GiB."""
_LEAST_MAP: Final = 1 << 20

TO_READ: Final = "Name the folder of a store, here or in $LOGISTICS_HOME."
"""What to do about a path that no store is at."""
_LOG: Final = logging.getLogger("logistics.store")


class Databases(NamedTuple):
    """The engine, running, with its databases."""

    environment: Any
    frames: Any
    """First position (8 bytes, big-endian) to the bytes of a frame."""
    index: Any
    """Number of a segment and of a block in it (4 bytes each, big-endian) to the bytes of the block."""
    about: Any
    """What the store says of itself: its id, and what it has forgotten."""
    store_id: str


class Marker(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the file `STORE` says."""

    store_id: str
    format: int
    created: str
    """ISO 8601, UTC."""
    part: str = ""
    """Of which log it holds only a part, to be looked into; empty for what can be worked with."""


_DECODE: Final = json_decoder(Marker)


class Folder:
    """A store's folder, owned by this handle unless it only reads."""

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool) -> None:
        """Make sure that the path is a store or may become one, and take the owner's lock.

        `NotAStoreError`, `StoreAccessError`, `StoreInUseError`, `UnsupportedPlatformError`.
        """
        check_platform()
        self.read_only = read_only
        self._owner: Owner | None = None
        self._store_id = ""
        """Which store was here; empty until that is known."""
        self._is_settled = False
        """Whether it was looked for what the owner before has left behind."""
        self.is_flushed = True
        """Whether what is in the file is on the disk, too, for all that is known: told to the owner after this one."""
        try:
            fill_standard_descriptors()
            self.path = _checked(Path(path), read_only=read_only)
            if not read_only:
                self._owner = Owner.acquire(self.path)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, StoreError):
                raise
            raise _path_error(path, error, remedy=TO_READ if read_only else "") from error

    def connect(self, *, map_size: int) -> Databases:
        """Check the data and start the engine on it, at first or again.

        `StoreEmptyError`, `StoreTruncatedError`, `StoreFormatError`, `CorruptStoreError`; `StoreLostError` if another
        store is there by now, or none.
        """
        try:
            marker = read_marker(self.path)
            if self._store_id and (marker is None or marker.store_id != self._store_id):
                raise StoreLostError(f"{self.path} is not the store any more that was opened there")
            if marker and marker.part and not self.read_only:
                text = f"{self.path} holds a part of a log only: {marker.part}"
                raise NotAStoreError(text, remedy="Look into it; work needs a whole store.")
            self._check_data(marker)
            databases = self._start_engine(marker, map_size)
        except OSError as error:
            raise _path_error(self.path, error) from error
        self._store_id = databases.store_id
        return databases

    def flush(self, databases: Databases) -> None:
        """Have all of the file on the disk; what could not be flushed before is not made up for."""
        if self._owner:
            self.is_flushed = has_flushed(databases.environment, self.path) and self.is_flushed

    def close(self) -> None:
        """Let others own the folder."""
        owner, self._owner = self._owner, None
        if owner:
            owner.release(cleanly=self.is_flushed)

    def _check_data(self, marker: Marker | None) -> None:
        data = self.path / DATA_NAME
        if not data.exists() or not data.stat().st_size:
            if marker:
                raise StoreEmptyError(f"{self.path} was a store, and its {DATA_NAME} is missing or empty")
            return
        # A second look, since another process may own the store and write just now.
        as_usual = look_at(data) or look_at(data)
        if not as_usual or (self._owner and self._owner.may_have_died_of(last_transaction(data))):
            _LOG.warning("verifying all pages of %s; this takes some seconds for each 100 MB", data)
            verify(data)

    def _settle(self, databases: Databases, owner: Owner) -> None:
        """Make what is in the file durable, and take back what the owner before has lost with the power."""
        last = databases.environment.info()["last_txnid"]
        may_lack, self._is_settled = owner.may_have_lost(last) and not self._is_settled, True
        self.is_flushed = has_flushed(databases.environment, self.path)
        try:
            take_back(databases, self.path / DATA_NAME, may_lack=may_lack)
        except lmdb.Error as error:
            raise open_error(error) from error

    def _start_engine(self, marker: Marker | None, map_size: int) -> Databases:
        environment = self._open_environment(map_size)
        try:
            databases = self._open_databases(environment, marker)
            if self._owner:
                self._settle(databases, self._owner)
                self._owner.announce(environment.info()["last_txnid"])
        except BaseException:
            environment.close()
            raise
        return databases

    def _open_environment(self, map_size: int) -> Any:
        """Map the file, with less where a limit (`ulimit -v`) leaves no room for that much; it grows as needed."""
        try:
            return lmdb.open(
                os.fsencode(self.path),  # as text it would have to be UTF-8
                map_size=map_size,
                max_dbs=8,
                max_readers=1024,
                mode=0o600,
                readonly=self.read_only,
                # A commit is flushed once: its frame would be found without the meta page (`last_commit.py`).
                metasync=False,
                create=not self.read_only,
                # Without it, an environment variable decides on the format of new files.
                lib_version=0,
            )
        except lmdb.Error as error:
            if isinstance(error, lmdb.MemoryError) and map_size > _LEAST_MAP:
                return self._open_environment(max(map_size // _LESS, _LEAST_MAP))
            if self._owner and is_open_already(error):
                self._owner.abandon()
                self._owner = None
            raise open_error(error) from error

    def _open_databases(self, environment: Any, marker: Marker | None) -> Databases:
        try:
            if marker is None:
                marker = self._create(environment)
            elif marker.format < FORMAT:
                marker = self._upgrade(environment, marker)
            about = environment.open_db(ABOUT, create=False)
            with environment.begin(db=about) as transaction:
                store_id = str(transaction.get(_STORE_ID, b""), "ascii", "replace")
            frames = environment.open_db(FRAMES, create=False)
            index = environment.open_db(INDEX, create=False)
        except lmdb.NotFoundError as error:
            raise CorruptStoreError(f"{self.path} lacks a database: {error}") from error
        except lmdb.Error as error:
            raise open_error(error) from error
        if store_id != marker.store_id:
            raise CorruptStoreError(
                f"{DATA_NAME} in {self.path} is of {store_id!r}, and {MARKER_NAME} says {marker.store_id!r}"
            )
        return Databases(environment, frames, index, about, store_id)

    def _create(self, environment: Any) -> Marker:
        """Make the databases, then the marker; go on where an earlier attempt was cut short."""
        with environment.begin() as transaction, transaction.cursor() as cursor:
            foreign = set(cursor.iternext(values=False)) - {FRAMES, INDEX, ABOUT}
        if foreign:
            raise NotAStoreError(f"{self.path} holds a database of something else")
        environment.open_db(FRAMES)
        environment.open_db(INDEX)
        about = environment.open_db(ABOUT)
        with environment.begin(write=True, db=about) as transaction:
            transaction.put(_STORE_ID, str(uuid.uuid4()).encode(), overwrite=False)
            store_id = str(transaction.get(_STORE_ID), "ascii")
        environment.sync(force=True)
        marker = Marker(store_id, FORMAT, datetime.now(UTC).isoformat(timespec="seconds"))
        write_file(self.path / MARKER_NAME, msgspec.json.encode(marker))
        return marker

    def _upgrade(self, environment: Any, marker: Marker) -> Marker:
        """Say that this version writes here, and let a new index take the place of that of format 1.

        That index is filled when the log is next written.
        """
        if self.read_only and marker.format >= READABLE:
            return marker
        if self.read_only:
            raise StoreFormatError(
                f"{self.path} has format {marker.format}, which is read only once it is upgraded",
                remedy="Open it once for writing: that upgrades it.",
            )
        _LOG.warning("upgrading %s from format %d to %d", self.path, marker.format, FORMAT)
        environment.open_db(INDEX)
        with environment.begin() as transaction:
            has_old = transaction.get(_OLD_INDEX) is not None
        if has_old:
            old = environment.open_db(_OLD_INDEX, create=False)
            with environment.begin(write=True) as transaction:
                transaction.drop(old, delete=True)
        environment.sync(force=True)
        marker = msgspec.structs.replace(marker, format=FORMAT)
        write_file(self.path / MARKER_NAME, msgspec.json.encode(marker))
        return marker


def has_flushed(environment: Any, path: str | os.PathLike[str]) -> bool:
    """Have all of an engine's file on the disk, the last meta page, too; whether that succeeded."""
    try:
        environment.sync(force=True)
    except lmdb.Error as error:
        _LOG.warning("the last commit may not be on the disk, in %s: %s", path, error)
        return False
    return True


def check_platform() -> None:
    """Refuse to run where the promises cannot be kept."""
    if sys.platform not in {"linux", "darwin"}:
        raise UnsupportedPlatformError(f"the store does not run on {sys.platform}")
    has_global_lock = getattr(sys, "_is_gil_enabled", lambda: True)
    if not has_global_lock():
        raise UnsupportedPlatformError("the store does not run without the global interpreter lock")


def _checked(path: Path, *, read_only: bool) -> Path:
    """Return the real path of a folder that is a store or, for a writer, may become one."""
    if path.is_symlink() and path.parent.stat().st_mode & stat.S_IWOTH:
        raise NotAStoreError(f"{path} is a symbolic link in a folder that everybody can write to")
    folder = path.resolve()
    if not read_only and not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)  # another process may be as fast
        sync_folder(folder.parent)
    names = set(os.listdir(folder))  # noqa: PTH208 - its errors are the ones translated below
    if MARKER_NAME not in names and (read_only or not names <= _UNMARKED):
        text = f"{folder} is not a store: it has no file {MARKER_NAME}"
        raise NotAStoreError(text, remedy=TO_READ if read_only else "")
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        _LOG.warning("%s can be written to by others; mode 0700 would be safe", folder)
    if remote := remote_file_system(folder):
        _LOG.warning("%s is on %s: a store needs a local disk, and may be damaged there", folder, remote)
    return folder


def read_marker(folder: Path) -> Marker | None:
    """Return what the marker says; None if there is none. `CorruptStoreError`, `StoreFormatError`."""
    try:
        marker = _DECODE((folder / MARKER_NAME).read_bytes())
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptStoreError(f"{folder / MARKER_NAME} cannot be read: {error}") from error
    if marker.format > FORMAT:
        raise StoreFormatError(f"{folder} has format {marker.format}; this version reads {FORMAT}")
    return marker


def mark_as_part(folder: Path, part: str) -> None:
    """Have a store that nobody uses say that it holds a part of a log: from now on it can only be read."""
    marker = read_marker(folder)
    if marker:
        write_file(folder / MARKER_NAME, msgspec.json.encode(replace(marker, part=part)))


def make_parents(path: Path) -> None:
    """Make the folders that the folder of a store is to be in, durably. What opening it raises."""
    try:
        make_folders(path.parent)
    except OSError as error:
        raise _path_error(path, error) from error


def _path_error(path: str | os.PathLike[str], error: Exception, *, remedy: str = "") -> StoreError:
    """Return what the operating system's refusal means, in one line."""
    text = f"{os.fspath(path)!r}: {getattr(error, 'strerror', None) or error}"
    if not isinstance(error, OSError):
        # A NUL in the name, or, before Python 3.13, a symbolic link to itself.
        return NotAStoreError(text)
    if error.errno in _FULL:
        return StoreFullError(text)
    if error.errno in _TOO_MANY:
        return StoreAccessError(text, remedy="Raise the limit of open files (`ulimit -n`), or close some.")
    if error.errno == errno.ENOENT and remedy:
        return NotAStoreError(f"there is no store at {os.fspath(path)}", remedy=remedy)
    return NotAStoreError(text, remedy=remedy) if error.errno in _NO_PATH else StoreAccessError(text)
