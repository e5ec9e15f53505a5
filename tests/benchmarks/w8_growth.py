"""W8: what running a job costs with a hundredth, a tenth and all of the jobs waiting: the same."""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W8",
    title="run jobs as they grow many",
    metrics=(
        Metric("few_per_s", "a hundredth of them", "jobs/s"),
        Metric("some_per_s", "a tenth", "jobs/s"),
        Metric("many_per_s", "all", "jobs/s"),
        Metric("percent", "all, of the best", "%"),
    ),
    goals=(Goal("percent", 80.0),),
    full={OURS: 100_000},
    quick={OURS: 1_000},
)
