"""Snapshots as files: whole and of this log, or as if there were none (F42)."""

from __future__ import annotations

import os
import stat
from errno import ENOSPC
from pathlib import Path
from random import Random

import pytest

from eventstore.errors import StoreFullError
from eventstore.lmdb_log import LmdbLog
from eventstore.records import EMPTY, Head
from eventstore.snapshots import Snapshot, SnapshotFolder
from tests.eventstore.support import append, newest
from tests.support.scale import scaled

SNAPSHOT = Snapshot(7, Head(9, 2, b"\1" * 32, 5), b"some state")


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_snapshot_comes_back_whole(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    assert next(folder.load("queue"), None) is None
    folder.save("queue", SNAPSHOT)
    assert next(folder.load("queue"), None) == SNAPSHOT
    assert next(folder.load("clock"), None) is None
    assert stat.S_IMODE(the_file(tmp_path / "snapshots").stat().st_mode) == 0o600


def test_f42_a_damaged_snapshot_is_none(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    folder.save("queue", SNAPSHOT)
    file = the_file(tmp_path)
    good, random = file.read_bytes(), Random(42)
    for _ in range(scaled("flips", 200)):
        bit = random.randrange(len(good) * 8)
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        assert next(folder.load("queue"), None) is None
    for size in range(len(good)):
        file.write_bytes(good[:size])
        assert next(folder.load("queue"), None) is None
    file.write_bytes(good)
    assert next(folder.load("queue"), None) == SNAPSHOT


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    names = ["../x", "..", ".", "a/b", "a\0b", "ä", "x" * 200]
    for number, name in enumerate(names):
        folder.save(name, SNAPSHOT._replace(position=number))
    assert [next(folder.load(name), None) for name in names] == [
        SNAPSHOT._replace(position=n) for n in range(len(names))
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["snapshots"]
    for name in ("", "x" * 201):
        with pytest.raises(ValueError, match="name"):
            folder.save(name, SNAPSHOT)


def test_f22_a_snapshot_that_cannot_be_written_says_that_it_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFullError, match="'queue' cannot be written") as caught:
        SnapshotFolder(tmp_path / "file" / "snapshots").save("queue", SNAPSHOT)
    assert "start takes longer" in caught.value.remedy


def test_f42_a_snapshot_of_another_history_is_none(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        log.save_snapshot("early", 0, b"")
        append(log, "job:1")
        append(log, "job:2")
        head = log.head
        log.save_snapshot("queue", 1, b"state")
        snapshots = SnapshotFolder(tmp_path / "store" / "snapshots")
        others = {
            "future": head._replace(position=3),
            "fork": head._replace(link=b"\2" * 32),
            "middle": head._replace(position=1),
        }
        for name, other in others.items():
            snapshots.save(name, Snapshot(1, other, b"state"))
            assert newest(log, name) is None
        assert newest(log, "queue") == (1, b"state")
        assert newest(log, "early") == (0, b"")
        assert EMPTY.position == 0


def test_snapshots_of_a_log_that_was_put_back_leave_room_for_new_ones(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    for position in (70, 80, 90):
        folder.save("queue", Snapshot(position, Head(position, 2, b"\1" * 32, 5), b"lost"))
    for position in (20, 30, 40, 50):
        folder.save("queue", Snapshot(position, Head(position, 3, b"\2" * 32, 6), b"%d" % position))
    assert [each.data for each in folder.load("queue")] == [b"50", b"40", b"30"]


def test_f22_a_snapshot_for_which_there_is_no_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SnapshotFolder(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for position in (20, 30):
        with pytest.raises(StoreFullError, match="No space left"):
            folder.save("queue", Snapshot(position, Head(position, 3, b"\2" * 32, 6), b"some state"))
        assert list(tmp_path.iterdir()) == []
