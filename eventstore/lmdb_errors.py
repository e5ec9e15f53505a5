"""What the engine's errors mean in the words of the store."""

from __future__ import annotations

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


def commit_error(error: BaseException) -> OutcomeUnknownError:
    """Return what a failed commit means: that nobody knows."""
    text = f"a commit failed: {error}"
    if isinstance(error, lmdb.Error) and any(reason in text for reason in _FULL):
        return DiskFullError(text)
    return OutcomeUnknownError(text)
