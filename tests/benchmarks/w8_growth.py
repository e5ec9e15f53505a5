"""W8: what running a job costs with a thousandth, a hundredth, a tenth and all of the jobs waiting: the same.

With a thousandth, which is a thousand, it is less: the newest 1,024 jobs are remembered as they were enqueued, the
others read again (decision 0110), so what must be flat is the cost from a hundredth on.

CPU time of the whole process for each job, so that the disk and other programs do not matter. The two small numbers,
which all is measured by, are measured before, between and after the others, each time in so many rounds that a
twentieth of all jobs is run.
"""

from __future__ import annotations

from tests.benchmarks.model import OURS, Goal, Metric, Workload

WORKLOAD = Workload(
    key="W8",
    title="run jobs as they grow many",
    metrics=(
        Metric("fewest_us", "a thousandth of them", "µs/job", higher_is_better=False),
        Metric("few_us", "a hundredth", "µs/job", higher_is_better=False),
        Metric("many_us", "a tenth", "µs/job", higher_is_better=False),
        Metric("most_us", "all", "µs/job", higher_is_better=False),
        Metric("percent", "all, of a hundredth", "%", higher_is_better=False),
        Metric("of_fewest_percent", "all, of a thousandth", "%", higher_is_better=False),
    ),
    goals=(Goal("percent", 120.0, at_least=False),),
    full={OURS: 1_000_000},
    quick={OURS: 1_000},
)
