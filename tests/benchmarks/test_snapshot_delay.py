"""The command about snapshots of many live jobs runs, with few."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.snapshot_delay import main


def test_calls_beside_a_snapshot_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--live", "500", "--rounds", "1", "--folder", str(tmp_path)])
    beside, without, longest = capsys.readouterr().out.splitlines()
    assert beside.startswith("with a snapshot: ")
    assert without.startswith("without one    : ")
    assert "median of the rounds" in longest
    assert list(tmp_path.iterdir()) == []
