"""W12: the event store by itself, beside a library for event sourcing: events of jobs appended, and folded again.

The size is a number of jobs, each with three events. Everything is synced at each commit.
"""

from __future__ import annotations

from tests.benchmarks.model import EVENTSOURCING, OURS, Goal, Metric, Workload

PER_COMMIT = 999
"""Events in a commit where many are written."""
ALONE = 10
"""One in so many jobs is written once more, event by event."""

WORKLOAD = Workload(
    key="W12",
    title="append the events of jobs, and fold them again",
    metrics=(
        Metric("append_per_s", f"append, {PER_COMMIT} a commit", "events/s"),
        Metric("lone_per_s", "append, one a commit", "events/s"),
        Metric("replay_per_s", "replay", "events/s"),
    ),
    goals=(
        Goal("append_per_s", 5.0, against=EVENTSOURCING),
        Goal("replay_per_s", 4.0, against=EVENTSOURCING),
    ),
    full={OURS: 50_000, EVENTSOURCING: 10_000},
    quick={OURS: 333, EVENTSOURCING: 333},
)
