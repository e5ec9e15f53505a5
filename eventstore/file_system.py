"""Whether a folder lies on a file system that keeps the promises: LMDB is not for the network (F40)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
REMOTE: Final = frozenset(
    "9p afs ceph cifs fuse.sshfs fuse.s3fs glusterfs lustre ncpfs nfs nfs4 smb3 smbfs".split()  # noqa: SIM905 - a list
)
"""File systems of other machines: their locks, maps and flushes are not what a store needs."""


def remote_file_system(folder: Path) -> str:
    """Return the name of the file system that a folder lies on, if it is one of the network; else nothing.

    Empty, too, where that cannot be known: not on Linux.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    name = file_system_of(folder, mounts)
    return name if name in REMOTE else ""


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the name of the file system of a real path, of a list as in `/proc/self/mountinfo`."""
    deepest, found = -1, ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        if not rest:
            continue
        place = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields.split()[4]))
        # Of two mounts on one place the later hides the earlier.
        if folder.is_relative_to(place) and len(place.parts) >= deepest:
            deepest, found = len(place.parts), rest.split()[0]
    return found
