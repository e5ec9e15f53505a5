"""What the engine's errors mean in the words of the store."""

from __future__ import annotations

import os
from typing import Final

import lmdb

from eventstore.errors import (
    CorruptStoreError,
    DiskFullError,
    NotAStoreError,
    OutcomeUnknownError,
    StoreAccessError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
)

_FULL: Final = ("No space left", "Disk quota exceeded")
_CUT_SHORT: Final = "Input/output error"
_NO_ROOM: Final = 64 * 1024
"""Bytes that a disk which is full may have left."""
_DAMAGE: Final = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError, lmdb.InvalidError)


def is_open_already(error: lmdb.Error) -> bool:
    """Whether another handle of this process has the same files open."""
    return "already open in this process" in str(error)


def open_error(error: lmdb.Error) -> StoreError:
    """Return what a failed opening means."""
    if is_open_already(error):
        return StoreInUseError(f"{error} Share that handle instead.")
    if isinstance(error, lmdb.VersionMismatchError):
        return StoreFormatError(str(error))
    if isinstance(error, lmdb.ReadonlyError):
        return StoreAccessError(str(error))
    if isinstance(error, lmdb.DiskError):
        return StoreFullError(str(error))
    if isinstance(error, lmdb.MemoryError):
        return StoreError(str(error), remedy="Give the process more address space (`ulimit -v`).")
    if "Not a directory" in str(error):
        return NotAStoreError(str(error))
    return read_error(error)


def read_error(error: lmdb.Error) -> StoreError:
    """Return what a failed read means."""
    if isinstance(error, _DAMAGE):
        return CorruptStoreError(str(error))
    return StoreError(f"reading failed: {error}", remedy="Try again.")


def commit_error(error: BaseException, path: str | os.PathLike[str]) -> OutcomeUnknownError:
    """Return what a failed commit of a file at a path means: that nobody knows.

    What the disk had room for a part of is an input/output error for LMDB, as if the disk were broken.
    """
    text = f"a commit failed: {error}"
    if isinstance(error, lmdb.Error):
        if any(reason in text for reason in _FULL):
            return DiskFullError(text)
        if _CUT_SHORT in text and _is_full(path):
            return DiskFullError(f"a commit failed: the disk is full ({error})")
    return OutcomeUnknownError(text)


def _is_full(path: str | os.PathLike[str]) -> bool:
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NO_ROOM
