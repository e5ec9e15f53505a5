"""The user code of the benchmarks: it does nothing, so that what is measured is the engine."""

from __future__ import annotations

import os
import threading

HOLD = "LOGISTICS_BENCH_HOLD"
"""While this variable is set, `hold` waits for ever: it is the work that a kill interrupts."""


def noop(number: int) -> int:
    return number


def step() -> int:
    return 1


def hold() -> int:
    if os.environ.get(HOLD):
        threading.Event().wait()
    return 1
