"""The way into a store: who may, what is refused and in which words, and what is left on disk."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lmdb
import msgspec
import pytest

from eventstore import files, opening, owner
from eventstore.backup import copy_store
from eventstore.errors import (
    CorruptStoreError,
    NotAStoreError,
    OutcomeUnknownError,
    ReopenNeededError,
    StoreAccessError,
    StoreEmptyError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreTruncatedError,
    UnsupportedPlatformError,
)
from eventstore.lmdb_errors import open_error
from eventstore.lmdb_log import LmdbLog
from eventstore.owner import Owner, OwnerInfo
from tests.eventstore.support import ROOT, append, run_child


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the store open, and goes when it is told to."""
    code = (
        "import sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "from tests.eventstore.support import append\n"
        "log = LmdbLog.open(sys.argv[1])\n"
        "append(log, 'job:1')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "log.close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_store_is_private_and_says_what_it_is(path: Path) -> None:
    before = os.umask(0)
    try:
        with LmdbLog.open(path) as log:
            append(log, "job:1")
            log.save_snapshot("queue", 1, b"state")
            names = {file.name for file in path.iterdir()}
            modes = {mode(file) for file in path.rglob("*") if file.is_file()}
    finally:
        os.umask(before)
    assert names == {"STORE", "data.mdb", "lock.mdb", "owner.lock", "owner.json", "snapshots"}
    assert modes == {0o600}
    assert mode(path) == mode(path / "snapshots") == 0o700
    marker = msgspec.json.decode((path / "STORE").read_bytes())
    assert marker["store_id"] == log.store_id
    assert marker["format"] == 3
    assert not (path / "owner.json").exists()


def test_a_store_keeps_its_id_and_its_records(path: Path) -> None:
    with LmdbLog.open(path) as log:
        store_id, head = log.store_id, append(log, "job:1")
    with LmdbLog.open(str(path)) as log:
        assert (log.store_id, log.head) == (store_id, head)
        assert log.path == str(path)


def test_a_folder_that_another_process_makes_at_the_same_time_is_taken_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def be_overtaken(folder: Path, *given: Any, **named: Any) -> None:
        make(folder)
        make(folder, *given, **named)

    monkeypatch.setattr(Path, "mkdir", be_overtaken)
    with LmdbLog.open(path) as log:
        append(log, "job:1")


def test_two_stores_have_two_ids(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "a") as one, LmdbLog.open(tmp_path / "b") as other:
        assert one.store_id != other.store_id


# --- one owner -------------------------------------------------------------------------------------


def test_f35_a_second_process_is_refused_and_told_whose_it_is(
    path: Path, elsewhere: subprocess.Popen[str]
) -> None:
    with pytest.raises(StoreInUseError, match=rf"process {elsewhere.pid}, since 2\d\d\d-") as caught:
        LmdbLog.open(path)
    assert "later capability" in caught.value.remedy


def test_f36_the_store_of_a_killed_process_opens_at_once(
    path: Path, elsewhere: subprocess.Popen[str]
) -> None:
    elsewhere.kill()
    elsewhere.wait(10)
    assert (path / "owner.json").exists()
    with LmdbLog.open(path) as log:
        assert log.head.position == 1
        info = msgspec.json.decode((path / "owner.json").read_bytes(), type=OwnerInfo)
        assert info.pid == os.getpid()


def test_f36_an_orphan_of_a_killed_owner_does_not_keep_the_store(path: Path) -> None:
    """A forked child inherits the descriptor of the lock, and must not inherit the lock."""
    code = (
        "import os, sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "log = LmdbLog.open(sys.argv[1])\n"
        "if os.fork() == 0:\n"
        "    os.close(1)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read() == b""
        process.wait(10)
        with LmdbLog.open(path) as log:
            assert append(log, "job:1").position == 1


def test_a_second_handle_in_one_process_is_refused_and_harms_nobody(path: Path) -> None:
    link = path.with_name("link")
    with LmdbLog.open(path) as log:
        link.symlink_to(path)
        for name in (path, link):
            for read_only in (False, True):
                with pytest.raises(StoreInUseError, match="already open in this process"):
                    LmdbLog.open(name, read_only=read_only)
        assert append(log, "job:1").position == 1
        code = "import sys; from eventstore.lmdb_log import LmdbLog; LmdbLog.open(sys.argv[1])"
        child = run_child(code, path)
        assert f"StoreInUseError: {path} is open in process {os.getpid()}" in child.stderr
    with LmdbLog.open(path) as log:
        assert log.head.position == 1


def test_a_store_whose_note_cannot_be_removed_is_closed_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with LmdbLog.open(path) as log:
        append(log, "job:1")
        monkeypatch.setattr("eventstore.owner.remove_file", fail)
    assert "owner.json stays, as if the store had not been closed: Input/output error" in caplog.text
    child = run_child("import sys; from eventstore.lmdb_log import LmdbLog; LmdbLog.open(sys.argv[1])", path)
    assert (child.returncode, child.stderr) == (0, "")


def test_a_closing_that_was_interrupted_is_done_by_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LmdbLog.open(path)
    with monkeypatch.context() as patched:

        def interrupt() -> None:
            raise KeyboardInterrupt

        patched.setattr(log._doors, "alone", interrupt)
        with pytest.raises(KeyboardInterrupt):
            log.close()
    assert (path / "owner.json").exists()
    log.close()
    assert not (path / "owner.json").exists()


def test_a_reader_needs_no_lock_and_sees_what_is_committed(
    path: Path, elsewhere: subprocess.Popen[str]
) -> None:
    with LmdbLog.open(path, read_only=True) as reader:
        assert reader.head.position == 1
        assert reader.history("job:1")[0].position == 1
    assert elsewhere.poll() is None


def test_a_reader_creates_nothing(path: Path) -> None:
    with pytest.raises(NotAStoreError):
        LmdbLog.open(path, read_only=True)
    assert not path.exists()
    path.mkdir()
    with pytest.raises(NotAStoreError):
        LmdbLog.open(path, read_only=True)
    assert list(path.iterdir()) == []


# --- after the machine went down -------------------------------------------------------------------


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    files: list[Path] = []
    monkeypatch.setattr(opening, "verify", files.append)
    return files


def left_behind(path: Path, boot_id: str) -> None:
    LmdbLog.open(path).close()
    info = OwnerInfo(pid=1, boot_id=boot_id, since="2026-01-01T00:00:00+00:00")
    (path / "owner.json").write_bytes(msgspec.json.encode(info))


def test_all_pages_are_verified_if_the_machine_was_started_since(path: Path, verified: list[Path]) -> None:
    left_behind(path, "another start")
    for _ in range(2):
        LmdbLog.open(path).close()
    assert verified == [path / "data.mdb"]


def test_nothing_is_verified_after_a_mere_kill(path: Path, verified: list[Path]) -> None:
    left_behind(path, owner.boot_id())
    LmdbLog.open(path).close()
    assert verified == []


def test_all_pages_are_verified_after_an_owner_that_died_before_it_wrote(
    path: Path, verified: list[Path]
) -> None:
    """As it does if a damaged page kills whoever reads it: else each start would end in the same way."""
    code = (
        "import os, sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "from tests.eventstore.support import append\n"
        "log = LmdbLog.open(sys.argv[1])\n"
        "if sys.argv[2] == 'writes': append(log, 'job:2')\n"
        "os._exit(9)"
    )
    with LmdbLog.open(path) as log:
        append(log, "job:1")
    for what, times in (("only reads", 1), ("writes", 1)):
        assert run_child(code, path, what).returncode == 9
        LmdbLog.open(path).close()
        assert verified == [path / "data.mdb"] * times


def test_f29_a_page_that_kills_the_engine_kills_it_once(path: Path) -> None:
    with LmdbLog.open(path) as log:
        for n in range(200):
            append(log, f"job:{n}", "job:1")
    content = bytearray((path / "data.mdb").read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        if content[page + 10] == 2 and b"job:100" in content[page : page + 4096]:
            content[page + 10] = 0
    (path / "data.mdb").write_bytes(content)
    child = "import sys; from eventstore.lmdb_log import LmdbLog; list(LmdbLog.open(sys.argv[1]).frames())"
    assert run_child(child, path).returncode == -signal.SIGABRT
    again = run_child(child, path)
    assert again.returncode == 1
    assert "CorruptStoreError" in again.stderr


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"pid": "x"}'])
def test_an_unreadable_note_of_the_owner_counts_as_a_crash(
    path: Path, verified: list[Path], content: bytes
) -> None:
    LmdbLog.open(path).close()
    (path / "owner.json").write_bytes(content)
    LmdbLog.open(path).close()
    assert verified == [path / "data.mdb"]


def test_an_opening_that_fails_leaves_the_note_for_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(path, "another start")

    def fail(data: Path) -> None:
        raise CorruptStoreError(f"{data} is damaged")

    monkeypatch.setattr(opening, "verify", fail)
    with pytest.raises(CorruptStoreError):
        LmdbLog.open(path)
    calls: list[Path] = []
    monkeypatch.setattr(opening, "verify", calls.append)
    LmdbLog.open(path).close()
    assert len(calls) == 1


def test_a_real_verification_passes_a_good_store(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_behind(path, "another start")
    with caplog.at_level(logging.WARNING):
        LmdbLog.open(path).close()
    assert "verifying all pages" in caplog.text


def test_f31_an_odd_meta_page_leads_to_verification(path: Path, verified: list[Path]) -> None:
    with LmdbLog.open(path) as log:
        append(log, "job:1")
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    content[4096 + 16 + 128] ^= 64
    data.write_bytes(content)
    LmdbLog.open(path).close()
    assert verified == [data]


def test_the_start_of_the_machine_has_an_id() -> None:
    assert owner.boot_id() == owner.boot_id() != ""


# --- what is refused -------------------------------------------------------------------------------


def test_f30_a_store_whose_data_is_gone_is_not_a_new_store(path: Path) -> None:
    LmdbLog.open(path).close()
    data = path / "data.mdb"
    data.rename(path / "hidden")
    for read_only in (False, True):
        with pytest.raises(StoreEmptyError, match="was a store"):
            LmdbLog.open(path, read_only=read_only)
    data.touch()
    for read_only in (False, True):
        with pytest.raises(StoreEmptyError, match="was a store"):
            LmdbLog.open(path, read_only=read_only)
    (path / "hidden").replace(data)
    LmdbLog.open(path).close()


def test_f32_data_of_another_store_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        LmdbLog.open(tmp_path / name).close()
    (tmp_path / "a" / "data.mdb").replace(tmp_path / "b" / "data.mdb")
    with pytest.raises(CorruptStoreError, match="STORE says"):
        LmdbLog.open(tmp_path / "b")


def test_f41_a_newer_store_is_refused_as_that(path: Path) -> None:
    LmdbLog.open(path).close()
    marker = path / "STORE"
    marker.write_bytes(marker.read_bytes().replace(b'"format":3', b'"format":4'))
    with pytest.raises(StoreFormatError, match="has format 4; this version reads 3"):
        LmdbLog.open(path)


def make_older(path: Path) -> None:
    """Turn a store into one of format 1: with another index by entity, which was written with each frame."""
    with lmdb.open(str(path), max_dbs=8, map_size=1 << 30, lib_version=0) as environment:
        segments = environment.open_db(b"segments", create=False)
        index = environment.open_db(b"index", dupsort=True, dupfixed=True)
        with environment.begin(write=True) as transaction:
            transaction.drop(segments, delete=True)
            transaction.put(b"job:1", b"\0" * 12, db=index)
    marker = path / "STORE"
    marker.write_bytes(marker.read_bytes().replace(b'"format":3', b'"format":1'))


def test_f97_a_store_of_format_1_is_upgraded_and_nothing_of_it_is_lost(path: Path) -> None:
    with LmdbLog.open(path) as log:
        for n in range(10):
            append(log, f"job:{n}", "job:1")
        store_id, whole = log.store_id, {entity: log.history(entity) for entity in log.entities("")}
    make_older(path)
    with pytest.raises(StoreFormatError, match="read only once it is upgraded"):
        LmdbLog.open(path, read_only=True)
    with LmdbLog.open(path, segment_records=6) as log:
        append(log, "job:new")
        assert {entity: log.history(entity) for entity in log.entities("") if entity != "job:new"} == whole
        assert [stored.position for stored in log.history("job:new")] == [21]
    with LmdbLog.open(path, segment_records=6, read_only=True) as log:
        assert log.store_id == store_id
        assert len(log.history("job:1")) == 11
        assert len(list(log.frames())) == 11
    with (
        lmdb.open(str(path), max_dbs=8, map_size=1 << 30, lib_version=0) as environment,
        environment.begin() as transaction,
    ):
        assert transaction.get(b"index") is None
        segments = environment.open_db(b"segments", transaction, create=False)
        assert transaction.stat(segments)["entries"] == 2 * 3


def older_with_many_records(path: Path) -> None:
    with LmdbLog.open(path) as log:
        for n in range(20):
            append(log, *[f"job:{n}:{m}" for m in range(50)])
    make_older(path)


def test_f23_an_upgrade_that_finds_the_map_full_lets_it_grow(path: Path) -> None:
    older_with_many_records(path)
    pages = (path / "data.mdb").stat().st_size // 4096
    with LmdbLog.open(path, segment_records=100, map_size=(pages + 2) * 4096) as log:
        append(log, "job:new")
        assert len(list(log.entities("job:"))) == 1001
    with LmdbLog.open(path, segment_records=100) as log:
        assert [stored.position for stored in log.history("job:7:7")] == [358]


def test_f25_an_upgrade_whose_commit_fails_is_an_unknown_outcome(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_with_many_records(path)

    def fail(*_: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    with LmdbLog.open(path, segment_records=100) as log:
        monkeypatch.setattr(LmdbLog, "_commit", fail)
        with pytest.raises(OutcomeUnknownError):
            append(log, "job:new")
        monkeypatch.undo()
        with pytest.raises(ReopenNeededError):
            append(log, "job:new")
        log.reopen()
        append(log, "job:new")
        assert len(list(log.entities("job:"))) == 1001


def test_f97_an_upgrade_that_was_cut_short_is_done_again(path: Path) -> None:
    with LmdbLog.open(path) as log:
        append(log, "job:1")
    make_older(path)
    marker = (path / "STORE").read_bytes()
    LmdbLog.open(path).close()
    (path / "STORE").write_bytes(marker)  # as if the process had ended before its last step
    with LmdbLog.open(path) as log:
        assert [stored.position for stored in log.history("job:1")] == [1]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"not json"])
def test_a_damaged_marker_is_an_error(path: Path, content: bytes) -> None:
    LmdbLog.open(path).close()
    (path / "STORE").write_bytes(content)
    with pytest.raises(CorruptStoreError, match="STORE cannot be read"):
        LmdbLog.open(path)


def a_file(path: Path) -> Path:
    path.write_text("hello")
    return path


def under_a_file(path: Path) -> Path:
    return a_file(path) / "store"


def foreign_folder(path: Path) -> Path:
    path.mkdir()
    (path / "thesis.tex").touch()
    return path


def dangling_link_in_tmp(path: Path) -> Path:
    path.parent.chmod(0o777)
    path.symlink_to(path.with_name("nowhere"))
    return path


def link_in_tmp(path: Path) -> Path:
    path.parent.chmod(0o777)
    path.with_name("target").mkdir()
    path.symlink_to(path.with_name("target"))
    return path


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


F39: dict[str, Callable[[Path], Path | str]] = {
    "path is a file": a_file,
    "path under a file": under_a_file,
    "parent is missing": lambda path: path / "deeper" / "store",
    "folder of something else": foreign_folder,
    "NUL in the name": lambda path: f"{path}\0x",
    "300 characters": lambda path: path.with_name("x" * 300),
    "symlink in a folder of everybody": link_in_tmp,
    "dangling symlink in a folder of everybody": dangling_link_in_tmp,
    "symlink to itself": loop,
}


@pytest.mark.parametrize("case", F39)
def test_f39_a_path_that_is_no_store_is_one_line(tmp_path: Path, case: str) -> None:
    bad = F39[case](tmp_path / "store")
    for read_only in (False, True):
        with pytest.raises(NotAStoreError) as caught:
            LmdbLog.open(bad, read_only=read_only)
        assert "\n" not in str(caught.value)
        assert caught.value.remedy


def test_f39_a_foreign_folder_is_left_as_it_was(tmp_path: Path) -> None:
    folder = foreign_folder(tmp_path / "store")
    with pytest.raises(NotAStoreError):
        LmdbLog.open(folder)
    assert [file.name for file in folder.iterdir()] == ["thesis.tex"]


def test_f39_a_foreign_data_file_is_refused_and_left_as_it_was(path: Path) -> None:
    path.mkdir()
    (path / "data.mdb").write_bytes(b"hello" * 5000)
    with pytest.raises(CorruptStoreError, match="not a data file"):
        LmdbLog.open(path)
    assert (path / "data.mdb").read_bytes() == b"hello" * 5000


def test_f39_a_foreign_database_is_refused_and_left_as_it_was(path: Path) -> None:
    with lmdb.open(str(path), lib_version=0) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"theirs", b"1")
    content = (path / "data.mdb").read_bytes()
    with pytest.raises(NotAStoreError, match="something else"):
        LmdbLog.open(path)
    assert (path / "data.mdb").read_bytes() == content


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, StoreAccessError),
        (errno.EPERM, StoreAccessError),
        (errno.EROFS, StoreAccessError),
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EMFILE, StoreAccessError),
    ],
)
def test_f39_what_the_operating_system_refuses_is_said_in_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError]
) -> None:
    def refuse(folder: Path) -> Owner:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(Owner, "acquire", refuse)
    with pytest.raises(kind) as caught:
        LmdbLog.open(path)
    assert str(caught.value) == f"{str(path)!r}: {os.strerror(number)}"
    assert ("ulimit" in caught.value.remedy) == (number == errno.EMFILE)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_f22_an_opening_that_cannot_say_who_it_is_leaves_nothing_open(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("eventstore.owner.write_file", Mock(side_effect=error))
        with pytest.raises((StoreFullError, KeyboardInterrupt)) as caught:
            LmdbLog.open(path)
    LmdbLog.open(path).close()
    assert caught.value.__traceback__  # whoever keeps the error keeps the engine of that opening, too


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lmdb.VersionMismatchError("x"), StoreFormatError),
        (lmdb.ReadonlyError("Permission denied"), StoreAccessError),
        (lmdb.DiskError("No space left on device"), StoreFullError),
        (lmdb.Error("Not a directory"), NotAStoreError),
        (lmdb.InvalidError("not an LMDB file"), CorruptStoreError),
        (lmdb.MemoryError("Cannot allocate memory"), StoreError),
    ],
)
def test_f39_what_the_engine_refuses_is_said_in_our_words(error: Any, kind: type[StoreError]) -> None:
    assert type(open_error(error)) is kind


def test_f45_of_a_map_that_does_not_fit_a_part_is_mapped(path: Path) -> None:
    with LmdbLog.open(path, map_size=1 << 60) as log:
        assert append(log, "job:1").position == 1


def test_f45_no_room_for_any_map_is_an_error_with_a_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise lmdb.MemoryError("Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(lmdb, "open", refuse)
        with pytest.raises(StoreError) as caught:
            LmdbLog.open(path)
    assert "ulimit -v" in caught.value.remedy
    LmdbLog.open(path).close()


def test_a_store_has_any_path_that_the_system_takes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    with LmdbLog.open(path) as log:
        append(log, "job:1")
        copy_store(log, tmp_path / os.fsdecode(b"caf\xe9 again"))
    with LmdbLog.open(path) as log:
        assert log.head.position == 1


def test_a_folder_that_others_can_write_to_is_warned_about(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    path.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        LmdbLog.open(path).close()
    assert "can be written to by others" in caplog.text


def test_a_link_to_a_store_in_ones_own_folder_is_followed(path: Path) -> None:
    path.parent.chmod(0o700)
    link = path.with_name("link")
    link.symlink_to(path)
    path.mkdir()
    with LmdbLog.open(link) as log:
        assert log.path == str(path)


def test_a_platform_that_cannot_keep_the_promises_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(UnsupportedPlatformError, match="global interpreter"):
        LmdbLog.open(path)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnsupportedPlatformError, match="win32"):
        LmdbLog.open(path)
    assert not path.exists()


# --- creation that is cut short --------------------------------------------------------------------


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("call", range(6))
def test_a_creation_cut_short_anywhere_is_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Whatever was written before the cut, the next opening makes a whole and empty store of it."""
    calls = 0

    def cut(function: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > call:
                raise Cut
            return function(*arguments, **options)

        return maybe

    with monkeypatch.context() as patch:
        patch.setattr(Owner, "acquire", cut(Owner.acquire))
        patch.setattr(lmdb, "open", cut(lmdb.open))
        patch.setattr(uuid, "uuid4", cut(uuid.uuid4))
        patch.setattr(opening, "write_file", cut(files.write_file))
        patch.setattr(Owner, "announce", cut(Owner.announce))
        patch.setattr(opening, "sync_folder", cut(files.sync_folder))
        with pytest.raises(Cut):
            LmdbLog.open(path)
    with LmdbLog.open(path) as log:
        assert append(log, "job:1").position == 1
        assert log.store_id


def test_f30_truncated_by_one_page_is_said_so(path: Path) -> None:
    with LmdbLog.open(path) as log:
        append(log, *[f"job:{n}" for n in range(500)])
    data = path / "data.mdb"
    os.truncate(data, data.stat().st_size // 2)
    with pytest.raises(StoreTruncatedError, match="last page ends at"):
        LmdbLog.open(path)


def test_no_file_of_a_store_takes_the_place_of_a_standard_stream_that_a_process_was_started_without(
    path: Path,
) -> None:
    code = (
        "import os, sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "log = LmdbLog.open(sys.argv[1])\n"
        "nothing = os.stat(os.devnull).st_rdev\n"
        "os._exit(0 if all(os.fstat(number).st_rdev == nothing for number in range(3)) else 1)\n"
    )
    shell = 'exec "$0" -c "$1" "$2" 0<&- 1>&- 2>&-'
    command = ["/bin/sh", "-c", shell, sys.executable, code, str(path)]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=30).returncode == 0
