"""The last commit before the machine went down, taken back into the log.

A commit is flushed once: its pages are on the disk then, and the meta page that leads to them follows with the next
flush. A power failure in between leaves a data file as of the commit before, and in its free pages the bytes of the
frame, which prove themselves by their checksum and by the link of the frame that they follow. So nothing that was
acknowledged is lost: `docs/decisions/0095`.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec

from eventstore.data_file import last_transaction
from eventstore.decoding import msgpack_decoder
from eventstore.errors import StoreError
from eventstore.files import remove_file, write_file
from eventstore.frame_table import put_frame, read_head
from eventstore.framing import decode_frame
from eventstore.high_water import HighWaterMark
from eventstore.loose_frames import find_following, read_bytes
from eventstore.owner import living_owner, read_owner
from eventstore.records import EMPTY, Frame, Head
from eventstore.shedding import read_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventstore.opening import Databases

NOTE_NAME: Final = "last_commit"
"""The file with what was found, until it is in the log."""

Left = tuple[Frame, bytes]
"""A frame that was left behind, and its bytes."""

_DECODE: Final = msgpack_decoder(list[bytes])
_LOG: Final = logging.getLogger("logistics.store")


def take_back(databases: Databases, data: Path, *, may_lack: bool) -> None:
    """Append what was left behind, durably. `lmdb.Error`, `OSError`, `CorruptStoreError`.

    It is noted in a file first: the free pages that it was found in are what an append writes to, and the power may
    fail once more.
    """
    with databases.environment.begin(buffers=True) as transaction:
        horizon = read_ledger(transaction, databases.about).horizon.head
        head = read_head(transaction, databases.frames, horizon=horizon)
    left = left_behind(data, head, may_lack=may_lack)
    if left:
        note_down(left, data)
        _append(databases, left)
        text = "the log in %s ended at position %d; commits up to %d were whole in the file, and are back"
        _LOG.warning(text, data.parent, head.position, left[-1][0].last)
    remove_file(data.with_name(NOTE_NAME))


def note_down(left: list[Left], data: Path) -> None:
    """Write frames into a file beside a data file: whoever opens that next appends them. `OSError`."""
    write_file(data.with_name(NOTE_NAME), msgspec.msgpack.encode([value for _, value in left]))


def waiting(data: Path, head: Head) -> list[Left]:
    """Return what the next owner of a store takes back into its log; nothing while somebody owns it. `OSError`."""
    if living_owner(data.parent) is not None:
        return []
    return left_behind(data, head, may_lack=_may_lack(data))


def may_wait(data: Path) -> bool:
    """Whether the power may have left something behind that no owner has taken back; not looked for here."""
    with contextlib.suppress(OSError):
        if living_owner(data.parent) is None:
            return _may_lack(data) or data.with_name(NOTE_NAME).exists()
    return False


def _may_lack(data: Path) -> bool:
    owner = read_owner(data.parent)
    return owner is not None and owner.may_lack(last_transaction(data))


def left_behind(data: Path, head: Head, *, may_lack: bool) -> list[Left]:
    """Return the frames that belong behind the end of a log and are not in it, in order. `OSError`.

    There may be some if the power failed under the owner before (`may_lack`), or if the log ends before its mark.
    """
    mark = HighWaterMark(data.parent).read()
    is_short = mark is not None and mark.position > head.position
    noted = list(_chain(head, lambda _link: _noted(data.with_name(NOTE_NAME))))
    if noted or not (may_lack or is_short):
        return noted
    return list(_chain(head, lambda link: (read_bytes(data, place) for place in find_following(data, link))))


def _chain(head: Head, candidates: Callable[[bytes], Iterable[bytes]]) -> Iterator[Left]:
    """Yield frame after frame.

    Of two that follow on one, the older is of a commit that failed. What is written first after that is flushed
    whole, so both are only there if a page was damaged. The first frame of all is flushed whole, too.
    """
    while head != EMPTY:
        following: list[Left] = []
        for value in candidates(head.link):
            with contextlib.suppress(StoreError):
                frame = decode_frame(head.position + 1, value)
                if frame.previous == head.link:
                    following.append((frame, value))
        if not following:
            return
        newest = max(following, key=lambda left: (left[0].epoch, left[0].recorded_us))
        yield newest
        head = newest[0].head


def _noted(note: Path) -> list[bytes]:
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        return _DECODE(note.read_bytes())
    return []


def _append(databases: Databases, left: list[Left]) -> None:
    environment = databases.environment
    try:
        with environment.begin(write=True) as transaction:
            for frame, value in left:
                put_frame(transaction, databases.frames, first=frame.first, value=value)
    except lmdb.MapFullError:
        environment.set_mapsize(2 * environment.info()["map_size"])
        _append(databases, left)
    environment.sync(force=True)
