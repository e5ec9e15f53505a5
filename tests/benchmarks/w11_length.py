"""W11: what a step costs in chains of ten, a hundred, a thousand and ten thousand steps: the same.

CPU time of the whole process for each step, so that the disk and other programs do not matter; the size is the length
of the longest chain. Four chains are under way at one time, and of each length there are as many as it takes.
"""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W11",
    title="chains as they grow long",
    metrics=(
        Metric("shortest_us", "a thousandth of the length", "µs/step", higher_is_better=False),
        Metric("short_us", "a hundredth", "µs/step", higher_is_better=False),
        Metric("long_us", "a tenth", "µs/step", higher_is_better=False),
        Metric("longest_us", "the whole length", "µs/step", higher_is_better=False),
        Metric("percent", "the longest, of the shortest", "%", higher_is_better=False),
    ),
    goals=(Goal("percent", 120.0, at_least=False),),
    full={OURS: 10_000},
    quick={OURS: 1_000},
)
