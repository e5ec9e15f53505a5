"""The benchmark with real work in it runs."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.real_work import measure


def test_everybody_does_the_work(tmp_path: Path) -> None:
    took = measure(20, tmp_path)
    assert len(took) == 5
    assert min(took.values()) > 0
