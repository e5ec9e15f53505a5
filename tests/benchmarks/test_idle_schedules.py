"""The figures of idle schedules can be had."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.idle_schedules import MOST_MEMORY, measure


def test_a_thousand_idle_schedules_are_measured_and_small(tmp_path: Path) -> None:
    found = measure(1_000, 0.1, tmp_path)
    assert set(found) == {"core", "process_mb", "schedules_mb"}
    assert 0 < found["schedules_mb"] < MOST_MEMORY
