"""Snapshots taken by a child process, which folds the durable log on its own: the engine never waits for one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from actors.assembly import ACTORS, event_codec
from actors.runtime.fold import first_states, replay, snapshot_of
from eventstore.lmdb_log import LmdbLog
from eventstore.snapshots import FOLDER_NAME, Snapshot, SnapshotFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("logistics.snapshots")

NICENESS = 10
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from actors.snapshotting import main; main(sys.argv[2:])"
)


class ChildPhotographer:
    """Has one child at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def busy(self) -> bool:
        """Whether a child is at work."""
        child = self._child
        if child is None or (code := child.poll()) is None:
            return child is not None
        self._child = None
        if code:
            logger.warning("a snapshot could not be taken (exit code %d); work goes on without it", code)
        return False

    def take(self, upto: int) -> None:
        """Start a child. `OSError` if there can be none."""
        arguments = [sys.executable, "-c", CHILD, json.dumps(sys.path), str(self._folder), str(upto)]
        self._child = subprocess.Popen(  # noqa: S603 -- our own interpreter and code, no shell
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """End the child, if there is one: what it has not finished is no snapshot."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def take_snapshot(folder: Path, upto: int) -> None:
    """Fold a store, which may be in use, up to a durable position, and keep what comes out.

    `StoreError` for what cannot be read or written.
    """
    kept = SnapshotFolder(folder / FOLDER_NAME)
    with LmdbLog.open(folder, read_only=True) as log:
        states, begun = first_states(log, [actor.rules for actor in ACTORS], upto=upto)
        replay(log, event_codec(), states, begun, upto=upto)
        (last,) = log.frames(after=upto - 1, upto=upto)
        for name, state in states.items():
            kept.save(name, Snapshot(upto, last.head, snapshot_of(state)))


def main(arguments: Sequence[str]) -> None:
    """Take a snapshot, politely, of the store and up to the position that are named."""
    os.nice(NICENESS)
    take_snapshot(Path(arguments[0]), int(arguments[1]))
