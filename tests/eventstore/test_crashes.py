"""Processes that die while they write: what was acknowledged is there, whole, and nothing half."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import ROOT, append, run_child
from tests.support.scale import scaled

WRITER = """
import sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
log = LmdbLog.open(sys.argv[1])
while True:
    size = 1 + log.head.position % 7
    head = append(log, *["job:%d" % (log.head.position + n) for n in range(size)])
    sys.stdout.write("%d %s\\n" % (head.position, head.link.hex()))
    sys.stdout.flush()
"""

DYING = """
import os, signal, sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append

class Dying(LmdbLog):
    def _commit(self, transaction):
        if self.head.position >= 3 and sys.argv[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super()._commit(transaction)
        if self.head.position >= 3 and sys.argv[2] == "after":
            os.kill(os.getpid(), signal.SIGKILL)

log = Dying.open(sys.argv[1])
while True:
    append(log, "job:1", "job:2", "job:3")
"""


def acknowledged(path: Path, acks: int) -> list[str]:
    """Let a process write, kill it after so many acknowledgements, and return all it gave."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(acks)]
        writer.kill()
        lines += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    # The last line may be cut, and then it was not acknowledged.
    return [line for line in lines if line.endswith("\n")]


def test_f01_f04_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    random, path = Random(4), tmp_path / "store"
    known: dict[int, str] = {}
    for _ in range(scaled("kills", 6)):
        for line in acknowledged(path, random.randrange(1, 60)):
            position, link = line.split()
            known[int(position)] = link
        with LmdbLog.open(path) as log:
            frames = list(log.frames())
            ends = {frame.last: frame.link.hex() for frame in frames}
            assert known.items() <= ends.items()
            for frame in frames:
                assert len(frame.records) == 1 + (frame.first - 1) % 7
            for entity in ("job:1", f"job:{log.head.position}"):
                assert log.history(entity) == [
                    frame.stored(position)
                    for frame in frames
                    for position in range(frame.first, frame.last + 1)
                    if frame.stored(position).record.entity == entity
                ]


@pytest.mark.parametrize(("moment", "position"), [("before", 3), ("after", 6)])
def test_f03_a_kill_around_the_commit_leaves_all_of_the_frame_or_none(
    tmp_path: Path, moment: str, position: int
) -> None:
    path = tmp_path / "store"
    child = run_child(DYING, path, moment)
    assert child.returncode == -signal.SIGKILL, child.stderr
    with LmdbLog.open(path) as log:
        assert log.head.position == position
        assert len(log.history("job:2")) == position // 3
        assert sum(len(frame.records) for frame in log.frames()) == position
        assert append(log, "job:4").position == position + 1


def test_a_process_that_ends_without_closing_leaves_a_whole_store(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "from tests.eventstore.support import append\n"
        "log = LmdbLog.open(sys.argv[1])\n"
        "append(log, 'job:1')\n"
        "sys.exit(3)"
    )
    assert run_child(code, tmp_path / "store").returncode == 3
    with LmdbLog.open(tmp_path / "store") as log:
        assert log.head.position == 1
