"""How far the log had come, on a file beside it: what shows that the log went back (F31, F32).

The engine falls back to an older meta page when the newest is damaged, and an older copy of the data file looks
as whole as a newer one. Neither is noticed inside the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from eventstore.decoding import json_decoder
from eventstore.errors import StoreRolledBackError
from eventstore.files import remove_file, write_file
from eventstore.records import Head

if TYPE_CHECKING:
    from collections.abc import Callable

HIGH_WATER_NAME: Final = "high_water.json"


class HighWater(msgspec.Struct, frozen=True):
    """A head that the log had, durably."""

    store_id: str
    position: int
    link: str
    """Of the frame that ends there, in hexadecimal digits."""


_DECODE: Final = json_decoder(HighWater)


class HighWaterMark:
    """The mark of one store."""

    def __init__(self, folder: Path) -> None:
        """Name the file; it is made with the first note."""
        self._path = folder / HIGH_WATER_NAME
        self._noted = 0

    def note(self, store_id: str, head: Head) -> None:
        """Write a durable head down, durably, unless it is the one that is there. `OSError` if that fails."""
        if head.position != self._noted:
            mark = HighWater(store_id, head.position, head.link.hex())
            write_file(self._path, msgspec.json.encode(mark))
            self._noted = head.position

    def check(self, store_id: str, head: Head, head_at: Callable[[int], Head], *, since: int = 0) -> None:
        """Refuse a log that does not hold what it held before: `StoreRolledBackError`.

        A mark that is missing, damaged, of another store, or of what was compacted since, says nothing.
        """
        mark = self.read()
        if mark is None or mark.store_id != store_id or not mark.position:
            return
        if mark.position > head.position:
            raise StoreRolledBackError(
                f"{self._path.parent} ends at position {head.position}, and has been at {mark.position}"
            )
        if mark.position > since and head_at(mark.position).link.hex() != mark.link:
            raise StoreRolledBackError(
                f"{self._path.parent} has another history than it had: position {mark.position} is not the same"
            )
        self._noted = mark.position

    def remove(self) -> None:
        """Forget the mark: what the log holds now is accepted."""
        remove_file(self._path)

    def read(self) -> HighWater | None:
        """Return what the file says; None if it is missing or cannot be read."""
        try:
            return _DECODE(self._path.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
