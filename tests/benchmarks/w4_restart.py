"""W4: the process is killed; the time until a new one is open, and until what was running has ended.

The size is the number of events replayed (ours are of jobs that were enqueued and run), and for a peer the
number of workflows recovered.
"""

from __future__ import annotations

from tests.benchmarks.model import DBOS, LIMIT, OURS, Goal, Metric, Workload

RECOVERED_PER_EVENTS = 1_000
"""Our side recovers one run for so many events replayed: 300 for 300,000."""

WORKLOAD = Workload(
    key="W4",
    title="restart after kill -9",
    metrics=(
        Metric("per_s", "replay", "events/s"),
        Metric("open_s", "open", "s", higher_is_better=False),
        Metric("runs_per_s", "recovery", "runs/s"),
    ),
    goals=(Goal("per_s", 200_000.0), Goal("runs_per_s", 1.0, against="best peer")),
    full={OURS: 300_000, DBOS: 100, LIMIT: 1_000_000},
    quick={OURS: 3_000, DBOS: 5, LIMIT: 20_000},
)
