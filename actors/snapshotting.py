"""Snapshots taken by a child process, which folds the durable log on its own: the engine never waits for one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.runtime.fold import first_states, replay, snapshot_of, whole_enough
from eventstore.archive import FOLDER_NAME as ARCHIVE_NAME
from eventstore.joined_log import JoinedLog
from eventstore.lmdb_log import LmdbLog
from eventstore.snapshots import FOLDER_NAME, Snapshot, SnapshotFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("logistics.snapshots")

NICENESS = 10
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from actors.snapshotting import end_with_parent; end_with_parent(); "
    "from {module} import main; main(sys.argv[2:])"
)


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has: it must not write beside the next owner."""

    def wait() -> None:
        os.read(0, 1)  # nobody writes: it returns when the other end is closed
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class Child:
    """Runs a module's `main` in a child process, one at a time, politely. It does not outlive its parent."""

    def __init__(self, module: str) -> None:
        self._code = CHILD.format(module=module)
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """Start a child; made while another thread closes, it is ended at once. `OSError` if there can be none."""
        command = [sys.executable, "-c", self._code, json.dumps(sys.path), *map(str, arguments)]
        child = subprocess.Popen(  # noqa: S603 -- our own interpreter and code, no shell
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._child = child
        if self._closed:  # looked at last, as `close` looks the other way round
            self.close()
        return child

    @staticmethod
    def end(child: subprocess.Popen[bytes]) -> tuple[int, bytes]:
        """Wait until a child has ended; return its exit code and what it said."""
        assert child.stdin is not None
        assert child.stderr is not None
        said = b""
        with suppress(ValueError):  # somebody else closed it
            said = child.stderr.read()
        code = child.wait()
        child.stdin.close()
        child.stderr.close()
        return code, said

    def close(self) -> None:
        """End the child, if there is one: what it has not finished is not done."""
        self._closed = True
        if self._child is not None:
            self._child.kill()
            self.end(self._child)
            self._child = None


class ChildPhotographer(Child):
    """Takes snapshots."""

    def __init__(self, folder: Path) -> None:
        super().__init__(__name__)
        self._folder = folder
        self._upto = 0
        self.taken = 0
        """Up to where the newest one goes that came to its end."""

    @property
    def busy(self) -> bool:
        """Whether a child is at work."""
        child = self._child
        if child is None or (code := child.poll()) is None:
            return child is not None
        self.end(child)
        self._child = None
        if code:
            logger.warning("a snapshot could not be taken (exit code %d); work goes on without it", code)
        else:
            self.taken = self._upto
        return False

    def take(self, upto: int) -> None:
        """Start a child. `OSError` if there can be none."""
        self._upto = upto
        self.start(self._folder, upto)

    def close(self) -> None:
        """End the child, if it has not come to its end."""
        if self.busy:
            super().close()


def take_snapshot(folder: Path, upto: int) -> None:
    """Fold a store, which may be in use, up to a durable position, and keep what comes out.

    `StoreError` for what cannot be read or written.
    """
    kept = SnapshotFolder(folder / FOLDER_NAME)
    with LmdbLog.open(folder, read_only=True) as log:
        states, begun = first_states(log, [actor.rules for actor in ACTORS], upto=upto)
        whole = whole_enough(log, begun, lambda: JoinedLog(log, folder / ARCHIVE_NAME))
        replay(whole, event_codec(), states, begun, upto=upto)
        (last,) = log.frames(after=upto - 1, upto=upto)
        for name, state in states.items():
            kept.save(name, Snapshot(upto, last.head, snapshot_of(state)))


def main(arguments: Sequence[str]) -> None:
    """Take a snapshot, politely, of the store and up to the position that are named."""
    os.nice(NICENESS)
    take_snapshot(Path(arguments[0]), int(arguments[1]))
