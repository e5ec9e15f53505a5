"""Frames found by their own bytes, wherever in a file they are: neither the engine nor its pages are asked.

A frame lies in one piece in a data file, and says its length, its checksum, and what it follows. So whatever is
left of a log can be read from a file that the engine cannot, or must not, open.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from eventstore.errors import StoreError
from eventstore.framing import HEADER_SIZE, LINK_AT, decode_frame, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.records import Frame

# What a header looks like: format and flags, checksum, a length below 1 GiB, position and epoch below 2^48.
_LIKELY: Final = re.compile(rb"\x01\x00(?=.{4}[\x00-\x3f].{3}\x00\x00.{6}\x00\x00)", re.DOTALL)
_CHUNK: Final = 8 * 1024**2
_PAGE: Final = 4096


class LooseFrame(NamedTuple):
    """A whole frame in a file, and where it says that it belongs."""

    offset: int
    size: int
    first: int
    last: int
    age: tuple[int, int]
    """Epoch and time: the greater, the newer."""
    previous: bytes
    link: bytes


def find_frames(path: Path) -> Iterator[LooseFrame]:
    """Yield each whole frame of a file, in no order, perhaps twice; what cannot be read is passed over.

    `OSError` if the file cannot be opened.
    """
    return _frames_like(_LIKELY, 0, path)


def find_following(path: Path, link: bytes) -> Iterator[LooseFrame]:
    """Yield each whole frame of a file that says it follows the one with this link: as fast as the file is read."""
    return _frames_like(re.compile(re.escape(link)), LINK_AT, path)


def _frames_like(pattern: re.Pattern[bytes], lead: int, path: Path) -> Iterator[LooseFrame]:
    """Yield the whole frames that begin so many bytes before a pattern."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        begin = behind = 0
        while chunk := _read(descriptor, begin, _CHUNK + HEADER_SIZE):
            for found in pattern.finditer(chunk):
                offset = begin + found.start() - lead
                # Not inside of another frame: what a job was given may look like one.
                if behind <= offset < begin + _CHUNK and (frame := _frame_at(descriptor, offset)):
                    behind = offset + frame.size
                    yield frame
            begin += _CHUNK
    finally:
        os.close(descriptor)


def read_loose(path: Path, place: LooseFrame) -> Frame:
    """Return a frame that was found. `CorruptStoreError` if it is not there any more."""
    return decode_frame(place.first, read_bytes(path, place))


def read_bytes(path: Path, place: LooseFrame) -> bytes:
    """Return the bytes of a frame that was found."""
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), place.size, place.offset)


def _frame_at(descriptor: int, offset: int) -> LooseFrame | None:
    try:
        size, first = size_of(_read(descriptor, offset, HEADER_SIZE))
        if offset + size > os.fstat(descriptor).st_size:
            return None
        frame = decode_frame(first, _read(descriptor, offset, size))
    except StoreError:
        return None
    age = (frame.epoch, frame.recorded_us)
    return LooseFrame(offset, size, frame.first, frame.last, age, frame.previous, frame.link)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    """Read as much as there is; zeros stand for pages that the disk does not give."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        if error.errno != errno.EIO or size <= _PAGE:
            if error.errno == errno.EIO:
                return bytes(size)
            raise
    return b"".join(
        _read(descriptor, at, min(_PAGE, offset + size - at)) for at in range(offset, offset + size, _PAGE)
    )
