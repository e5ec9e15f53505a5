"""A look at data.mdb without the engine: damage that would kill the interpreter is refused first.

The engine maps the file and trusts it: a short file means SIGBUS, a page of rubbish SIGABRT, an
empty file a fresh and empty database. So the two meta pages are parsed here, in pure Python.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import lmdb
import lmdb.verify

from eventstore.children import ChildDiedError, in_child
from eventstore.errors import CorruptStoreError, StoreFormatError, StoreTruncatedError

_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_META_AT: Final = 16
"""Bytes of a page's header, before the meta data."""
# Magic and version; page size; last page and transaction id, at 120 bytes from the magic.
_META: Final = struct.Struct("=II16xI92xQQ")
_MAGIC_AND_VERSION: Final = struct.Struct("=II")
_META_AT_OF_ANY_FORMAT: Final = (_META_AT, 24)
_SMALLEST: Final = _META_AT + _META.size
_USUAL_PAGE_SIZE: Final = 4096
_PAGE_SIZES: Final = frozenset(1 << exponent for exponent in range(9, 17))


class Meta(NamedTuple):
    """What one meta page says."""

    magic: int
    version: int
    page_size: int
    last_page: int
    transaction: int

    @property
    def is_valid(self) -> bool:
        """Whether the engine of this version would take it."""
        return self.magic == _MAGIC and self.version == _VERSION and self.page_size in _PAGE_SIZES


def look_at(path: Path) -> bool:
    """Look at the meta pages; tell whether they are as the last commit should have left them.

    `StoreTruncatedError` if pages in use are missing at the end, `StoreFormatError` for a format of
    a later engine, `CorruptStoreError` for what is no data file at all.
    """
    with path.open("rb", buffering=0) as file:
        # In one read, and the size after it: the owner may be writing while others look.
        start = file.read(max(_PAGE_SIZES) + _SMALLEST)
        size = os.fstat(file.fileno()).st_size
    metas = _read_metas(start)
    valid = [meta for meta in metas if meta.is_valid]
    if not valid:
        _refuse(path, start, size)
    newest = max(valid, key=lambda meta: meta.transaction)
    _check_size(path, size, (newest.last_page + 1) * newest.page_size)
    return len(valid) == len(metas) and _are_neighbours(*metas)


def last_transaction(path: Path) -> int:
    """Return the number of the last commit, of a file that was looked at."""
    with path.open("rb", buffering=0) as file:
        metas = _read_metas(file.read(max(_PAGE_SIZES) + _SMALLEST))
    return max(meta.transaction for meta in metas if meta.is_valid)


def verify(path: Path) -> None:
    """Walk all pages in a child process, at some 50 MB/s. `CorruptStoreError` if one is wrong."""
    try:
        problems = in_child(damaged_places, str(path), answer=list[str])
    except ChildDiedError as error:
        raise CorruptStoreError(f"{path} cannot be verified: {error}") from error
    if problems:
        raise CorruptStoreError(f"{path} has {len(problems)} damaged places, the first: {problems[0]}")


def damaged_places(path: str) -> list[str]:
    """Return what is wrong with the pages of a file, in words; may fail in any way on rubbish."""
    walk: Any = lmdb.verify.verify
    return [str(problem) for problem in walk(path)]


def open_unused(path: str) -> Any:
    """Open a data file that nobody uses, to read it; a context manager."""
    # as text the path would have to be UTF-8
    return lmdb.open(os.fsencode(path), subdir=False, readonly=True, lock=False, max_dbs=8, lib_version=0)


def read_everything(path: str) -> int:
    """Return the bytes of all keys and values, once each was touched; kills the process if one is not there."""
    size = 0
    with open_unused(path) as environment, environment.begin() as transaction:
        for name in list(transaction.cursor().iternext(values=False)):
            database = environment.open_db(name, transaction, create=False)
            size += sum(len(key) + len(value) for key, value in transaction.cursor(database))
    return size


def _read_metas(start: bytes) -> tuple[Meta, Meta]:
    even = _read_meta(start)
    return even, _read_meta(start[even.page_size if even.is_valid else _USUAL_PAGE_SIZE :])


def _read_meta(page: bytes) -> Meta:
    if len(page) < _SMALLEST:
        return Meta(0, 0, 0, 0, 0)
    return Meta._make(_META.unpack_from(page, _META_AT))


def _are_neighbours(even: Meta, odd: Meta) -> bool:
    """Transactions take turns on the two pages; a new file has 0 on both."""
    apart = abs(even.transaction - odd.transaction)
    in_turn = even.transaction % 2 == 0 and odd.transaction % 2 == 1
    return even.transaction == odd.transaction == 0 or (apart == 1 and in_turn)


def _check_size(path: Path, size: int, needed: int) -> None:
    """A page at the very end may be free and never written: only a look at all that is in use tells."""
    if size >= needed:
        return
    try:
        verify(path)
        in_child(read_everything, str(path), answer=int)
    except (CorruptStoreError, ChildDiedError) as error:
        message = f"{path} has {size} bytes, and its last page ends at {needed}: {error}"
        raise StoreTruncatedError(message) from error


def _refuse(path: Path, start: bytes, size: int) -> NoReturn:
    if size < _SMALLEST:
        raise StoreTruncatedError(f"{path} has only {size} bytes")
    for meta_at in _META_AT_OF_ANY_FORMAT:
        magic, version = _MAGIC_AND_VERSION.unpack_from(start, meta_at)
        if magic == _MAGIC and version > _VERSION:
            raise StoreFormatError(f"{path} is in format {version} of LMDB; this version reads {_VERSION}")
    raise CorruptStoreError(f"{path} is not a data file of LMDB, or both its meta pages are damaged")
