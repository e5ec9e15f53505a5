"""W6: the next firing of an expression in a zone, one after the other, the expression read once."""

from __future__ import annotations

from types import MappingProxyType

from tests.benchmarks.model import (
    APSCHEDULER_MEMORY,
    BEST_PEER,
    CRONITER,
    CRONSIM,
    OURS,
    Goal,
    Metric,
    Workload,
)

ZONE = "Europe/Zurich"
EXPRESSIONS = MappingProxyType(
    {"often": "*/5 * * * *", "monthly": "0 0 1 * *", "leap": "0 0 29 2 *", "weekdays": "0 9 * * 1-5"}
)
ALL = (OURS, CRONITER, CRONSIM, APSCHEDULER_MEMORY)
WORKLOAD = Workload(
    key="W6",
    title="next firing in a zone",
    metrics=tuple(Metric(key, text, "firings/s") for key, text in EXPRESSIONS.items()),
    goals=tuple(Goal(key, 1.0, against=BEST_PEER) for key in EXPRESSIONS),
    full=dict.fromkeys(ALL, 3_000),
    quick=dict.fromkeys(ALL, 200),
)
