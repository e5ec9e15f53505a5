"""The archive of one log: the files that lead to its horizon, each opened when something in it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.archive import ArchiveFile, files_upto
from eventstore.errors import ArchiveError
from eventstore.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.records import Head


class Shelf:
    """Files of which a damaged one fails the reads that need it, and no other.

    That a file is of this log is known by the chain, from the ones behind it: they are opened first.
    """

    def __init__(self, folder: Path, head: Head) -> None:
        """Look which files there are up to a head of the log."""
        self._head = head
        self._found = files_upto(folder, head.position)[::-1]
        self._opened: list[ArchiveFile] = []
        """As far as it was needed; like what was found, from the newest downwards."""

    @property
    def begin(self) -> int:
        """The position before the first record in it; that of the head if there is no file."""
        return self._found[-1].before if self._found else self._head.position

    @property
    def before(self) -> Head:
        """The head of the log before the first record in it. `ArchiveError`."""
        if not self._found:
            return self._head
        return self._file(len(self._found) - 1).table.before if self.begin else EMPTY

    def files(self, *, after: int = 0, upto: int | None = None) -> Iterator[ArchiveFile]:
        """Yield the files with something behind a position, and up to another, oldest first. `ArchiveError`."""
        for number in range(len(self._found) - 1, -1, -1):
            found = self._found[number]
            if after < found.last and (upto is None or found.before < upto):
                yield self._file(number)

    def check(self) -> None:
        """Read all of it: checksums and chain. `ArchiveError`."""
        for file in self.files():
            file.check()

    def _file(self, number: int) -> ArchiveFile:
        for found in self._found[len(self._opened) : number + 1]:
            file = ArchiveFile(found.path)
            head = self._opened[-1].table.before if self._opened else self._head
            if file.table.head != head or file.table.before.position != found.before:
                raise ArchiveError(f"{file.path} does not belong to this log: the chain is broken there")
            self._opened.append(file)
        return self._opened[number]
