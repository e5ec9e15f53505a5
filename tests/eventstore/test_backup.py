"""Copies of a store: whole or not there, and read back before they are believed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from eventstore import backup
from eventstore.archive import FOLDER_NAME, SUFFIX
from eventstore.backup import PARTIAL, build_aside, checked, copy_store
from eventstore.checking import check_log
from eventstore.errors import CorruptStoreError, NotAStoreError, StoreError, StoreFullError
from eventstore.lmdb_log import LmdbLog
from eventstore.records import Head
from tests.eventstore.support import ROOT, append
from tests.eventstore.test_archive import compact
from tests.eventstore.test_retention import fill

FILL = [f"job:{number}" for number in range(50)]


def test_a_copy_made_while_others_write_is_a_store_as_of_one_moment(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)

        def write() -> None:
            for _ in range(60):
                append(log, *FILL)

        heads = [copy_store(log, tmp_path / "copy0", at_work=True)]
        for number in (1, 2):
            writer = threading.Thread(target=write)
            writer.start()
            heads.append(copy_store(log, tmp_path / f"copy{number}"))
            writer.join()
        assert len({head.position for head in heads}) > 1
        for number, head in enumerate(heads):
            assert checked(tmp_path / f"copy{number}") == head
            assert log.at(head.position) is not None
            (frame,) = log.frames(after=head.position - 1, upto=head.position)
            assert frame.link == head.link
    with LmdbLog.open(tmp_path / "copy0") as copy:  # it goes on as a store of its own
        append(copy, "job:new")


def test_a_copy_is_never_made_over_something(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)
        (tmp_path / "there").mkdir()
        with pytest.raises(NotAStoreError, match="is there already"):
            copy_store(log, tmp_path / "there")
        (tmp_path / f"copy{PARTIAL}").mkdir()  # left by one that was killed
        (tmp_path / f"copy{PARTIAL}" / "data.mdb").write_bytes(b"half of it")
        copy_store(log, tmp_path / "copy")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store", "there"]


def test_a_copy_that_is_being_made_is_left_alone_by_another_one(tmp_path: Path) -> None:
    """The second one removed what the first one had, and both failed, or what was half copied got the name."""

    def make_another(folder: Path) -> None:
        log.copy_to(folder)
        with pytest.raises(NotAStoreError, match="another process is making it"):
            copy_store(log, tmp_path / "copy")

    with LmdbLog.open(tmp_path / "store") as log:
        head = append(log, *FILL)
        assert build_aside(tmp_path / "copy", make_another) == head
    assert checked(tmp_path / "copy") == head
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "store"]


def test_all_of_a_copy_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was read back is in memory: a power failure could take it away after all was said to be well."""
    synced: set[int] = set()
    fsync, rename = os.fsync, Path.rename

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def look(path: Path, target: Path) -> Path:
        if path.name.endswith(PARTIAL):
            everything = [path, *path.rglob("*")]
            assert {"data.mdb", "STORE"} <= {each.name for each in everything}
            assert {each.stat().st_ino for each in everything} <= synced
            synced.add(0)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", look)
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)
        copy_store(log, tmp_path / "copy")
    assert 0 in synced


def test_f11_a_copy_that_is_killed_is_not_there_and_its_source_untouched(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)
    code = (
        "import os, signal, sys; from eventstore import backup; from eventstore.lmdb_log import LmdbLog\n"
        "backup.checked = lambda folder: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with LmdbLog.open(sys.argv[1], read_only=True) as log: backup.copy_store(log, sys.argv[2])"
    )
    before = (tmp_path / "store" / "data.mdb").read_bytes()
    arguments = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "copy")]
    child = subprocess.run(arguments, cwd=ROOT, check=False, capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (tmp_path / "copy").exists()
    assert (tmp_path / "store" / "data.mdb").read_bytes() == before
    with LmdbLog.open(tmp_path / "store") as log:
        assert check_log(log).problem == ""


def test_a_process_that_is_at_work_has_its_copy_read_back_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads a large log keeps the interpreter's lock from whoever sends commands."""

    def here(_folder: Path) -> Head:
        raise AssertionError("read back here")

    monkeypatch.setattr(backup, "checked", here)
    with LmdbLog.open(tmp_path / "store") as log:
        head = append(log, *FILL)
        assert copy_store(log, tmp_path / "copy", at_work=True) == head


@pytest.mark.parametrize("at_work", [False, True])
def test_f46_a_copy_with_a_wrong_bit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool
) -> None:
    def copy_badly(self: LmdbLog, folder: Path) -> None:
        real(self, folder)
        data = folder / "data.mdb"
        content = bytearray(data.read_bytes())
        content[content.rindex(b"a note")] ^= 1
        data.write_bytes(content)

    real = LmdbLog.copy_to
    monkeypatch.setattr(LmdbLog, "copy_to", copy_badly)
    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)
        with pytest.raises(CorruptStoreError, match="checksum"):
            copy_store(log, tmp_path / "copy", at_work=at_work)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("at_work", [False, True])
def test_a_copy_of_a_damaged_archive_is_made_and_said_to_be_one(
    tmp_path: Path, at_work: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        fill(log)
        compact(log, tmp_path / "store" / FOLDER_NAME, 18)
        copy_store(log, tmp_path / "sound", at_work=at_work)
        assert caplog.text == ""
        (file,) = (tmp_path / "store" / FOLDER_NAME).iterdir()
        content = bytearray(file.read_bytes())
        content[30] ^= 1
        file.write_bytes(content)
        assert copy_store(log, tmp_path / "copy", at_work=at_work) == log.head
    (said,) = caplog.messages
    assert f"{tmp_path / 'copy' / FOLDER_NAME / file.name} is damaged at byte" in said


def test_f22_an_archive_that_finds_no_room_in_a_copy_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def full(source: Path, target: Path, **how: bool) -> object:
        if source.name.endswith(SUFFIX):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return copy(source, target, **how)

    monkeypatch.setattr(shutil, "copyfile", full)
    with LmdbLog.open(tmp_path / "store") as log:
        fill(log)
        compact(log, tmp_path / "store" / FOLDER_NAME, 18)
        with pytest.raises(StoreFullError):
            copy_store(log, tmp_path / "copy")


def test_f22_a_copy_that_finds_no_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with LmdbLog.open(tmp_path / "store") as log:
        append(log, *FILL)
        monkeypatch.setattr(LmdbLog, "copy_to", full)
        with pytest.raises(StoreFullError):
            copy_store(log, tmp_path / "copy")
        monkeypatch.undo()
        with pytest.raises(NotAStoreError):
            copy_store(log, Path("/proc/nowhere/copy"))


def test_a_disk_that_fails_a_copy_is_not_taken_for_a_wrong_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LmdbLog.open(tmp_path / "store").close()
    with LmdbLog.open(tmp_path / "store", read_only=True) as log:

        def fails(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(Path, "rename", fails)
        with pytest.raises(StoreError, match="Input/output error") as raised:
            copy_store(log, tmp_path / "copy")
    assert not isinstance(raised.value, NotAStoreError)
    assert "disk" in raised.value.remedy
    assert not (tmp_path / "copy").exists()
