"""W5: cron schedules are added, as many at a time as a contestant can; then a fifth of them is due at once."""

from __future__ import annotations

from tests.benchmarks.model import APSCHEDULER, APSCHEDULER_MEMORY, OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W5",
    title="schedules added, and fired",
    metrics=(
        Metric("added_per_s", "added", "schedules/s"),
        Metric("fired_per_s", "fired", "firings/s"),
    ),
    goals=(
        Goal("added_per_s", 10.0, against=APSCHEDULER),
        Goal("added_per_s", 1.0, against=APSCHEDULER_MEMORY),
        Goal("fired_per_s", 10.0, against=APSCHEDULER),
        Goal("fired_per_s", 1.0, against=APSCHEDULER_MEMORY),
    ),
    full={OURS: 5_000, APSCHEDULER: 1_000, APSCHEDULER_MEMORY: 5_000},
    quick={OURS: 100, APSCHEDULER: 50, APSCHEDULER_MEMORY: 100},
)
EVERY = 5
"""One schedule of so many is due in the tick."""
