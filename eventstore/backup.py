"""Whole copies of a store, made while it is in use, and believed only when they were read back."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventstore.checking import check_log, check_past
from eventstore.data_file import verify
from eventstore.errors import CorruptStoreError, NotAStoreError, StoreFullError
from eventstore.files import sync_folder, sync_tree
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import DATA_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.records import Head

PARTIAL: Final = ".partial"


def copy_store(log: LmdbLog, target: str | os.PathLike[str]) -> Head:
    """Copy a store to a folder that does not exist yet; return the head of the copy.

    `NotAStoreError` if there is something already, `StoreFullError`, `CorruptStoreError`.
    """
    return build_aside(target, log.copy_to)


def build_aside(target: str | os.PathLike[str], fill: Callable[[Path], object]) -> Head:
    """Have a new folder filled with a store; return its head once all of it was read back.

    The folder has a name that ends in `.partial` until it is whole, was read from its beginning to its end, and is
    durable.
    """
    whole = Path(target)
    partial = whole.with_name(whole.name + PARTIAL)
    if whole.exists():
        raise NotAStoreError(f"{whole} is there already", remedy="Name a folder that does not exist yet.")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        fill(partial)
        head = checked(partial)
        sync_tree(partial)
        partial.rename(whole)
        sync_folder(whole.parent)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFullError(f"{whole}: {error.strerror}") from error
        text = f"{whole}: {error.strerror or error}"
        raise NotAStoreError(text, remedy="Name a folder that can be made.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return head


def checked(folder: Path) -> Head:
    """Return the head of a store that nobody uses, once all of it was read. `CorruptStoreError`."""
    verify(folder / DATA_NAME)
    with LmdbLog.open(folder, read_only=True) as copy:
        check = check_log(copy)
        problem = check.problem or check_past(copy)
    if problem:
        raise CorruptStoreError(f"{folder}: {problem}")
    return check.head
