"""Children of an engine that is killed: the next owner finds nobody at work in its store."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.eventstore.support import ROOT
from tests.faults.engines import eventually

PARENT = """
import sys
from actors.snapshotting import Child
Child("tests.faults.orphan").start(sys.argv[1])
sys.stdin.read()
"""


def test_a_child_that_plans_or_takes_a_snapshot_ends_with_its_parent(tmp_path: Path) -> None:
    """It would write its archive, and clear away as left over what the next owner has written meanwhile."""
    path = tmp_path / "lock"
    path.touch()
    command = [sys.executable, "-c", PARENT, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as parent:
        eventually(path.read_text)
        parent.kill()
    with path.open("rb") as file:

        def is_free() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        eventually(is_free)
