"""All workloads, in the order of the table."""

from __future__ import annotations

from tests.benchmarks import (
    w1_enqueue,
    w1b_bulk,
    w1c_threads,
    w2_drain,
    w3_chain,
    w4_restart,
    w5_schedules,
    w6_next_run,
    w7_memory,
    w8_growth,
    w9_limits,
)

WORKLOADS = tuple(
    module.WORKLOAD
    for module in (
        w1_enqueue,
        w1b_bulk,
        w1c_threads,
        w2_drain,
        w3_chain,
        w4_restart,
        w5_schedules,
        w6_next_run,
        w7_memory,
        w8_growth,
        w9_limits,
    )
)
