"""W2: no-op jobs are waiting; the time until all have run and their results are stored."""

from __future__ import annotations

from tests.benchmarks.model import DBOS, HUEY, LIMIT, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W2",
    title="run waiting no-op jobs",
    metrics=(Metric("per_s", "rate", "jobs/s"),),
    goals=(Goal("per_s", 25_000.0), Goal("per_s", 10.0, against=HUEY)),
    full={OURS: 20_000, HUEY: 3_000, DBOS: 500, LIMIT: 100_000},
    quick={OURS: 500, HUEY: 100, DBOS: 20, LIMIT: 5_000},
)
