"""W1b: bulk enqueue, a thousand jobs a call where there is such a call."""

from __future__ import annotations

from tests.benchmarks.model import DBOS, HUEY, LIMIT, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W1b",
    title="enqueue in bulk",
    metrics=(Metric("per_s", "rate", "jobs/s"),),
    goals=(Goal("per_s", 10.0, against="best peer"),),
    full={OURS: 100_000, HUEY: 2_000, DBOS: 3_000, LIMIT: 200_000},
    quick={OURS: 2_000, HUEY: 100, DBOS: 50, LIMIT: 10_000},
)
