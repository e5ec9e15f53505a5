"""The log on disk: frames in LMDB, one synced transaction each, with an index by entity."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal, Self, TypeVar

import lmdb
import msgspec

from eventstore.archive import copy_archive
from eventstore.entity_index import (
    SEGMENT_RECORDS,
    Change,
    EntityIndex,
    MissingRowError,
    Segment,
    put_rows,
    read_rows,
)
from eventstore.errors import (
    CapReachedError,
    CompactedError,
    ConflictError,
    CorruptStoreError,
    ForkedError,
    ReopenNeededError,
    StoreAccessError,
    StoreClosedError,
    StoreError,
    StoreLostError,
)
from eventstore.frame_cache import FrameCache
from eventstore.frame_table import NoFrameError, count_commits, put_frame, read_batch, read_frame, read_head
from eventstore.framing import decode_frame, encode_frame
from eventstore.gate import Doors
from eventstore.high_water import HighWaterMark
from eventstore.last_commit import note_down, waiting
from eventstore.lmdb_errors import commit_error, open_error, read_error
from eventstore.log import check_head, check_snapshot
from eventstore.opening import DATA_NAME, ENGINE_LOCK_NAME, MARKER_NAME, Folder
from eventstore.records import EMPTY, Frame, Head, Record, Stored
from eventstore.retention import Compaction, Horizon, Ledger, Remnant, check_plan, decode_remnant, is_remnant
from eventstore.shedding import Shedder, put_base, put_ledger, read_base_of_horizon, read_index, read_ledger
from eventstore.snapshots import FOLDER_NAME, Snapshot, SnapshotFolder

DEFAULT_MAP_SIZE: Final = 64 * 1024**3
"""Bytes of address space, not of disk: the file is as long as what was written."""

DEFAULT_MAX_MAP_SIZE: Final = 1024**4

_LOOK_EVERY_S: Final = 0.5
_LOG: Final = logging.getLogger("logistics.store")

T = TypeVar("T")


class LmdbLog:
    """A `Log` in a folder of its own, written by one process."""

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
        self._snapshots = SnapshotFolder(folder.path / FOLDER_NAME)
        self._mark = HighWaterMark(folder.path)
        self._warned = False
        self._refusal: type[StoreError] | None = None
        self._connect()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        map_size: int = DEFAULT_MAP_SIZE,
        max_map_size: int = DEFAULT_MAX_MAP_SIZE,
        segment_records: int = SEGMENT_RECORDS,
        read_only: bool = False,
    ) -> Self:
        """Open a store, or create it where nothing is yet.

        Args:
            path: the store's folder; its parent must exist.
            map_size: bytes of address space to begin with; doubled as needed.
            max_map_size: the size at which `CapReachedError` is raised instead.
            segment_records: records that the index by entity keeps in memory before it writes them.
            read_only: look at a store that may be in use; never creates or owns it.

        Any `StoreError` but those of writing; `StoreInUseError` names the owner.

        """
        folder = Folder(path, read_only=read_only)
        try:
            return cls(folder, map_size=map_size, max_map_size=max_map_size, segment_records=segment_records)
        except BaseException:
            folder.close()
            raise

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

    @property
    def head(self) -> Head:
        """The end of the log; a handle that only reads looks it up whenever somebody has committed."""
        if self._folder.read_only:
            self._look_at_end()
        self._check_usable()
        return self._head

    @property
    def horizon(self) -> Horizon:
        """Up to where the log was compacted; a handle that only reads looks it up each time."""
        _ = self.head
        return self._ledger.horizon

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of the states that are kept as of the horizon."""
        return self._ledger.bases

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        self._check_process()
        with self._writing:
            self._check_writable()
            check_head(self._head, expected=expected, epoch=epoch)
            frame, value = encode_frame(records, head=self._head, epoch=epoch, recorded_us=recorded_us)
            self._write_missing_segments()
            while not self._has_written(frame, value):
                self._grow()
            self._check_files()
            if len(frame.records) > 1:
                # A lone record is decoded as fast as it is found here.
                self._cache.add(frame, len(value))
            return self._head

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        return self._frames(after=max(after, 0), end=self._end(upto))

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        end = self._end(upto)

        def look(index: EntityIndex) -> list[Stored]:
            return [self._stored(position, entity) for position in index.all_of(entity, end=end)]

        return self._looked_up(look)

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        end = self._end(upto)

        def look(index: EntityIndex) -> Stored | None:
            position = index.first(entity)
            return self._stored(position, entity) if 0 < position <= end else None

        return self._looked_up(look)

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        end = self._end(upto)

        def look(index: EntityIndex) -> Stored | None:
            position = index.last(entity, end=end)
            return self._stored(position, entity) if position else None

        return self._looked_up(look)

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        end = self._end(upto)
        while True:
            index = self._entities
            version = index.version
            try:
                for entity, position in self._index().entities(prefix, before=before):
                    self._check_usable()
                    before = entity
                    if position <= end:
                        yield entity
            except (MissingRowError, CompactedError):
                if not self._has_changed(index, version):
                    raise
            else:
                return

    def at(self, position: int) -> Stored | None:
        if not 1 <= position <= self.head.position:
            return None
        try:
            stored = self._frame_of(position).stored(position)
        except CompactedError as error:
            raise self._compacted(position) from error
        if position <= self._ledger.horizon.head.position:  # perhaps only not yet taken out
            entity = stored.record.entity
            if position not in self._looked_up(lambda index: index.all_of(entity, end=position)):
                raise self._compacted(position)
        return stored

    def kept(self) -> Iterator[Stored]:
        horizon = self.horizon.head.position
        for position in self._looked_up(lambda index: index.positions(upto=horizon)):
            yield self._frame_of(position).stored(position)

    def compact(self, plan: Compaction) -> None:
        self._check_process()
        with self._tidying, self._writing:
            self._check_writable()
            check_plan(plan, self._head, self._ledger.horizon)
            position = plan.horizon.head.position
            if self._whole_frame(position).head != plan.horizon.head:
                raise ValueError(f"the horizon at {position} is not a head that this log had")
            self._check_files()
            change = self._index().forgetting(plan.kept, position)
            shed = self._ledger.shed
            self._replace(change, Ledger(plan.horizon, tuple(plan.bases), shed), plan.bases)
            self._cache = FrameCache()

    def tidy(self) -> bool:
        self._check_process()
        self._check_writable()
        with self._tidying:
            return (not self._index().is_merging and self._shed()) or self._merge()

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

    def save_snapshot(self, name: str, position: int, data: bytes) -> None:
        self._check_process()
        self._check_writable()
        head = self._head
        check_snapshot(position, head)
        self._snapshots.save(name, Snapshot(position, head, data))

    def load_snapshots(self, name: str, *, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        for snapshot in self._snapshots.load(name, upto=upto):
            if snapshot.position >= self.horizon.head.position and self._had(snapshot.head):
                yield snapshot.position, snapshot.data
        position, state = self._view(read_base_of_horizon, "about", name=name)
        if state is not None and (upto is None or upto >= position):
            yield position, state

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

    def copy_to(self, folder: Path) -> None:
        """Write a copy as of this moment into an empty folder, while others read and write.

        `StoreError` if it cannot be written.
        """
        self._check_process()
        with self._doors.own():
            self._check_usable()
            try:
                self._databases.environment.copy(str(folder))
            except lmdb.Error as error:
                raise open_error(error) from error
        shutil.copyfile(self._folder.path / MARKER_NAME, folder / MARKER_NAME)
        copy_archive(self._folder.path, folder)
        self._give_what_waits(folder)

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

    def _give_what_waits(self, copy: Path) -> None:
        """Take the last commit into a copy, if a power failure left it outside of the log, and no owner came since."""
        if self._folder.read_only:
            left = waiting(self._folder.path / DATA_NAME, self.head)
            if left:
                note_down(left, copy / DATA_NAME)
                LmdbLog.open(copy).close()

    # --- the engine --------------------------------------------------------------------------------

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
        self._shedder: Shedder | None = None

    def _check_mark(self, transaction: Any) -> None:
        """See that the log holds what it held before."""

        def head_at(position: int) -> Head:
            first, value = read_frame(transaction, self._databases.frames, position=position)
            return decode_frame(first, value).clipped(after=0, upto=position).head

        since = self._ledger.horizon.head.position
        self._mark.check(self._databases.store_id, self._head, head_at, since=since)

    def _has_written(self, frame: Frame, value: bytes) -> bool:
        """Commit a frame; False, with nothing written, if the map is too small for it."""
        head, due = frame.head, self._index().due()

        def write(transaction: Any) -> None:
            put_frame(transaction, self._databases.frames, first=frame.first, value=value)
            if due is not None:
                put_rows(transaction, self._databases.index, due.rows)

        if not self._has_committed(write, is_found_again=self._wrote):
            return False
        if due is not None:
            self._entities.take(due)
        self._entities.add(frame)
        self._head = head
        self._wrote = True
        return True

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
                raise commit_error(error) from error
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
        with self._doors.alone():
            self._databases.environment.set_mapsize(size)
        self._map_size = size

    # --- forgetting --------------------------------------------------------------------------------

    def _replace(self, change: Change, ledger: Ledger, bases: Mapping[str, bytes]) -> None:
        """Put other segments into the place of some, and the ledger that says so."""
        retired = dict.fromkeys((*self._ledger.retired, *change.replaced))
        for segment in change.segments:
            retired.pop(segment.number, None)
        ledger = msgspec.structs.replace(ledger, retired=tuple(retired))
        about = self._databases.about

        def write(transaction: Any) -> None:
            put_rows(transaction, self._databases.index, change.rows)
            put_ledger(transaction, about, ledger)
            for name, state in bases.items():
                put_base(transaction, about, name, state)

        while not self._has_committed(write):
            self._grow()
        self._ledger = ledger
        self._entities.take(change)

    def _merge(self) -> bool:
        """Go on making one of several segments of the index, if there are many; whether that was so."""
        change = self._index().merge()
        if change is not None:
            with self._writing:
                self._check_writable()
                self._replace(change, self._ledger, {})
        return change is not None

    def _shed(self) -> bool:
        """Take out a little of what was forgotten; whether there was something."""
        ledger = self._ledger
        horizon = ledger.horizon.head.position
        if ledger.shed == horizon and not ledger.retired:
            return False
        if self._shedder is None or self._shedder.ledger is not ledger:
            self._shedder = Shedder(ledger, self._index().positions(upto=horizon))
        shedder = self._shedder
        found = self._view(shedder.look, "frames", index=self._databases.index)
        with self._writing:
            self._check_writable()
            if self._ledger is ledger:
                self._write_shed(shedder if found else None)
        return True

    def _write_shed(self, shedder: Shedder | None) -> None:
        """Take out what was found; None: all is out, and the ledger says so from now on."""
        frames, index, about = self._databases.frames, self._databases.index, self._databases.about
        ledger = msgspec.structs.replace(self._ledger, shed=self._ledger.horizon.head.position, retired=())
        done = 0

        def write(transaction: Any) -> None:
            nonlocal done
            if shedder is None:
                put_ledger(transaction, about, ledger)
            else:
                done = shedder.write(transaction, frames, index)

        while not self._has_committed(write):
            self._grow()
        if shedder is None:
            self._ledger = ledger
        else:
            shedder.taken(done)

    def _compacted(self, position: int) -> CompactedError:
        return _compacted(position, self._ledger.horizon)

    # --- checks ------------------------------------------------------------------------------------

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

    # --- reading -----------------------------------------------------------------------------------

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
                with self._doors.alone():
                    self._databases.environment.set_mapsize(0)
            except lmdb.Error as error:
                raise read_error(error) from error

    def _look_at_end(self) -> None:
        """Read the head if somebody has committed since it was read, and the index if the log was compacted."""
        commits = self._view(count_commits, "frames")
        if commits != self._commits:
            self._head = self._view(read_head, "frames", horizon=self._ledger.horizon.head)
            if self._view(read_ledger, "about").horizon != self._ledger.horizon:
                with self._indexing:
                    self._entities = self._read_index()
                    self._cache = FrameCache()
            self._commits = commits  # last: another thread does not think that all of it is known already

    def _frames(self, *, after: int, end: int) -> Iterator[Frame]:
        """Yield what is behind a position, without a look at where the log ends now."""
        if after >= end:
            return
        horizon = self._ledger.horizon
        if after < horizon.head.position:
            raise self._compacted(after + 1)
        first = after + 1
        try:
            first = self._whole_frame(first).first
            previous = self._head_at(first - 1).link
            while first <= end:
                for position, value in self._view(read_batch, "frames", first=first, end=end):
                    self._check_usable()
                    frame = _following(first, previous, position, value)
                    first, previous = frame.last + 1, frame.link
                    yield frame.clipped(after=after, upto=end)
        except CorruptStoreError as error:
            now = self._horizon_now()
            if now == horizon or first > now.head.position + 1:
                raise
            raise _compacted(first, now) from error  # since it began

    def _index(self) -> EntityIndex:
        """Return the index, once it knows the log up to the head: as it does but after opening."""
        index = self._entities
        if index.end < self._head.position:
            with self._indexing:
                index = self._entities
                if self._folder.read_only and self._head.position - index.end > self._segment_records:
                    index = self._entities = self._read_index()
                for frame in self._frames(after=index.end, end=self._head.position):
                    index.add(frame)
        return index

    def _write_missing_segments(self) -> None:
        """Index a long stretch that no segment covers: a log that an older format kept."""
        index = self._entities
        if self._head.position - index.end < self._segment_records:
            return
        with self._indexing:
            for frame in self._frames(after=index.end, end=self._head.position):
                index.add(frame)
                due = index.due()
                if due is not None:
                    write = partial(put_rows, table=self._databases.index, rows=due.rows)
                    while not self._has_committed(write):
                        self._grow()
                    index.take(due)

    def _looked_up(self, look: Callable[[EntityIndex], T]) -> T:
        """Look into the index, again if it was changed meanwhile, and rows of it or frames are gone."""
        while True:
            index = self._entities
            version = index.version
            try:
                return look(self._index())
            except (MissingRowError, CompactedError):
                if not self._has_changed(index, version):
                    raise

    def _has_changed(self, index: EntityIndex, version: object) -> bool:
        """Whether the index has other segments than it had; a handle that only reads looks them up."""
        if self._folder.read_only:
            with self._indexing:
                if self._entities is index:
                    self._entities = self._read_index()
        return self._entities.version != version

    def _read_index(self) -> EntityIndex:
        """Return the index as it is on disk now."""
        self._ledger, segments = self._view(read_index, "index", about=self._databases.about)
        return self._new_index(segments)

    def _new_index(self, segments: tuple[Segment, ...]) -> EntityIndex:
        return EntityIndex(
            segments, self._read_rows, segment_records=self._segment_records, used=self._ledger.retired
        )

    def _read_rows(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._view(read_rows, "index", keys=keys)

    def _end(self, upto: int | None) -> int:
        end = self.head.position
        return end if upto is None else min(upto, end)

    def _stored(self, position: int, entity: str) -> Stored:
        stored = self._frame_of(position).stored(position)
        if stored.record.entity != entity:
            raise CorruptStoreError(
                f"the index of {entity!r} leads to {stored.record.entity!r} at {position}"
            )
        return stored

    def _frame_of(self, position: int) -> Frame | Remnant:
        return self._cache.get(position, self._load)

    def _whole_frame(self, position: int) -> Frame:
        """Return the frame behind the horizon that holds a position."""
        frame = self._frame_of(position)
        if isinstance(frame, Remnant):
            raise CorruptStoreError(
                f"the frame at position {position} is not whole, though nothing was taken out"
            )
        return frame

    def _had(self, head: Head) -> bool:
        """Whether this was the end of the log once; one that was put back, and went on differently, lacks it."""
        try:
            return head == EMPTY or (
                head.position <= self._head.position and self._head_at(head.position) == head
            )
        except CompactedError:
            return False

    def _head_at(self, position: int) -> Head:
        """Return the head that the log had at the horizon, or at a frame's end behind it."""
        horizon = self._ledger.horizon.head
        return horizon if position == horizon.position else self._whole_frame(position).head

    def _load(self, position: int) -> tuple[Frame | Remnant, int]:
        try:
            first, value = self._view(read_frame, "frames", position=position)
        except NoFrameError as error:
            raise self._missing(position) from error
        frame = decode_remnant(first, value) if is_remnant(value) else decode_frame(first, value)
        if not frame.first <= position <= frame.last:
            raise self._missing(position)
        return frame, len(value)

    def _horizon_now(self) -> Horizon:
        """Return the horizon on disk: a handle that only reads may not have heard of it."""
        return self._view(read_ledger, "about").horizon

    def _missing(self, position: int) -> StoreError:
        """Return what it means that no frame holds a position."""
        horizon = self._horizon_now()
        if position <= horizon.head.position:
            return _compacted(position, horizon)
        return NoFrameError(f"no frame holds position {position}")


def _compacted(position: int, horizon: Horizon) -> CompactedError:
    return CompactedError(position, horizon.head.position, horizon.archive)


def _following(first: int, previous: bytes, position: int, value: bytes) -> Frame:
    """Return the frame stored under a position, if it is the one that follows. `CorruptStoreError`."""
    frame = decode_frame(position, value)
    if position != first or frame.previous != previous:
        raise CorruptStoreError(f"the chain is broken at position {first}")
    return frame
