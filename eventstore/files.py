"""Small files of a store: written whole or not at all, private, never through a symlink."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_STANDARD_ERROR: Final = 2


def fill_standard_descriptors() -> None:
    """Open what is missing of standard input, output and error on nothing.

    A daemon may be started without them. The next files to be opened would take their place, and what anybody
    prints, a library in C or the interpreter in its last moment, would be written into a store.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 -- it has no name there
    os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Replace a file's content, durably: a crash leaves the old one or the new one. `OSError` changes nothing."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()  # a piece of it: on a full disk it is in everybody's way
        raise
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def make_folders(folder: Path) -> None:
    """Make a folder and those that it is in, durably, where there are none. `OSError`."""
    if not folder.is_dir():
        make_folders(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
        sync_folder(folder.parent)


def claim(descriptor: int, path: Path) -> None:
    """Have a file or folder to oneself while it is made: until its descriptor is closed.

    `BlockingIOError` if another process has it, or had it when it was opened. Where a file system has no such locks,
    nobody is kept away.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_ours = False
    except OSError:
        return
    else:
        is_ours = path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))
    if not is_ours:
        raise BlockingIOError(errno.EAGAIN, "another process is making it")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_tree(folder: Path) -> None:
    """Make all that is in a folder durable, files and folders."""
    for path in (*folder.rglob("*"), folder):
        _sync(path, os.O_DIRECTORY if path.is_dir() else 0)


def _sync(path: Path, how: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
