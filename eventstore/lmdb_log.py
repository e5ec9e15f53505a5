"""The log on disk: frames in LMDB, one synced transaction each, with an index by entity."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import lmdb

from eventstore.archive import copy_archive
from eventstore.entity_index import SEGMENT_RECORDS, put_rows
from eventstore.frame_table import put_frame
from eventstore.framing import encode_frame
from eventstore.last_commit import note_down, waiting
from eventstore.lmdb_errors import open_error
from eventstore.lmdb_forgetting import LmdbForgetting
from eventstore.log import check_head, check_snapshot
from eventstore.opening import DATA_NAME, MARKER_NAME, Folder
from eventstore.records import Frame, Head, Record
from eventstore.shedding import read_base_of_horizon
from eventstore.snapshots import FOLDER_NAME, Snapshot, SnapshotFolder

DEFAULT_MAP_SIZE: Final = 64 * 1024**3
"""Bytes of address space, not of disk: the file is as long as what was written."""

DEFAULT_MAX_MAP_SIZE: Final = 1024**4


class LmdbLog(LmdbForgetting):
    """A `Log` in a folder of its own, written by one process."""

    def __init__(self, folder: Folder, **sizes: int) -> None:
        super().__init__(folder, **sizes)
        self._snapshots = SnapshotFolder(folder.path / FOLDER_NAME)

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

    def copy_to(self, folder: Path) -> None:
        """Write a copy as of this moment into an empty folder, while others read and write.

        `StoreError` if it cannot be written.
        """
        self._check_process()
        with self._doors.own():
            self._check_usable()
            try:
                self._databases.environment.copy(os.fsencode(folder))
            except lmdb.Error as error:
                raise open_error(error) from error
        shutil.copyfile(self._folder.path / MARKER_NAME, folder / MARKER_NAME)
        copy_archive(self._folder.path, folder)
        self._give_what_waits(folder)

    def _give_what_waits(self, copy: Path) -> None:
        """Take the last commit into a copy, if a power failure left it outside of the log, and no owner came since."""
        if self._folder.read_only:
            left = waiting(self._folder.path / DATA_NAME, self.head)
            if left:
                note_down(left, copy / DATA_NAME)
                LmdbLog.open(copy).close()

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
                    self._write(partial(put_rows, table=self._databases.index, rows=due.rows))
                    index.take(due)
