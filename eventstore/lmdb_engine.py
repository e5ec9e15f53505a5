"""LMDB, running in a store's folder: every read and every commit of the log goes through here."""

from __future__ import annotations

import logging
import mmap
import os
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final, Literal, Self, TypeVar

import lmdb

from eventstore.entity_index import EntityIndex, Segment, read_rows
from eventstore.errors import (
    CapReachedError,
    ConflictError,
    ForkedError,
    ReopenNeededError,
    StoreAccessError,
    StoreClosedError,
    StoreError,
    StoreLostError,
)
from eventstore.frame_cache import FrameCache
from eventstore.frame_table import read_frame, read_head
from eventstore.framing import decode_frame
from eventstore.gate import Doors
from eventstore.high_water import HighWaterMark
from eventstore.lmdb_errors import commit_error, read_error
from eventstore.opening import DATA_NAME, ENGINE_LOCK_NAME, Folder
from eventstore.records import Head
from eventstore.retention import Ledger
from eventstore.shedding import read_index

_LOOK_EVERY_S: Final = 0.5
_LOG: Final = logging.getLogger("logistics.store")

T = TypeVar("T")


class LmdbEngine:
    """LMDB in a folder, what the log has last seen in it, and who may use it now."""

    _commits: int
    _ledger: Ledger

    def __init__(self, folder: Folder, *, map_size: int, max_map_size: int, segment_records: int) -> None:
        """Start the engine in a folder; `open` is the way in."""
        self._folder = folder
        self._map_size = map_size
        self._max_map_size = max_map_size
        self._segment_records = segment_records
        self._pid = os.getpid()
        self._doors = Doors()
        self._writing = Lock()
        self._indexing = Lock()
        self._tidying = Lock()
        self._paths = [str(folder.path / name) for name in (DATA_NAME, ENGINE_LOCK_NAME)]
        self._mark = HighWaterMark(folder.path)
        self._warned = False
        self._refusal: type[StoreError] | None = None
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The store's folder."""
        return str(self._folder.path)

    @property
    def store_id(self) -> str:
        return self._databases.store_id

    def reopen(self) -> Head:
        self._check_process()
        with self._tidying, self._writing:
            if self._refusal is not StoreClosedError:
                self._refusal = ReopenNeededError
                with self._doors.alone():
                    self._databases.environment.close()
                    self._connect()
                    self._refusal = None
            self._check_usable()
            return self._head

    def tend(self) -> None:
        """Note how far the log has come; give back the slots of readers that died."""
        try:
            if self._wrote:
                self._mark.note(self.store_id, self._head)
            with self._doors.own():
                if self._refusal is None:
                    self._databases.environment.reader_check()
        except (OSError, lmdb.Error):
            if not self._warned:
                _LOG.warning("%s cannot be tended; work goes on", self.path, exc_info=True)
            self._warned = True
        else:
            self._warned = False

    def close(self) -> None:
        if os.getpid() != self._pid:
            return
        with self._writing:
            if self._refusal is None:
                self.tend()
                self._folder.flush(self._databases)
            elif self._refusal is not StoreClosedError:
                self._folder.is_flushed = False  # what became of a commit is not known
            self._refusal = StoreClosedError  # done again from here if it was interrupted
            with self._doors.alone():
                self._databases.environment.close()
            self._folder.close()

    # --- running ------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Start the engine and read the head from disk; what was known before is forgotten."""
        self._databases = self._folder.connect(map_size=self._map_size)
        environment = self._databases.environment
        try:
            self._map_size = environment.info()["map_size"]
            environment.reader_check()
            with environment.begin(buffers=True) as transaction:
                self._commits = transaction.id()
                self._ledger, segments = read_index(
                    transaction, self._databases.index, about=self._databases.about
                )
                horizon = self._ledger.horizon.head
                self._head = read_head(transaction, self._databases.frames, horizon=horizon)
                self._wrote = False  # what was read may still be lost, until an append succeeds on top
                if not self._folder.read_only:
                    self._check_mark(transaction)
            self._files = self._stat_files()
            self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        except lmdb.Error as error:
            environment.close()
            raise read_error(error) from error
        except BaseException:
            environment.close()
            raise
        self._cache = FrameCache()
        self._entities = self._new_index(segments)

    def _check_mark(self, transaction: Any) -> None:
        """See that the log holds what it held before."""

        def head_at(position: int) -> Head:
            first, value = read_frame(transaction, self._databases.frames, position=position)
            return decode_frame(first, value).clipped(after=0, upto=position).head

        since = self._ledger.horizon.head.position
        self._mark.check(self._databases.store_id, self._head, head_at, since=since)

    def _new_index(self, segments: tuple[Segment, ...]) -> EntityIndex:
        return EntityIndex(
            segments, self._read_rows, segment_records=self._segment_records, used=self._ledger.retired
        )

    def _read_rows(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._view(read_rows, "index", keys=keys)

    # --- writing ------------------------------------------------------------------------------------

    def _write(self, write: Callable[[Any], object]) -> None:
        """Write in one synced transaction, with as large a map as that needs."""
        while not self._has_committed(write):
            self._grow()

    def _has_committed(self, write: Callable[[Any], object], *, is_found_again: bool = False) -> bool:
        """Write in one synced transaction; False, with nothing written, if the map is too small for it.

        A frame on top of one that is on the disk `is_found_again` without the meta page, and flushed once; anything
        else twice.
        """
        try:
            transaction = self._databases.environment.begin(write=True)
            try:
                self._check_alone(transaction)
                write(transaction)
                self._commit(transaction)
                if not is_found_again:
                    self._databases.environment.sync(force=True)
            except BaseException:
                transaction.abort()
                raise
            self._commits += 1
        except lmdb.MapFullError:
            return False
        except ConflictError:
            raise
        except BaseException as error:
            self._refusal = ReopenNeededError
            if isinstance(error, Exception):
                raise commit_error(error, self.path) from error
            raise
        return True

    def _commit(self, transaction: Any) -> None:
        """Make a transaction durable; a place of its own, for tests to let it fail."""
        transaction.commit()

    def _grow(self) -> None:
        """Double the map, with no transaction open in this process."""
        size = min(2 * self._map_size, self._max_map_size)
        if size <= self._map_size:
            raise CapReachedError(f"the store has reached its largest size, {self._max_map_size} bytes")
        if not _has_room(size):  # asked before: a map that fails to grow is gone
            text = f"this process may not map {size} bytes of the store: its address space is limited"
            raise CapReachedError(text, remedy="Raise that limit (`ulimit -v`), and start anew.")
        with self._doors.alone():
            self._databases.environment.set_mapsize(size)
        self._map_size = size

    # --- reading ------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Map what another process has let the file grow by: twice as much, or only what there is for lack of room."""
        with self._doors.alone():
            self._check_usable()
            environment = self._databases.environment
            size = 2 * max(environment.info()["map_size"], os.stat(self._paths[0]).st_size)  # noqa: PTH116
            if _has_room(size):
                environment.set_mapsize(size)
            else:
                environment.close()
                self._connect()

    def _view(self, look: Callable[..., T], table: Literal["frames", "index", "about"], **what: Any) -> T:
        """Let a function look at a table in a short read transaction: the way of every read."""
        self._check_process()
        while True:
            try:
                with self._doors.own():
                    self._check_usable()
                    with self._databases.environment.begin(buffers=True) as transaction:
                        return look(transaction, getattr(self._databases, table), **what)
            except lmdb.MapResizedError:
                self._follow()
            except lmdb.Error as error:
                raise read_error(error) from error

    # --- checks -------------------------------------------------------------------------------------

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedError(f"{self.path} was opened by process {self._pid}, not by this one")

    def _check_usable(self) -> None:
        if self._refusal is not None:
            state = "closed" if self._refusal is StoreClosedError else "to be reopened first"
            raise self._refusal(f"the log in {self.path} is {state}")

    def _check_writable(self) -> None:
        self._check_usable()
        if self._folder.read_only:
            raise StoreAccessError(f"{self.path} was opened to be read only", remedy="Open it for writing.")

    def _check_alone(self, transaction: Any) -> None:
        """The owner's lock forbids others to write; but who deletes files breaks locks."""
        if transaction.id() != self._commits + 1:
            raise ConflictError(f"somebody else wrote to {self.path}; it has to be reopened")

    def _check_files(self) -> None:
        """Look whether the files still have their names: else what was written went into the void.

        Whether they are the same files is looked up now and then only: commits took a fifth longer with a look after
        each. Perhaps since the next write has to change times that somebody has seen; that was not proven.
        """
        now_s = time.monotonic()
        if now_s < self._next_look_s and os.access(self._paths[0], os.F_OK):
            return
        self._next_look_s = now_s + _LOOK_EVERY_S
        try:
            same = self._stat_files() == self._files
        except OSError:
            same = False
        if not same:
            self._refusal = ReopenNeededError
            raise StoreLostError(f"files of {self.path} were deleted or replaced while it was open")

    def _stat_files(self) -> list[tuple[int, int]]:
        stats = [os.stat(path) for path in self._paths]  # noqa: PTH116 - they are texts, for `access`
        return [(found.st_dev, found.st_ino) for found in stats]


def _has_room(size: int) -> bool:
    """Whether so many bytes can be mapped beside what is mapped already."""
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ).close()
    except OSError:
        return False
    return True
