"""The peer cronsim: Debian's cron, one datetime after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cronsim import CronSim

from tests.benchmarks.cron_walk import rates
from tests.benchmarks.model import Case


def next_runs(count: int, _folder: Path) -> Mapping[str, float]:
    return rates(CronSim, count)


CASES: Mapping[str, Case] = MappingProxyType({"W6": next_runs})
