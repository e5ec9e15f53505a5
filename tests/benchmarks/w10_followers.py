"""W10: W2 beside those who hear of every event: a subscription, a handler that fails, `logistics tail`."""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W10",
    title="run waiting no-op jobs beside a follower",
    metrics=(
        Metric("alone_per_s", "alone", "jobs/s"),
        Metric("tailed_percent", "`logistics tail` beside it: rate ÷ alone", "%"),
        Metric("tailed_behind_ms", "… is behind at the end", "ms", higher_is_better=False),
        Metric("subscribed_percent", "a subscription to all events: rate ÷ alone", "%"),
        Metric("subscribed_behind_ms", "… is behind at the end", "ms", higher_is_better=False),
        Metric("failing_percent", "a handler that always fails: rate ÷ alone", "%"),
    ),
    goals=(
        Goal("tailed_behind_ms", 500.0, at_least=False),
        Goal("subscribed_behind_ms", 500.0, at_least=False),
    ),
    full={OURS: 20_000},
    quick={OURS: 500},
)
