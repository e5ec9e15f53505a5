"""W3: a chain of ten no-op durable steps: how long one takes, how many steps a second many at once do.

The size is the number of runs at once; the latency is the median of a tenth as many runs, one after another.
"""

from __future__ import annotations

from tests.benchmarks.model import DBOS, HUEY, LIMIT, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W3",
    title="chain of ten steps",
    metrics=(
        Metric("latency_ms", "one run", "ms", higher_is_better=False),
        Metric("per_s", "at once", "steps/s"),
    ),
    goals=(
        Goal("latency_ms", 0.6, against=DBOS, at_least=False),
        Goal("per_s", 20.0, against=DBOS),
        Goal("per_s", 10_000),
    ),
    full={OURS: 1_000, HUEY: 200, DBOS: 100, LIMIT: 1_000},
    quick={OURS: 20, HUEY: 5, DBOS: 3, LIMIT: 50},
)
