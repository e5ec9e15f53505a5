"""A log that went back is noticed by the mark beside it (F31, F32)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eventstore.data_file import look_at
from eventstore.errors import StoreRolledBackError
from eventstore.high_water import HIGH_WATER_NAME, HighWaterMark
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append, run_child

PAGE = 4096
TRANSACTION_AT = 144


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, "job:1", "job:2")
    return tmp_path / "store"


def damage_newest_meta_page(path: Path) -> None:
    with LmdbLog.open(path) as log:
        append(log, "job:3")
        newest = log._databases.environment.info()["last_txnid"]
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    at = newest % 2 * PAGE + TRANSACTION_AT
    assert int.from_bytes(content[at : at + 8], "little") == newest
    content[at : at + 8] = (newest - 2).to_bytes(8, "little")  # the engine falls back to the other page
    data.write_bytes(content)
    assert look_at(data)  # nothing inside the file shows it


def test_f31_the_commit_that_a_damaged_meta_page_takes_back_is_found_by_its_bytes(path: Path) -> None:
    damage_newest_meta_page(path)
    with LmdbLog.open(path, read_only=True) as log:
        assert log.head.position == 2
    for _ in range(2):
        with LmdbLog.open(path) as log:
            assert [frame.last for frame in log.frames()] == [2, 3]
            assert [stored.position for stored in log.history("job:3")] == [3]


def test_f31_a_commit_that_is_gone_with_its_bytes_is_noticed(path: Path) -> None:
    damage_newest_meta_page(path)
    data = path / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"job:3", b"job:4"))
    with pytest.raises(StoreRolledBackError, match="ends at position 2, and has been at 3"):
        LmdbLog.open(path)


def test_f32_an_older_copy_that_was_put_back_is_noticed_and_can_be_accepted(path: Path) -> None:
    shutil.copy(path / "data.mdb", path.parent / "copy")
    with LmdbLog.open(path) as log:
        append(log, "job:3")
    shutil.copy(path.parent / "copy", path / "data.mdb")
    with pytest.raises(StoreRolledBackError) as refusal:
        LmdbLog.open(path)
    assert HIGH_WATER_NAME in refusal.value.remedy
    HighWaterMark(path).remove()
    with LmdbLog.open(path) as log:
        assert log.head.position == 2


def test_f32_another_history_of_the_same_length_is_noticed(path: Path) -> None:
    shutil.copytree(path, path.parent / "other")
    with LmdbLog.open(path) as log:
        append(log, "job:3")
    with LmdbLog.open(path.parent / "other") as log:
        append(log, "job:4", "job:5")
    shutil.copy(path.parent / "other" / "data.mdb", path / "data.mdb")
    with pytest.raises(StoreRolledBackError, match="another history"):
        LmdbLog.open(path)


def test_the_mark_is_made_by_tending_and_never_ahead_of_what_is_durable(path: Path) -> None:
    mark = path / HIGH_WATER_NAME
    with LmdbLog.open(path) as log:
        before = mark.read_bytes()
        log.tend()
        assert mark.read_bytes() == before
        append(log, "job:3")
        assert mark.read_bytes() == before
        log.tend()
        assert b'"position":3' in mark.read_bytes()


def test_a_mark_that_cannot_be_read_or_is_another_stores_says_nothing(path: Path, tmp_path: Path) -> None:
    mark = path / HIGH_WATER_NAME
    for content in (b"", b"{", b'{"store_id":"x","position":99,"link":""}', b"\xff"):
        mark.write_bytes(content)
        with LmdbLog.open(path) as log:
            assert log.head.position == 2
    mark.unlink()
    LmdbLog.open(path).close()


def test_f22_a_mark_that_cannot_be_written_harms_nothing_and_is_warned_of_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with LmdbLog.open(path) as log:
        append(log, "job:3")
        monkeypatch.setattr("eventstore.high_water.write_file", full)
        log.tend()
        log.tend()
        append(log, "job:4")
        assert log.head.position == 4
    assert caplog.text.count("cannot be tended") == 1


def test_a_reader_beside_a_writer_is_not_told_that_the_store_went_back(path: Path) -> None:
    reader = "import sys; from eventstore.lmdb_log import LmdbLog; LmdbLog.open(sys.argv[1], read_only=True)"
    with LmdbLog.open(path) as log:
        append(log, "job:3")
        log.tend()
        HighWaterMark(path).note(log.store_id, log.head._replace(position=9))  # later than what it reads
        child = run_child(reader, path)
        assert child.returncode == 0, child.stderr
