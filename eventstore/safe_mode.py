"""A store whose replay fails again and again is left alone (F19).

Only starts whose replay raised, at the same record, count; one that was killed says nothing. Another version of
the code may try anew.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from eventstore.decoding import json_decoder
from eventstore.errors import ReplayError, SafeModeError
from eventstore.files import remove_file, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRIES: Final = 3
"""Starts that fail at one record before the store is left alone."""
FILE_NAME: Final = "replay_failures.json"


class Failures(msgspec.Struct, frozen=True):
    """Starts in a row that failed at the same record."""

    position: int
    times: int
    version: str
    why: str


_DECODE: Final = json_decoder(Failures)


@contextlib.contextmanager
def guarded(folder: Path, version: str) -> Iterator[None]:
    """Count a `ReplayError` of the block. `SafeModeError` instead of the block after too many of them."""
    before = read_failures(folder)
    if before is not None and before.version != version:
        before = None
    if before is not None and before.times >= TRIES:
        raise SafeModeError(
            f"{folder} is in safe mode: {before.times} starts in a row failed at position {before.position}: "
            f"{before.why}"
        )
    try:
        yield
    except ReplayError as error:
        again = before is not None and before.position == error.position
        times = before.times + 1 if before is not None and again else 1
        failures = Failures(error.position, times, version, str(error))
        with contextlib.suppress(OSError):
            write_file(folder / FILE_NAME, msgspec.json.encode(failures))
        raise
    with contextlib.suppress(OSError):  # what was opened is open
        forget_failures(folder)


def read_failures(folder: Path) -> Failures | None:
    """Return what was counted so far; None if there is nothing, or it cannot be read."""
    try:
        return _DECODE((folder / FILE_NAME).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def forget_failures(folder: Path) -> None:
    """Allow new tries."""
    remove_file(folder / FILE_NAME)
