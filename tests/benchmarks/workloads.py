"""All workloads, in the order of the table."""

from __future__ import annotations

from tests.benchmarks.w1_enqueue import WORKLOAD as W1
from tests.benchmarks.w1b_bulk import WORKLOAD as W1B
from tests.benchmarks.w1c_threads import WORKLOAD as W1C
from tests.benchmarks.w2_drain import WORKLOAD as W2
from tests.benchmarks.w3_chain import WORKLOAD as W3
from tests.benchmarks.w4_restart import WORKLOAD as W4
from tests.benchmarks.w5_schedules import WORKLOAD as W5
from tests.benchmarks.w6_next_run import WORKLOAD as W6
from tests.benchmarks.w7_memory import WORKLOAD as W7
from tests.benchmarks.w8_growth import WORKLOAD as W8
from tests.benchmarks.w9_limits import WORKLOAD as W9
from tests.benchmarks.w10_followers import WORKLOAD as W10
from tests.benchmarks.w11_length import WORKLOAD as W11
from tests.benchmarks.w12_event_store import WORKLOAD as W12

WORKLOADS = (W1, W1B, W1C, W2, W3, W4, W5, W6, W7, W8, W9, W10, W11, W12)
