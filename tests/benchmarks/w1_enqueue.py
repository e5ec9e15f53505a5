"""W1: durable `enqueue`, one call at a time, from one caller."""

from __future__ import annotations

from tests.benchmarks.model import DBOS, HUEY, LIMIT, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W1",
    title="enqueue, one caller",
    metrics=(Metric("per_s", "rate", "jobs/s"), Metric("p50_ms", "median", "ms", higher_is_better=False)),
    goals=(Goal("per_s", 0.6, against=LIMIT),),
    full={OURS: 2_000, HUEY: 2_000, DBOS: 500, LIMIT: 2_000},
    quick={OURS: 100, HUEY: 100, DBOS: 20, LIMIT: 100},
)
