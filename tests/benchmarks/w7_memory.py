"""W7: jobs are waiting; the memory that each of them takes, and the time that statistics take."""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W7",
    title="waiting jobs in memory",
    metrics=(
        Metric("bytes_per_job", "enqueued here", "bytes/job", higher_is_better=False),
        Metric("reopened_bytes_per_job", "after a restart", "bytes/job", higher_is_better=False),
        Metric("stats_us", "get_stats", "µs", higher_is_better=False),
    ),
    goals=(
        Goal("bytes_per_job", 250.0, at_least=False),
        Goal("reopened_bytes_per_job", 250.0, at_least=False),
        Goal("stats_us", 1_000.0, at_least=False),
    ),
    full={OURS: 1_000_000},
    quick={OURS: 5_000},
)
