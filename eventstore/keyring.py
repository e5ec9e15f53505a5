"""The keys of subjects: a file beside the log, in which a key can be destroyed where it stands.

The file is a row of slots of one size, none of which crosses a sector. A key that goes is overwritten in place by a
word that it is to be put on record, and that by zeros once it is. Whom a key belongs to is kept as a keyed hash only.
"""

from __future__ import annotations

import fcntl
import hmac
import io
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

from eventstore.errors import StoreError, StoreFullError, StoreInUseError
from eventstore.files import sync_folder

logger = logging.getLogger("logistics.keys")

FILE_NAME: Final = "keys"
_MAGIC: Final = b"logistics keys 1"
_SLOT: Final = Struct(">IB3x16s16s64sQ16x")
"""CRC-32 of what follows, state, id, whose it is (keyed hash), the key or who destroyed it, when that was."""
_LIVE, _DESTROYED, _HEADER = 1, 2, 3
_ZEROS: Final = bytes(_SLOT.size)
KEY_BYTES: Final = 64
_ID_BYTES: Final = 16
_NOBODY: Final = bytes(_ID_BYTES)


class Destroyed(NamedTuple):
    """A key that was destroyed, which is not known to be on record yet."""

    key: str
    at_us: int
    by: str


class KeyRing:
    """Keys by their ids and by whose they are. Every change is durable when its method returns. Safe for threads."""

    def __init__(self, path: Path | None) -> None:
        """Open a file, made when the first key is; None: kept nowhere.

        `StoreInUseError` if another process has it open, another `StoreError` if it cannot be read.
        """
        self._path = path
        self._lock = threading.RLock()
        self._file: BinaryIO | None = None
        self._secret = b""
        self._places: dict[str, int] = {}
        self._keys: dict[str, bytes] = {}
        self._owners: dict[bytes, str] = {}
        self._free: list[int] = []
        self._end = 1
        self.destroyed: dict[str, Destroyed] = {}
        """Keys that were destroyed, and are not known to be on record."""
        self.damaged = 0
        """Keys that cannot be read any more, for another reason than that somebody has destroyed them."""
        if path is not None and _is_there(path):
            self._open(path, os.O_RDWR)
            self._read(path)

    @classmethod
    def copy_of(cls, path: Path) -> KeyRing:
        """Return what a file holds that another process may have open: no change of it is kept.

        `StoreError` if it cannot be read.
        """
        ring = cls(None)
        with _opened(path, os.O_RDONLY) as file:
            ring._file = io.BytesIO(file.read())
        ring._read(path)
        return ring

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._keys))

    def get(self, key: str) -> bytes | None:
        """Return a key by its id; None if it is not here."""
        return self._keys.get(key)

    def find(self, subject: str) -> str:
        """Return the id of a subject's key; empty if it has none."""
        return self._owners.get(self._owner(subject), "") if self._secret else ""

    def make(self, subject: str) -> str:
        """Return the id of a subject's key, which is made if there is none."""
        with self._lock:
            if not self._secret:
                self._begin()
            owner = self._owner(subject)
            if owner in self._owners:
                return self._owners[owner]
            key, secret = secrets.token_bytes(_ID_BYTES), secrets.token_bytes(KEY_BYTES)
            place = self._free[-1] if self._free else self._end
            self._write(place, _slot(_LIVE, key, owner, secret, 0))
            if self._free:
                self._free.pop()
            else:
                self._end += 1
            self._take(place, key, owner, secret)
            return key.hex()

    def destroy(self, key: str, *, at_us: int, by: str) -> None:
        """Overwrite a key; from now on it is among the `destroyed`, until it is known to be on record.

        Of `by`, up to `KEY_BYTES` bytes have room.
        """
        with self._lock:
            slot = _slot(_DESTROYED, bytes.fromhex(key), _NOBODY, by.encode(), at_us)
            self._write(self._places[key], slot)
            self._drop(key)
            self.destroyed[key] = Destroyed(key, at_us, by)

    def forget(self, key: str) -> None:
        """Overwrite all that is left of a key with zeros."""
        with self._lock:
            place = self._places.pop(key)
            self._write(place, _ZEROS)
            self._drop(key)
            self.destroyed.pop(key, None)
            self._free.append(place)

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    # -- the file ------------------------------------------------------------------------------------------

    def _owner(self, subject: str) -> bytes:
        return hmac.digest(self._secret, subject.encode(), "sha256")[:_ID_BYTES]

    def _begin(self) -> None:
        """Make the file, unless somebody else did since it was looked for."""
        if self._path is None:
            self._file = io.BytesIO()
        elif self._file is None:
            self._open(self._path, os.O_RDWR | os.O_CREAT)
            self._read(self._path)
        if not self._secret:
            secret = secrets.token_bytes(32)
            self._write(0, _slot(_HEADER, _MAGIC, _NOBODY, secret, 0))
            self._secret = secret
        if self._path is not None:
            sync_folder(self._path.parent)

    def _open(self, path: Path, how: int) -> None:
        self._file = _opened(path, how)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            self._file = None
            cause = None if isinstance(error, BlockingIOError) else error  # which says nothing more
            raise StoreInUseError(f"the keys {path} are in use by another process") from cause

    def _read(self, path: Path) -> None:
        assert self._file is not None
        data = self._file.read()
        header = _read_slot(data[: _SLOT.size])
        if header is None or header.state != _HEADER or header.key != _MAGIC:
            if data.strip(b"\0"):
                raise StoreError(f"{path} is no file of keys, or is damaged", remedy="Put a copy back.")
            return  # its making was cut short: no key was given out
        self._secret = header.content[:32]
        self._end = len(data) // _SLOT.size
        for place in range(1, self._end):
            raw = data[place * _SLOT.size : (place + 1) * _SLOT.size]
            slot = _read_slot(raw)
            if slot is not None:
                self._take_slot(place, slot)
            elif raw == _ZEROS:
                self._free.append(place)
            else:
                self.damaged += 1
        if self.damaged:
            logger.error("%d keys of %s are damaged: what they sealed cannot be read", self.damaged, path)

    def _take_slot(self, place: int, slot: _Slot) -> None:
        if slot.state == _LIVE:
            self._take(place, slot.key, slot.owner, slot.content)
        else:
            key, by = slot.key.hex(), slot.content.rstrip(b"\0").decode(errors="replace")
            self._places[key] = place
            self.destroyed[key] = Destroyed(key, slot.at_us, by)

    def _take(self, place: int, key: bytes, owner: bytes, secret: bytes) -> None:
        name = key.hex()
        self._places[name], self._keys[name], self._owners[owner] = place, secret, name

    def _drop(self, key: str) -> None:
        self._keys.pop(key, None)
        self._owners = {owner: other for owner, other in self._owners.items() if other != key}

    def _write(self, place: int, slot: bytes) -> None:
        assert self._file is not None
        try:
            self._file.seek(place * _SLOT.size)
            if self._file.write(slot) < len(slot):
                raise StoreFullError(f"the keys {self._path} cannot be written: there is no room")
            if self._path is not None:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreFullError(f"the keys {self._path} cannot be written: {error.strerror}") from error


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(f"the keys {path} cannot be opened: {error.strerror}") from error


def _opened(path: Path, how: int) -> BinaryIO:
    try:
        descriptor = os.open(path, how | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"the keys {path} cannot be opened: {error.strerror}") from error
    return os.fdopen(descriptor, "r+b" if how & os.O_RDWR else "rb", buffering=0)


class _Slot(NamedTuple):
    """What is in a slot."""

    state: int
    key: bytes
    owner: bytes
    content: bytes
    at_us: int


def _slot(state: int, key: bytes, owner: bytes, content: bytes, at_us: int) -> bytes:
    bare = _SLOT.pack(0, state, key, owner, content, at_us)
    return crc32(bare[4:]).to_bytes(4, "big") + bare[4:]


def _read_slot(raw: bytes) -> _Slot | None:
    """Return what is in a slot; None if it is free or damaged."""
    if len(raw) < _SLOT.size or raw[:4] != crc32(raw[4:]).to_bytes(4, "big"):
        return None
    slot = _Slot(*_SLOT.unpack(raw)[1:])
    return slot if slot.state else None
