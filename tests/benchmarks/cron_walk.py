"""What all contestants of W6 do: walk the firings of each expression from one day on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.benchmarks import measure
from tests.benchmarks.w6_next_run import EXPRESSIONS, ZONE

LAST_YEAR = 2045
"""After it each begins anew: how far expressions reach must not decide."""


def start() -> datetime:
    return datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE))


def rates(begin: Callable[[str, datetime], Iterator[datetime]], count: int) -> Mapping[str, float]:
    """Firings per second of each expression, after a few that nobody counts."""

    def walk(text: str, number: int) -> None:
        firings = begin(text, start())
        for _ in range(number):
            if next(firings).year > LAST_YEAR:
                firings = begin(text, start())

    found = {}
    for key, text in EXPRESSIONS.items():
        walk(text, count // 10)
        found[key] = measure.rate(count, lambda text=text: walk(text, count))  # type: ignore[misc]
    return found
