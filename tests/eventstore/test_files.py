"""Small files: whole or not at all, and not somewhere else."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from eventstore import files
from eventstore.files import claim, make_folders, remove_file, write_file


def test_a_file_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "note"
    for content in (b"a longer text", b"short"):
        write_file(path, content)
        assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    write_file(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    (tmp_path / "note.new").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        write_file(tmp_path / "note", b"ours")
    assert target.read_bytes() == b"theirs"


def test_what_is_gone_can_be_removed(tmp_path: Path) -> None:
    write_file(tmp_path / "note", b"")
    remove_file(tmp_path / "note")
    remove_file(tmp_path / "note")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_made_are_durable_in_those_that_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folders(tmp_path / "one" / "two" / "three")
    assert (tmp_path / "one" / "two" / "three").is_dir()
    assert synced == [tmp_path, tmp_path / "one", tmp_path / "one" / "two"]
    make_folders(tmp_path / "one" / "two")
    assert len(synced) == 3
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folders(tmp_path / "file" / "under")


def test_folders_that_another_process_makes_at_the_same_time_are_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_overtaken(_folder: Path) -> None:
        (tmp_path / "one" / "two").mkdir(exist_ok=True)

    monkeypatch.setattr(files, "sync_folder", be_overtaken)
    make_folders(tmp_path / "one" / "two" / "three")
    assert (tmp_path / "one" / "two" / "three").is_dir()


def test_what_was_given_its_name_since_it_was_opened_is_not_ones_own(tmp_path: Path) -> None:
    with (tmp_path / "one").open("ab") as first, (tmp_path / "one").open("ab") as second:
        claim(first.fileno(), tmp_path / "one")
        with pytest.raises(BlockingIOError, match="another process"):
            claim(second.fileno(), tmp_path / "one")
        (tmp_path / "one").rename(tmp_path / "whole")
        first.close()
        with pytest.raises(BlockingIOError, match="another process"):
            claim(second.fileno(), tmp_path / "one")


def test_where_a_file_system_has_no_locks_a_file_is_made_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "one").open("ab") as file:
        claim(file.fileno(), tmp_path / "one")
