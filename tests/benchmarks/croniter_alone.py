"""The peer croniter: aware datetimes in, aware datetimes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from croniter import croniter

from tests.benchmarks.cron_walk import rates
from tests.benchmarks.model import Case


def firings(text: str, begin: datetime) -> Iterator[datetime]:
    walker = croniter(text, begin, ret_type=datetime)
    while True:
        yield walker.get_next()


def next_runs(count: int, _folder: Path) -> Mapping[str, float]:
    return rates(firings, count)


CASES: Mapping[str, Case] = MappingProxyType({"W6": next_runs})
