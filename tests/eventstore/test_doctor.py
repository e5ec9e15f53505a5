"""What the doctor finds wrong with a store, and that nothing of the store is changed or kills it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eventstore import doctor
from eventstore.doctor import NOTE, WARNING, WRONG, Finding, check_snapshots, examine
from eventstore.errors import NotAStoreError
from eventstore.lmdb_log import LmdbLog
from eventstore.owner import OwnerInfo, boot_id
from tests.eventstore.support import append
from tests.eventstore.test_retention import fill, plan, settle

PAGE = 4096


@pytest.fixture
def _same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the child where the damage is of a kind that kills nobody."""

    def called(function: Callable[[str], list[Finding]], path: str, *, answer: object) -> list[Finding]:
        assert answer == list[Finding]
        return function(path)

    monkeypatch.setattr(doctor, "in_child", called)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "store"
    with LmdbLog.open(path, segment_records=20) as log:
        for n in range(30):
            append(log, f"job:{n}", "job:1")
        log.save_snapshot("queue", 3, b"state")
        log.save_snapshot("queue", 9, b"state")
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "store")
    return tmp_path / "store"


def found(store: Path, level: str) -> dict[str, str]:
    """Return what the checks say on a level, by check; the store is as it was then."""
    before = {
        path: path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != "lock.mdb"
    }
    said = {
        check: "; ".join(each.text for each in findings if each.level == level)
        for check, findings in examine(store)
    }
    assert before == {path: path.read_bytes() for path in before}
    assert list(said) == ["folder", "pages", "frames", "snapshots", "archive"]
    return {check: text for check, text in said.items() if text}


def test_a_sound_store_is_found_sound(store: Path) -> None:
    assert found(store, WRONG) == found(store, WARNING) == {}
    assert found(store, NOTE) == {"frames": "60 events in 30 frames are whole"}


def spoil_frame(store: Path) -> None:
    data = store / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"\xa6job:10\x01", b"\xa6job:xx\x01"))


def spoil_pages(store: Path) -> None:
    data = store / "data.mdb"
    size = data.stat().st_size
    with data.open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(b"\xa5" * (size - 2 * PAGE))


def truncate(store: Path) -> None:
    os.truncate(store / "data.mdb", 5 * PAGE)


def lose_data(store: Path) -> None:
    (store / "data.mdb").unlink()


def lose_marker(store: Path) -> None:
    (store / "STORE").unlink()


def newer_marker(store: Path) -> None:
    marker = store / "STORE"
    marker.write_bytes(marker.read_bytes().replace(b'"format":', b'"format":9'))


def go_back(store: Path) -> None:
    mark = store / "high_water.json"
    mark.write_bytes(mark.read_bytes().replace(b'"position":60', b'"position":70'))


@pytest.mark.usefixtures("_same_process")
@pytest.mark.parametrize(
    ("damage", "checks", "words"),
    [
        (spoil_frame, {"frames"}, "whole up to position 20, then: the frame at position 21"),
        (truncate, {"pages", "frames"}, "20480 bytes"),
        (lose_data, {"folder", "pages", "frames"}, "missing or empty"),
        (lose_marker, {"folder", "frames"}, "STORE is missing"),
        (newer_marker, {"folder", "frames"}, "has format 9"),
        (go_back, {"frames"}, "ends at position 60, and has been at 70"),
    ],
)
def test_what_is_wrong_is_found(
    store: Path, damage: Callable[[Path], None], checks: set[str], words: str
) -> None:
    damage(store)
    wrong = found(store, WRONG)
    assert set(wrong) == checks
    assert words in "; ".join(wrong.values())
    assert all(each.remedy for _, all_found in examine(store) for each in all_found if each.level == WRONG)


@pytest.mark.usefixtures("_same_process")
def test_what_deserves_a_look_is_a_warning(store: Path) -> None:
    store.chmod(0o777)
    (store / "high_water.json").write_bytes(b"{")
    failures = b'{"position":7,"times":3,"version":"1","why":"no"}'
    (store / "replay_failures.json").write_bytes(failures)
    snapshot = max(store.rglob("*.snapshot"))
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    assert found(store, WRONG) == {}
    said = found(store, WARNING)
    for words in (
        "others can write",
        "high_water.json cannot be read",
        "3 starts in a row failed at position 7",
    ):
        assert words in said["folder"]
    assert "1 of 2 snapshots of 'queue'" in said["snapshots"]


def test_snapshots_from_before_a_compaction_are_no_matter_and_a_damaged_one_behind_it_is(
    tmp_path: Path,
) -> None:
    """The state as of the horizon was counted as a snapshot, and took the place of one that is damaged."""
    with LmdbLog.open(tmp_path, segment_records=5) as log:
        fill(log)
        log.save_snapshot("queue", 18, b"old")
        log.compact(plan(log, 33, queue=b"as of the horizon"))
        settle(log)
        log.save_snapshot("queue", 60, b"new")
    assert check_snapshots(str(tmp_path)) == []
    max(tmp_path.rglob("*.snapshot")).write_bytes(b"damaged")
    (warning,) = check_snapshots(str(tmp_path))
    assert "1 of 1 snapshots of 'queue'" in warning.text


@pytest.mark.usefixtures("_same_process")
@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (OwnerInfo(os.getpid(), boot_id(), "noon"), "in use by process {ours}, since noon"),
        (OwnerInfo(2**22, boot_id(), "noon"), "not closed by process 4194304, since noon"),
        (OwnerInfo(os.getpid(), "another start", "noon"), "not closed by process"),
        (None, "not closed by a process that left no name"),
    ],
)
def test_it_says_whose_the_store_is(store: Path, owner: OwnerInfo | None, words: str) -> None:
    (store / "owner.json").write_bytes(msgspec.json.encode(owner) if owner else b"{")
    said = dict(examine(store))["folder"]
    assert words.format(ours=os.getpid()) in said[0].text
    assert said[0].level == NOTE


def test_f29_rubbish_kills_no_doctor(store: Path) -> None:
    spoil_pages(store)
    assert set(found(store, WRONG)) == {"pages", "frames"}


def kills(_: str) -> list[Finding]:
    os.abort()


def test_a_check_that_is_killed_is_a_finding(store: Path) -> None:
    *_, (name, findings) = examine(store, more=(kills,))
    assert name == "kills"
    assert findings[0].level == WRONG
    assert "killed by SIGABRT" in findings[0].text


def test_something_else_is_no_store(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotAStoreError):
            list(examine(path))


def test_f46_a_copy_by_other_means_of_a_store_in_use_is_seen_through(tmp_path: Path) -> None:
    """Page after page of a file that changes meanwhile: whatever of it is not whole is found."""
    sound = []
    for pieces in (3, 8):
        live, copy = tmp_path / f"live-{pieces}", tmp_path / f"copy-{pieces}"
        with LmdbLog.open(live) as log:
            for n in range(40):
                append(log, *[f"job:{n}:{m}" for m in range(50)])
            shutil.copytree(live, copy, ignore=shutil.ignore_patterns("*.lock", "owner.json"))
            with (live / "data.mdb").open("rb") as source, (copy / "data.mdb").open("wb") as target:
                size = os.fstat(source.fileno()).st_size // PAGE // pieces * PAGE
                while piece := source.read(size):
                    target.write(piece)
                    append(log, *[f"run:{m}" for m in range(50)])
            wrong = found(copy, WRONG)
            sound.append(not wrong)
            if not wrong:
                with LmdbLog.open(copy, read_only=True) as copied:
                    assert list(copied.frames()) == list(log.frames(upto=copied.head.position))
    assert not all(sound), "no copy was torn"
