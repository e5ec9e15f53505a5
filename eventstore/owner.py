"""Who owns a store: a lock that only its process holds, and a file that says which one it is."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from eventstore.decoding import json_decoder
from eventstore.errors import StoreInUseError
from eventstore.files import remove_file, write_file

LOCK_NAME: Final = "owner.lock"
INFO_NAME: Final = "owner.json"


class OwnerInfo(msgspec.Struct, frozen=True):
    """What an owner says about itself."""

    pid: int
    boot_id: str
    """Which start of the machine it lives in; empty if that cannot be known."""
    since: str
    """When it opened the store, ISO 8601, UTC."""
    transaction: int = -1
    """The last transaction that was there then."""

    def may_lack(self, transaction: int) -> bool:
        """Whether a file that ends with a transaction may lack the one behind it: the power took its meta page.

        So it is if the machine was started since, or that cannot be known. But as the first commit of an owner is
        flushed whole, a file that ends as the owner found it has all that was acknowledged.
        """
        return self.transaction != transaction and (not self.boot_id or self.boot_id != boot_id())


_DECODE: Final = json_decoder(OwnerInfo)
_LOG: Final = logging.getLogger("logistics.store")


class Owner:
    """The lock on a store.

    It is a POSIX lock: the kernel frees it when the process dies, however it dies, and a forked
    child does not inherit it (it would keep a lock of the other kind, `flock`). Its one trap: to
    close *any* descriptor of the lock file frees it, so the file is opened once, and never by others.
    """

    def __init__(self, folder: Path, descriptor: int, previous: OwnerInfo | None) -> None:
        """Hold a lock that was acquired."""
        self._info_path = folder / INFO_NAME
        self._descriptor = descriptor
        self._announced = False
        self.previous = previous
        """The owner before, if it did not close the store."""

    @classmethod
    def acquire(cls, folder: Path) -> Self:
        """Take the lock, without waiting. `StoreInUseError` if another process has it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(folder / LOCK_NAME, flags, 0o600)
        previous = read_owner(folder)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            cause = None if isinstance(error, BlockingIOError) else error  # which says nothing more
            raise StoreInUseError(f"{folder} is open in {_describe(previous)}") from cause
        return cls(folder, descriptor, previous)

    def announce(self, transaction: int) -> None:
        """Write down who holds the lock, durably: the next owner judges by it."""
        if self._announced:
            return
        since = datetime.now(UTC).isoformat(timespec="seconds")
        info = OwnerInfo(os.getpid(), boot_id(), since, transaction)
        write_file(self._info_path, msgspec.json.encode(info))
        self._announced = True

    def release(self, *, cleanly: bool) -> None:
        """Give the lock back. The note stays unless the store was closed cleanly, with all of it on the disk."""
        try:
            if self._announced and cleanly:
                remove_file(self._info_path)
        except OSError as error:
            _LOG.warning("%s stays, as if the store had not been closed: %s", self._info_path, error.strerror)
        finally:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Forget a lock that another handle of this same process turned out to hold.

        The descriptor stays open for ever, on purpose: closing it would free the other's lock.
        """

    def may_have_died_of(self, transaction: int) -> bool:
        """Whether the owner before did not close the store, and the pages may have to do with it.

        So it is if the machine was started since, or if it never wrote, and this is still the last transaction: reading
        the pages may have been its end, and that of the next one. Any other kill cannot damage the data (LMDB's
        pages are written in order).
        """
        before = self.previous
        return before is not None and (before.boot_id != boot_id() or before.transaction == transaction)

    def may_have_lost(self, transaction: int) -> bool:
        """Whether the owner before did not close the store, and what followed on its last transaction may be lost."""
        return self.previous is not None and self.previous.may_lack(transaction)


def boot_id() -> str:
    """Return the id of this start of the machine; empty if it cannot be known."""
    with contextlib.suppress(FileNotFoundError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    child = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    return child.stdout.strip()


def read_owner(folder: Path) -> OwnerInfo | None:
    """Return who has a store open, or had and did not close it; of a note that cannot be read, nobody's."""
    try:
        return _DECODE((folder / INFO_NAME).read_bytes())
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return OwnerInfo(0, "", "")


def living_owner(folder: Path) -> OwnerInfo | None:
    """Return whose process has a store open, as its note says; None if that process is gone."""
    owner = read_owner(folder)
    return owner if owner is not None and owner.boot_id == boot_id() and _is_alive(owner.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid > 0


def _describe(owner: OwnerInfo | None) -> str:
    if owner is None or not owner.pid:
        return "another process"
    return f"process {owner.pid}, since {owner.since}"
