"""The last commit, whose meta page was lost with the power, is found by its bytes (F20)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pytest

from eventstore import doctor
from eventstore.backup import copy_store
from eventstore.errors import StoreError, StoreRolledBackError
from eventstore.framing import encode_frame
from eventstore.high_water import HighWaterMark
from eventstore.last_commit import NOTE_NAME
from eventstore.lmdb_log import LmdbLog
from eventstore.owner import INFO_NAME, boot_id, read_owner
from eventstore.records import Head
from tests.eventstore.support import append, record
from tests.eventstore.test_retention import plan

PAGE = 4096
ANOTHER_START = b'{"pid":1,"boot_id":"another","since":""}'
UNKNOWN_START = b'{"pid":1,"boot_id":"","since":""}'


@pytest.fixture(autouse=True)
def _no_pages_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are after a power failure, in a child process: shown by the images."""
    monkeypatch.setattr("eventstore.opening.verify", lambda _path: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def lose_power(log: LmdbLog, before: bytes, *, owner: bytes = ANOTHER_START) -> None:
    """Close a log, and leave what is on the disk if the power fails before the last meta page is flushed."""
    newest = log._databases.environment.info()["last_txnid"]
    log.close()
    path = Path(log.path)
    content = bytearray((path / "data.mdb").read_bytes())
    at = newest % 2 * PAGE
    content[at : at + PAGE] = before[at : at + PAGE]
    (path / "data.mdb").write_bytes(content)
    (path / INFO_NAME).write_bytes(owner)
    (path / "high_water.json").unlink(missing_ok=True)


def last_lost(path: Path, *entities: str, owner: bytes = ANOTHER_START) -> Head:
    """Make a store of three commits, the last with so many records, and lose its meta page."""
    log = LmdbLog.open(path)
    append(log, "job:1")
    append(log, "job:2", "job:1")
    before = (path / "data.mdb").read_bytes()
    head = append(log, *entities)
    lose_power(log, before, owner=owner)
    with LmdbLog.open(path, read_only=True) as short:
        assert short.head.position == 3
    return head


@pytest.mark.parametrize("records", [1, 100], ids=["beside others in a page", "on pages of its own"])
@pytest.mark.parametrize("owner", [ANOTHER_START, UNKNOWN_START], ids=["another start", "unknown start"])
def test_the_commit_is_back_after_the_next_opening(
    path: Path, records: int, owner: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head = last_lost(path, *["job:1"] * records, owner=owner)
    for _ in range(2):
        with LmdbLog.open(path) as log:
            assert log.head == head
            assert [frame.last for frame in log.frames()] == [1, 3, 3 + records]
            assert len(log.history("job:1")) == 2 + records
    assert caplog.text.count("ended at position 3") == 1


def test_it_is_looked_for_only_if_the_machine_went_down_or_the_log_is_short(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = f'{{"pid":1,"boot_id":"{boot_id()}","since":""}}'.encode()
    head = last_lost(path, "job:3", owner=owner)
    with monkeypatch.context() as patch:
        patch.setattr("eventstore.last_commit.find_following", None)
        with LmdbLog.open(path) as log:
            assert log.head.position == 3
            log._mark.note(log.store_id, head)
    with LmdbLog.open(path) as log:
        assert log.head == head


def test_what_an_owner_has_found_to_be_missing_does_not_appear_later(path: Path) -> None:
    """Killed before its meta page was written, a commit is told to be missing; then the power fails."""
    last_lost(path, "job:3", owner=f'{{"pid":1,"boot_id":"{boot_id()}","since":""}}'.encode())
    with LmdbLog.open(path) as log:
        assert log.head.position == 3
        note = (path / INFO_NAME).read_bytes()
    (path / INFO_NAME).write_bytes(note.replace(boot_id().encode(), b"another"))
    with LmdbLog.open(path) as log:
        assert log.head.position == 3


def test_of_two_that_follow_the_older_is_of_a_commit_that_failed(path: Path) -> None:
    log = LmdbLog.open(path)
    append(log, "job:1")
    append(log, "job:2")
    before = (path / "data.mdb").read_bytes()
    _, failed = encode_frame([record("job:666")], head=log.head, epoch=1, recorded_us=1_000_000)
    head = append(log, "job:3", recorded_us=1_000_001)
    lose_power(log, before)
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    content[1000 : 1000 + len(failed)] = failed  # where nobody looks, and before the other one
    data.write_bytes(content)
    with LmdbLog.open(path) as log:
        assert log.head == head


def test_a_torn_commit_was_never_acknowledged_and_is_left_out(path: Path) -> None:
    last_lost(path, "job:3")
    data = path / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"job:3", b"job:4"))
    with LmdbLog.open(path) as log:
        assert log.head.position == 3
        assert append(log, "job:5").position == 4


def test_what_a_job_was_given_is_no_frame(path: Path) -> None:
    """The bytes of a frame that would follow, too, inside of the one that does."""
    log = LmdbLog.open(path)
    append(log, "job:1")
    append(log, "job:2")
    _, forged = encode_frame([record("job:666")], head=log.head, epoch=1, recorded_us=1_000_000)
    before = (path / "data.mdb").read_bytes()
    given = msgspec.structs.replace(record("job:3"), payload=forged)
    head = log.append([given], expected=2, epoch=1, recorded_us=1_000_000)
    lose_power(log, before)
    with LmdbLog.open(path) as log:
        assert log.head == head
        assert not log.history("job:666")


def test_it_is_found_in_a_log_that_was_compacted(path: Path) -> None:
    log = LmdbLog.open(path)
    append(log, "job:1")
    append(log, "job:2")
    append(log, "job:3")
    log.compact(plan(log, 2, queue=b"state"))
    before = (path / "data.mdb").read_bytes()
    head = append(log, "job:4")
    lose_power(log, before)
    with LmdbLog.open(path) as log:
        assert log.horizon.head.position == 2
        assert log.head == head


def test_several_are_taken_back_and_none_is_written_over_before_it_was_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that reported an error, and has lost a meta page with it."""
    log = LmdbLog.open(path)
    append(log, "job:1")
    append(log, "job:2")
    before = (path / "data.mdb").read_bytes()
    append(log, "job:3")
    head = append(log, *["job:4"] * 50)
    lose_power(log, before)
    content = bytearray((path / "data.mdb").read_bytes())
    content[: 2 * PAGE] = before[: 2 * PAGE]
    (path / "data.mdb").write_bytes(content)
    with LmdbLog.open(path, map_size=len(content)) as log:  # which has no room for them
        assert log.head == head
        assert [frame.last for frame in log.frames()] == [1, 2, 3, 53]


def test_the_power_may_fail_again_while_it_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = last_lost(path, "job:3")
    data = path / "data.mdb"

    def fail(*_: object, **__: object) -> None:
        data.write_bytes(data.read_bytes().replace(b"job:3", b"\0" * 5))  # half of the page was written
        raise lmdb.Error("mdb_txn_commit: Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("eventstore.last_commit.put_frame", fail)
        with pytest.raises(StoreError):
            LmdbLog.open(path)
    with LmdbLog.open(path) as log:
        assert log.head == head
    assert not (path / NOTE_NAME).exists()


@pytest.mark.parametrize("content", [b"", b"\x91", b"\x91\xc4\x01a"])
def test_a_note_that_is_not_whole_or_not_of_this_log_says_nothing(path: Path, content: bytes) -> None:
    head = last_lost(path, "job:3")
    (path / NOTE_NAME).write_bytes(content)
    with LmdbLog.open(path) as log:
        assert log.head == head


def mark_at(path: Path, head: Head) -> None:
    """Note that the log had come so far."""
    with LmdbLog.open(path, read_only=True) as log:
        HighWaterMark(path).note(log.store_id, head)


def test_the_doctor_does_not_promise_that_an_opening_puts_back_what_it_refuses(path: Path) -> None:
    head = last_lost(path, "job:3", "job:4")
    for mark, text in (
        (head._replace(position=7), "ends at position 5, and has been at 7"),
        (head._replace(link=bytes(32)), "has another history than it had: position 5 is not the same"),
    ):
        mark_at(path, mark)
        (wrong,) = doctor.check_frames(str(path))
        assert wrong.level == doctor.WRONG
        assert text in wrong.text
        assert "Open the store" not in wrong.remedy
        kept = {each: each.read_bytes() for each in path.iterdir() if each.is_file()}
        with pytest.raises(StoreRolledBackError, match=text):
            LmdbLog.open(path)
        for each, content in kept.items():
            each.write_bytes(content)


def test_the_doctor_sees_it_and_calls_nothing_wrong(path: Path) -> None:
    mark_at(path, last_lost(path, "job:3", "job:4"))
    note, waiting = doctor.check_frames(str(path))
    assert note.text == "3 events in 2 frames are whole"
    assert (waiting.level, waiting.remedy) == (doctor.NOTE, "Open the store once: that puts it back.")
    assert "up to position 5" in waiting.text


def test_a_copy_made_before_the_next_opening_has_it(path: Path, tmp_path: Path) -> None:
    """Whoever looks after a machine that went down saves what is there, first of all."""
    head = last_lost(path, "job:3")
    with LmdbLog.open(path, read_only=True) as log:
        assert copy_store(log, tmp_path / "copy") == head
        assert log.head.position == 3
    with LmdbLog.open(tmp_path / "copy") as copy:
        assert copy.head == head


class Unflushing:
    """An engine whose disk refuses to flush from some moment on."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def sync(self, *, force: bool) -> None:
        assert force
        raise lmdb.Error("mdb_env_sync: Input/output error")


@pytest.fixture
def unflushing(path: Path) -> Iterator[LmdbLog]:
    log = LmdbLog.open(path)
    append(log, "job:1")
    log._databases = log._databases._replace(environment=Unflushing(log._databases.environment))
    yield log
    log.close()


def test_a_store_that_is_not_flushed_at_the_end_says_that_it_was_not_closed(
    path: Path, unflushing: LmdbLog, caplog: pytest.LogCaptureFixture
) -> None:
    append(unflushing, "job:2")
    unflushing.close()
    assert read_owner(path)
    assert "the last commit may not be on the disk" in caplog.text
    with caplog.at_level(logging.CRITICAL), LmdbLog.open(path) as log:
        assert log.head.position == 2
    assert read_owner(path) is None


def test_a_store_that_is_closed_while_a_commit_is_in_doubt_says_that_it_was_not_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(transaction: Any) -> None:
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    with LmdbLog.open(path) as log:
        monkeypatch.setattr(log, "_commit", fail)
        with pytest.raises(StoreError):
            append(log, "job:1")
    assert read_owner(path)
    log.close()  # again: that nothing is left to do does not mean that all is well
    assert read_owner(path)
