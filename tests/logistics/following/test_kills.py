"""Killed at any moment: a projection counts each event once, a handler hears of each at least once, in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from logistics import OrchestrationEngine
from tests.logistics.following.test_projection import ByTag, tags
from tests.support.scale import scaled

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60


def run_and_kill(store: Path, heard: Path, lines: int) -> None:
    command = [sys.executable, "-m", "tests.logistics.following.child", str(store), str(heard)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            for _ in range(lines):
                assert child.stdout.readline(), "the child has ended by itself"
        finally:
            child.kill()


@pytest.mark.usefixtures("plain_children")
def test_nothing_counts_twice_and_nothing_goes_unheard(tmp_path: Path) -> None:
    random = Random(6)
    store, heard = tmp_path / "store", tmp_path / "heard"
    for _ in range(scaled("following_kills", 4)):
        run_and_kill(store, heard, random.randrange(1, 6))
    with OrchestrationEngine(store) as engine:
        here: set[int] = set()
        cursor = engine.follow("all", "*", lambda _event, position: here.add(position)).position
        running = engine.project(ByTag())
        running.wait_until(timeout=PATIENCE_S)
        assert dict(running) == tags(engine)
    last, told = 0, set()
    for line in heard.read_text().split():
        if line == "begin":
            last = 0
            continue
        position = int(line)
        assert not last or position == last + 1, "out of order"
        told.add(position)
        last = position
    assert told | here >= set(range(1, cursor + 1))
