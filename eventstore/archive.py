"""What was compacted, in files: the frames of a stretch of the log, as they were, compressed, provable, searchable.

A file is a line that says what it is; blocks of frames, each compressed on its own; and at the end a table of the
blocks, so that a reader finds the block of a position, and the few blocks that may have records of an entity,
without reading the others. Files follow one another without a gap.
"""

from __future__ import annotations

import importlib
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import ArchiveError, StoreFullError
from eventstore.files import remove_file, sync_folder
from eventstore.framing import decode_frame, encode_frame
from eventstore.log import Log
from eventstore.records import DECODE_ERRORS, EMPTY, Frame, Head
from eventstore.segments import digest_of, filter_holds, filter_of

FOLDER_NAME: Final = "archive"
SUFFIX: Final = ".frames.zst"
_MAGIC: Final = b"logistics archive 1\n"
_LENGTH: Final = Struct(">I")
_TAIL: Final = Struct(">IQ")
"""CRC-32 of the table, and where it begins."""
_BLOCK_BYTES: Final = 1 << 20
"""Bytes of frames in a block, before they are compressed."""
_LEVEL: Final = 9
_DIGITS: Final = 20


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Some frames, compressed together."""

    first: int
    """The position of the first record."""
    offset: int
    size: int
    sha256: bytes
    """Of its compressed bytes."""
    filter: bytes
    """A Bloom filter of the entities: as in a segment of the index."""


class Table(msgspec.Struct, frozen=True, array_like=True):
    """What a file says of itself."""

    store_id: str
    before: Head
    """The head of the log before the first frame."""
    head: Head
    """The head behind the last one."""
    blocks: list[Block]


_TABLE: Final = msgpack_decoder(Table)
_FRAMES: Final = msgpack_decoder(list[tuple[int, bytes]])
_ENCODER: Final = msgspec.msgpack.Encoder()


def archive_name(before: Head, head: Head) -> str:
    """Return the name of the file for what is between two heads."""
    return f"{before.position + 1:0{_DIGITS}d}-{head.position:0{_DIGITS}d}{SUFFIX}"


class Found(NamedTuple):
    """A file of the archive by its name alone."""

    before: int
    """The position before its first record."""
    last: int
    """The position of its last one."""
    path: Path


def files_upto(folder: Path, position: int) -> list[Found]:
    """Return the files that lead to a position without a gap, the oldest first. None of them is opened."""
    by_end: dict[int, Found] = {}
    for path in folder.glob(f"*{SUFFIX}"):
        begin, _, end = path.name.removesuffix(SUFFIX).partition("-")
        if begin.isdecimal() and end.isdecimal():
            by_end[int(end)] = Found(int(begin) - 1, int(end), path)
    found: list[Found] = []
    while position in by_end:
        found.insert(0, by_end.pop(position))
        position = found[0].before
    return found


def copy_archive(store: Path, other: Path) -> None:
    """Copy the archive of a store, if it has one, into the folder of another. `OSError`."""
    if (store / FOLDER_NAME).is_dir():
        (other / FOLDER_NAME).mkdir(mode=0o700)
        for path in (store / FOLDER_NAME).glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # removed meanwhile: of a compaction that was given up
                shutil.copy(path, other / FOLDER_NAME)


def whole_archive(folder: Path) -> list[ArchiveFile]:
    """Return the files from the very first position on, as far as they lead, all of them read and proven.

    `ArchiveError` if one of them is damaged, or does not follow on the one before.
    """
    files: list[ArchiveFile] = []
    head = EMPTY
    while found := sorted(folder.glob(f"{head.position + 1:0{_DIGITS}d}-*{SUFFIX}")):
        file = ArchiveFile(found[-1])
        if file.table.before != head:
            raise ArchiveError(f"{file.path} does not follow on what is before it: the chain is broken there")
        file.check()
        files.append(file)
        head = file.table.head
    return files


def write_archive(log: Log, folder: Path, *, upto: Head) -> str:
    """Write what is between the log's horizon and a head into a new file, read it back, and return its name.

    `ArchiveError` if it cannot be written or read back, or the extra is not installed.
    """
    before = log.horizon.head
    name = archive_name(before, upto)
    path = folder / name
    temporary = path.with_name(name + ".new")
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            sync_folder(folder.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            _write(file, log, before, upto)
            file.flush()
            os.fsync(file.fileno())
        ArchiveFile(temporary).check()
        temporary.replace(path)
        begun = f"{before.position + 1:0{_DIGITS}d}-*{SUFFIX}"
        for stale in {*folder.glob(begun), *folder.glob(f"{begun}.new")} - {path}:
            remove_file(stale)  # written for a compaction that was given up, or cut short
        sync_folder(folder)
    except OSError as error:
        raise StoreFullError(f"the archive {path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()  # what is there of it if it failed: on a full disk it is in everybody's way
    return name


def _write(file: Any, log: Log, before: Head, upto: Head) -> None:
    compress = _zstandard().ZstdCompressor(level=_LEVEL).compress
    blocks: list[Block] = []
    waiting: list[Frame] = []
    rows: list[tuple[int, bytes]] = []
    size = 0
    file.write(_MAGIC)

    def flush() -> None:
        data = compress(_ENCODER.encode(rows))
        entities = {record.entity for frame in waiting for record in frame.records}
        blocks.append(
            Block(waiting[0].first, file.tell(), len(data), sha256(data).digest(), filter_of(entities))
        )
        file.write(data)
        waiting.clear()
        rows.clear()

    head = before
    for frame in log.frames(after=before.position, upto=upto.position):
        written, value = encode_frame(
            frame.records, head=head, epoch=frame.epoch, recorded_us=frame.recorded_us
        )
        if written.link != frame.link:
            raise ArchiveError(f"the frame at position {frame.first} is not written as it was")
        head = frame.head
        waiting.append(frame)
        rows.append((frame.first, value))
        size += len(value)
        if size >= _BLOCK_BYTES:
            flush()
            size = 0
    if waiting:
        flush()
    table = _ENCODER.encode(Table(log.store_id, before, upto, blocks))
    begin = file.tell()
    file.write(table)
    file.write(_TAIL.pack(crc32(table), begin))


class ArchiveFile:
    """One file of the archive, to be read by one thread at a time. It is open only while something is read."""

    def __init__(self, path: Path) -> None:
        """Read a file's table. `ArchiveError` if it is not there, or damaged."""
        self.path = path
        self.table = self._read_table()
        self._firsts = [block.first for block in self.table.blocks]
        self._kept: tuple[int, list[Frame]] = (-1, [])

    def frames(self, *, after: int = 0) -> Iterator[Frame]:
        """Yield the frames with something behind a position, in order, each checked."""
        number = max(bisect_right(self._firsts, after + 1) - 1, 0)
        for place in range(number, len(self._firsts)):
            for frame in self._frames(place):
                if frame.last > after:
                    yield frame

    def frame_of(self, position: int) -> Frame:
        """Return the frame that holds a position."""
        frames = self._frames(bisect_right(self._firsts, position) - 1)
        return next(frame for frame in frames if position <= frame.last)

    def positions_of(self, entity: str) -> Iterator[int]:
        """Yield the positions of an entity's records."""
        digest = digest_of(entity)
        for place, block in enumerate(self.table.blocks):
            if filter_holds(block.filter, digest):
                for frame in self._frames(place):
                    for position, record in enumerate(frame.records, frame.first):
                        if record.entity == entity:
                            yield position

    def check(self) -> None:
        """Read all of it: every checksum, and the chain from its beginning to its end. `ArchiveError`."""
        head = self.table.before
        for frame in self.frames():
            if frame.first != head.position + 1 or frame.previous != head.link:
                raise ArchiveError(f"{self.path}: the chain is broken at position {frame.first}")
            head = frame.head
        if head != self.table.head:
            raise ArchiveError(f"{self.path} ends at {head.position}, and says {self.table.head.position}")

    def _frames(self, place: int) -> list[Frame]:
        number, frames = self._kept
        if number != place:
            frames = self._read_block(self.table.blocks[place])
            self._kept = (place, frames)
        return frames

    def _read_block(self, block: Block) -> list[Frame]:
        data = self._read(block.offset, block.size)
        zstandard = _zstandard()
        if sha256(data).digest() != block.sha256:
            raise ArchiveError(f"{self.path} is damaged at byte {block.offset}")
        try:
            rows = _FRAMES(zstandard.ZstdDecompressor().decompress(data))
        except (zstandard.ZstdError, *DECODE_ERRORS) as error:
            raise ArchiveError(f"{self.path} is damaged at byte {block.offset}: {error}") from error
        return [decode_frame(position, value) for position, value in rows]

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise ArchiveError(f"the archive {self.path} cannot be read: {error.strerror}") from error

    def _read(self, offset: int, size: int) -> bytes:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise ArchiveError(f"the archive {self.path} cannot be read: {error.strerror}") from error

    def _read_table(self) -> Table:
        end = self._size() - _TAIL.size
        if end < 0 or self._read(0, len(_MAGIC)) != _MAGIC:
            raise ArchiveError(f"{self.path} is no archive of a store")
        checksum, begin = _TAIL.unpack(self._read(end, _TAIL.size))
        data = self._read(min(begin, end), max(end - begin, 0))
        if crc32(data) != checksum:
            raise ArchiveError(f"{self.path} is damaged: its table fails its checksum")
        try:
            table: Table = _TABLE(data)
        except DECODE_ERRORS as error:
            raise ArchiveError(f"{self.path} is damaged: {error}") from error
        return table


def check_can_archive() -> None:
    """`ArchiveError` if nothing can be archived here, as the extra for it is missing."""
    _zstandard()


def _zstandard() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise ArchiveError(
            "the archive needs the package zstandard",
            remedy="Run pip install 'logistics[archive]', or do without: archive=False, --no-archive.",
        ) from error
