"""A replay is a fold and nothing else: the same state each time and everywhere, and nothing is done (F67)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eventstore.lmdb_log import LmdbLog
from logistics.audit.exchange import import_lines

ROOT = Path(__file__).parents[3]
HISTORY = ROOT / "tests" / "golden" / "history.jsonl"
REPLAY = """
import sys, threading
from logistics.audit.store_reader import StoreReader
with StoreReader(sys.argv[1]) as reader:
    hashes = {reader.as_of(snapshots=False).state_hash() for _ in range(2)}
print(*hashes, threading.active_count(), any(name.startswith("tests.") for name in sys.modules))
"""


def test_f67_a_replay_gives_one_state_whatever_the_hash_seed_and_does_nothing(tmp_path: Path) -> None:
    """The history has jobs that are ready, a schedule that is due and functions that can be imported."""
    with HISTORY.open("rb") as lines, LmdbLog.open(tmp_path / "store") as log:
        import_lines(lines, log)
    before = (tmp_path / "store" / "data.mdb").read_bytes()
    said = {
        subprocess.run(
            [sys.executable, "-c", REPLAY, str(tmp_path / "store")],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2", "0")
    }
    (line,) = said
    _, threads, imported = line.split()
    assert (threads, imported) == ("1", "False")
    assert (tmp_path / "store" / "data.mdb").read_bytes() == before
