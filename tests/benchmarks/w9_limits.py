"""W9: jobs with a unique key each, a thousand concurrency keys, limits and rates, beside plain ones.

Processor time of the whole process, so that the disk and other programs do not matter.
"""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W9",
    title="jobs with keys and limits, ÷ plain",
    metrics=(
        Metric("enqueue_percent", "time to enqueue", "%", higher_is_better=False),
        Metric("bytes_percent", "memory while waiting", "%", higher_is_better=False),
        Metric("run_percent", "time to run", "%", higher_is_better=False),
    ),
    goals=tuple(Goal(f"{what}_percent", 200.0, at_least=False) for what in ("enqueue", "bytes", "run")),
    full={OURS: 100_000},
    quick={OURS: 1_000},
)
