"""W1c: durable `enqueue` from sixteen threads at once. Decision 0110 has why its goal is a part of the limit."""

from __future__ import annotations

from tests.benchmarks.model import BEST_PEER, DBOS, HUEY, LIMIT, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W1c",
    title="enqueue, 16 threads",
    metrics=(Metric("per_s", "rate", "jobs/s"),),
    goals=(Goal("per_s", 0.6, against=LIMIT), Goal("per_s", 2.0, against=BEST_PEER)),
    full={OURS: 16_000, HUEY: 1_600, DBOS: 480, LIMIT: 16_000},
    quick={OURS: 480, HUEY: 160, DBOS: 32, LIMIT: 800},
)
