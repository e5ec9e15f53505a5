"""Whole copies of a store, made while it is in use, and believed only when they were read back."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventstore.archive import FOLDER_NAME
from eventstore.checking import check_log, check_past
from eventstore.children import ChildDiedError, in_child
from eventstore.data_file import verify
from eventstore.errors import ArchiveError, CorruptStoreError, NotAStoreError, StoreError, StoreFullError
from eventstore.files import claim, make_folders, sync_folder, sync_tree
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import DATA_NAME
from eventstore.records import EMPTY, Head
from eventstore.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTIAL: Final = ".partial"
_LOG: Final = logging.getLogger("logistics.archive")


def copy_store(log: LmdbLog, target: str | os.PathLike[str], *, at_work: bool = False) -> Head:
    """Copy a store to a folder that does not exist yet; return the head of the copy.

    In a process that is `at_work`, which would wait for it, another one reads the copy back. `NotAStoreError` if
    there is something already, `StoreFullError`, `CorruptStoreError`.
    """
    return build_aside(target, log.copy_to, at_work=at_work)


def build_aside(
    target: str | os.PathLike[str], fill: Callable[[Path], object], *, at_work: bool = False
) -> Head:
    """Have a new folder filled with a store; return its head once all of it was read back.

    The folder has a name that ends in `.partial` until it is whole, was read from its beginning to its end, and is
    durable. Of two processes that make it at the same time, one is refused. An archive in it that is damaged is
    warned about.
    """
    whole = Path(target)
    try:
        is_there = whole.exists()
    except OSError as error:
        raise _refused(whole, error) from error
    if is_there:
        raise NotAStoreError(f"{whole} is there already", remedy="Name a folder that does not exist yet.")
    partial = whole.with_name(whole.name + PARTIAL)
    try:
        make_folders(partial.parent)
        with _folder_of_ours(partial):
            fill(partial)
            head = checked_elsewhere(partial) if at_work else checked(partial)
            sync_tree(partial)
            partial.rename(whole)
        sync_folder(whole.parent)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFullError(f"{whole}: {error.strerror}") from error
        raise _refused(whole, error) from error
    if damage := _damage_elsewhere(whole) if at_work else damage_of_archive(str(whole)):
        _LOG.warning("%s; so it was in what this is a copy of, and the rest of the copy is whole", damage)
    return head


@contextmanager
def _folder_of_ours(folder: Path) -> Iterator[None]:
    """Have an empty folder that no other process fills; what a killed one left there is removed, as ours if we fail.

    `BlockingIOError` while another process fills it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        claim(descriptor, folder)
        try:
            for left in folder.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> StoreError:
    text = f"{path}: {error.strerror or error}"
    if error.errno == errno.EIO:
        return StoreError(text, remedy="Look at that disk, and copy to another one.")
    return NotAStoreError(text, remedy="Name a folder that can be made.")


def checked(folder: Path) -> Head:
    """Return the head of a store that nobody uses, once all of it was read. `CorruptStoreError`."""
    verify(folder / DATA_NAME)
    with LmdbLog.open(folder, read_only=True) as copy:
        check = check_log(copy)
        problem = check.problem or check_past(copy)
    if problem:
        raise CorruptStoreError(f"{folder}: {problem}")
    return check.head


def checked_elsewhere(folder: Path) -> Head:
    """Do what `checked` does in a child process."""
    try:
        head, problem = in_child(read_back, str(folder), answer=tuple[Head, str])
    except ChildDiedError as error:
        raise CorruptStoreError(f"{folder} cannot be read back: {error}") from error
    if problem:
        raise CorruptStoreError(problem)
    return head


def read_back(path: str) -> tuple[Head, str]:
    """Return the head of a store, or what is wrong with it."""
    try:
        return checked(Path(path)), ""
    except StoreError as error:
        return EMPTY, str(error)


def damage_of_archive(path: str) -> str:
    """Return what is wrong with the archive of a store, as far as there are files of it; empty if nothing is."""
    folder = Path(path)
    with LmdbLog.open(folder, read_only=True) as log:
        shelf = Shelf(folder / FOLDER_NAME, log.horizon.head)
    try:
        shelf.check()
    except ArchiveError as error:
        return str(error)
    return ""


def _damage_elsewhere(folder: Path) -> str:
    """Do what `damage_of_archive` does in a child process."""
    try:
        return in_child(damage_of_archive, str(folder), answer=str)
    except ChildDiedError as error:
        return f"the archive of {folder} cannot be read back: {error}"
