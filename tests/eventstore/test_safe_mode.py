"""F19: a store whose replay fails again and again is left alone."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from eventstore.errors import ReplayError, SafeModeError
from eventstore.safe_mode import FILE_NAME, TRIES, forget_failures, guarded, read_failures


def fail(folder: Path, position: int = 7, version: str = "1") -> None:
    with pytest.raises(ReplayError), guarded(folder, version):
        raise ReplayError(position, "job:x", "job.started", KeyError("x"))


def test_three_failures_at_one_record_end_in_safe_mode_which_names_it(tmp_path: Path) -> None:
    for _ in range(TRIES):
        fail(tmp_path)
    with pytest.raises(SafeModeError, match=r"position 7.*'job:x'"), guarded(tmp_path, "1"):
        pytest.fail("it was tried again")
    forget_failures(tmp_path)
    fail(tmp_path)


def test_failures_at_different_records_or_after_a_success_begin_anew(tmp_path: Path) -> None:
    for position in (1, 1, 2, 2, 1, 1):
        fail(tmp_path, position)
    with guarded(tmp_path, "1"):
        pass
    assert read_failures(tmp_path) is None
    fail(tmp_path, 1)


def test_a_success_whose_count_cannot_be_removed_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("eventstore.safe_mode.remove_file", fail)
    with guarded(tmp_path, "1"):
        pass


def test_another_version_may_try_anew(tmp_path: Path) -> None:
    for _ in range(TRIES):
        fail(tmp_path)
    with guarded(tmp_path, "2"):
        pass


def test_other_errors_and_kills_do_not_count(tmp_path: Path) -> None:
    for error in (KeyboardInterrupt, OSError, SystemExit) * 2:
        with pytest.raises(error), guarded(tmp_path, "1"):
            raise error
    assert read_failures(tmp_path) is None


def test_a_count_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert read_failures(tmp_path) is None
    fail(tmp_path)
    (tmp_path / FILE_NAME).rmdir()
    (tmp_path / FILE_NAME).write_bytes(b"\xff{")
    assert read_failures(tmp_path) is None
    fail(tmp_path)
