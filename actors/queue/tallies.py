"""What a queue has done, in numbers that take the same room however much it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MINUTE_US = 60_000_000
MINUTES = 60
"""Minutes of which it is known how many jobs completed in them."""


class Spread:
    """How spans of time are spread: counted by half powers of two, so a quantile is right within a fifth."""

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self.counts: dict[int, int] = dict(counts)

    def add(self, span_us: int) -> None:
        """Count a span in."""
        size = (span_us * span_us).bit_length()
        counts = self.counts
        counts[size] = counts.get(size, 0) + 1

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def quantile_us(self, part: float) -> int:
        """Return the span that so great a part of them did not exceed; 0 without any."""
        left = part * self.total
        for size in sorted(self.counts):
            left -= self.counts[size]
            if left <= 0:
                return round(2 ** ((size - 0.5) / 2)) if size else 0
        return 0


class Tallies:
    """The spreads and counts of one queue."""

    __slots__ = ("failed", "minutes", "runs", "waits")

    def __init__(self) -> None:
        self.waits = Spread()
        """From when a job was ready until an attempt began."""
        self.runs: dict[str, Spread] = {}
        """How long functions ran that succeeded."""
        self.failed: dict[str, int] = {}
        """Jobs that failed for good, by function."""
        self.minutes: dict[int, int] = {}
        """Jobs that completed, by the minute since 1970."""

    def completed(self, function: str, run_us: int, at_us: int) -> None:
        """Note a success."""
        runs = self.runs.get(function)
        if runs is None:
            runs = self.runs[function] = Spread()
        runs.add(run_us)
        minute = at_us // MINUTE_US
        minutes = self.minutes
        if minute in minutes:
            minutes[minute] += 1
            return
        if len(minutes) >= MINUTES:
            del minutes[min(minutes)]
        minutes[minute] = 1

    def dump(self) -> Any:
        """Give it as plain data."""
        return (
            sorted(self.waits.counts.items()),
            [(function, sorted(runs.counts.items())) for function, runs in sorted(self.runs.items())],
            sorted(self.failed.items()),
            sorted(self.minutes.items()),
        )

    def restore(self, image: Any) -> None:
        """Become what `dump` gave."""
        waits, runs, failed, minutes = image
        self.waits = Spread(waits)
        self.runs = {function: Spread(counts) for function, counts in runs}
        self.failed = dict(failed)
        self.minutes = dict(minutes)
