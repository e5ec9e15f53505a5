"""The soak works, and can tell what grows."""

from __future__ import annotations

from pathlib import Path

from logistics import OrchestrationEngine
from tests.benchmarks.soak import Load, Sample, slope


def test_what_grows_is_told_from_what_does_not() -> None:
    samples = [Sample(60.0 * n, n, n, 10.0 + 3 * n, 5.0, 9, 4) for n in range(5)]
    assert round(slope(samples, "memory_mib"), 6) == 3
    assert slope(samples, "file_mib") == slope(samples, "threads") == 0
    assert slope(samples[:1], "memory_mib") == 0


def test_a_short_soak_runs(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with OrchestrationEngine(folder) as engine:
        load = Load(engine, folder, rate=20)
        load.run(0.5)
        sample = load.sample()
    assert sample.events > sample.jobs >= 20
    assert sample.memory_mib > 1
    assert sample.threads > 1
    assert "descriptors" in sample.row()
