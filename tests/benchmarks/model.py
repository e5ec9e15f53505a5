"""What a benchmark is made of: workloads with metrics and goals, contestants with promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

OURS = "ours"
HUEY = "huey"
DBOS = "dbos"
APSCHEDULER = "apscheduler"
APSCHEDULER_MEMORY = "apscheduler-memory"
CRONITER = "croniter"
CRONSIM = "cronsim"
EVENTSOURCING = "eventsourcing"
LIMIT = "limit"
BEST_PEER = "best peer"

Case = Callable[[int, Path], Mapping[str, float]]
"""What a contestant does for a workload: (number of items, an empty folder) -> its metrics."""


@dataclass(frozen=True)
class Contestant:
    """Who is measured. `module` has `CASES`, by workload; it is imported in the child process only."""

    key: str
    title: str
    module: str
    needs: str
    promise: str


@dataclass(frozen=True)
class Metric:
    """One figure of a workload."""

    key: str
    title: str
    unit: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class Goal:
    """Ours divided by `against` (or ours alone, without it) must be at least, or at most, `bound`."""

    metric: str
    bound: float
    against: str | None = None
    at_least: bool = True

    def is_reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:g} × {self.against}" if self.against else f"{sign} {self.bound:,.0f}"


@dataclass(frozen=True)
class Workload:
    """One row or more of the table. Sizes are numbers of items; who takes part is who has one."""

    key: str
    title: str
    metrics: tuple[Metric, ...]
    goals: tuple[Goal, ...]
    full: Mapping[str, int]
    quick: Mapping[str, int]
