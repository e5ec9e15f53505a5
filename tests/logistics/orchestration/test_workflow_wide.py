"""A list as wide as one likes is done on a store on disk, within bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.scale import scaled

ROOT = Path(__file__).parents[3]
COUNT = scaled("WIDE_LIST", 2_000)
BYTES_PER_ITEM = 2_000
"""Memory that an item may take, at most, beside a fixed amount: the list itself, and what is read of its outputs."""
FIXED_MIB = 100


def test_a_wide_list_is_done_within_bounded_memory(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.logistics.orchestration.wide",
        str(tmp_path / "store"),
        str(COUNT),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert (facts["items"], facts["output"]) == (COUNT, COUNT * (COUNT - 1))
    assert facts["grown_mib"] < FIXED_MIB + COUNT * BYTES_PER_ITEM / 2**20, facts
