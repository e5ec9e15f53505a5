"""An oracle for years: a byte for each minute of two years, in UTC, that says whether an expression fires in it.

It knows an expression by its meaning (`oracle.Expression`), never by its text, and a zone by what `zoneinfo`
answers when it is asked for the offset of an instant. Gaps and folds are what shows when the minutes on the
wall do not follow each other. Nothing is shared with the product: no parser, no search, no list of changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from actors.clock.zones import zone
from tests.actors.schedule.oracle import Expression

DAY = 1440
"""Minutes of a day."""
MARGIN_DAYS = 2
"""Days before and after the years: no wall is further than that from UTC."""
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Years:
    """The minutes of `count` years from the first of January, UTC; minutes are counted from 1970."""

    first: int
    count: int = 2

    @property
    def start(self) -> int:
        return (date(self.first, 1, 1) - _EPOCH).days * DAY

    @property
    def end(self) -> int:
        return (date(self.first + self.count, 1, 1) - _EPOCH).days * DAY


@dataclass(frozen=True)
class Run:
    """Minutes in UTC from `start` on and before `end` at which the wall is the same number of minutes ahead."""

    start: int
    end: int
    ahead: int


def _ahead(name: str, minute: int) -> int:
    offset = datetime.fromtimestamp(minute * 60, zone(name)).utcoffset()
    assert offset is not None
    minutes, rest = divmod(offset, timedelta(minutes=1))
    assert not rest, "a table of minutes has no place for offsets with seconds, which ended in 1972"
    return minutes


@lru_cache(maxsize=1024)
def walls(name: str, years: Years) -> tuple[Run, ...]:
    """What the wall shows: the zone is asked each hour, and each minute of an hour that changed the answer."""
    start, end = years.start - MARGIN_DAYS * DAY, years.end + MARGIN_DAYS * DAY
    starts = [(start, _ahead(name, start))]
    for hour in range(start, end, 60):
        if _ahead(name, hour + 60) == starts[-1][1]:
            continue
        for minute in range(hour, hour + 61):
            if _ahead(name, minute) != starts[-1][1]:
                starts.append((minute, _ahead(name, minute)))
    ends = [*(each for each, _ in starts[1:]), end]
    return tuple(Run(first, last, ahead) for (first, ahead), last in zip(starts, ends, strict=True))


NOTHING = bytes(DAY)


@dataclass(frozen=True)
class Table:
    """A byte for each minute on the wall from `first` on: 1 if an expression names it."""

    first: int
    minutes: bytes

    def between(self, first: int, end: int) -> bytes:
        return self.minutes[first - self.first : end - self.first]


class Wanted:
    """What an expression names: minutes of a day, and days, those around the years included."""

    def __init__(self, meaning: Expression, years: Years) -> None:
        self._first_day = years.start // DAY - 2 * MARGIN_DAYS
        moments = [divmod(minute, 60) for minute in range(DAY)]
        self._named = bytes(meaning.hour(hour) and meaning.minute(minute) for hour, minute in moments)
        days = range(self._first_day, years.end // DAY + 2 * MARGIN_DAYS)
        self._days = [meaning.day(_EPOCH + timedelta(days=day)) for day in days]

    def table(self) -> Table:
        """Each minute by itself: a megabyte, so it is not kept."""
        minutes = b"".join(self._named if day else NOTHING for day in self._days)
        return Table(self._first_day * DAY, minutes)


@dataclass
class Firings:
    """What is expected: a byte for each minute in UTC from `first` on, and the rules of those touched."""

    first: int
    minutes: bytearray
    rules: dict[int, str] = field(default_factory=dict)

    def among(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Each minute that fires, with the rule that touched it."""
        place = self.minutes.find(1, start - self.first, end - self.first)
        while place >= 0:
            minute = place + self.first
            yield minute, self.rules.get(minute, "")
            place = self.minutes.find(1, place + 1, end - self.first)

    def count(self, start: int, end: int) -> int:
        return self.minutes.count(1, start - self.first, end - self.first)

    def put(self, minute: int, rule: str) -> None:
        self.minutes[minute - self.first] = 1
        self.rules[minute] = rule


def changes(name: str, years: Years) -> list[int]:
    """The minutes of the years at which the wall leaps."""
    return [run.start for run in walls(name, years)[1:] if years.start <= run.start < years.end]


def expected(wanted: Table, name: str, years: Years, rules: tuple[str, str]) -> Firings:
    """Every firing of the years under a rule for gaps and one for folds."""
    gap, fold = rules
    runs = walls(name, years)
    shown = b"".join(wanted.between(run.start + run.ahead, run.end + run.ahead) for run in runs)
    firings = Firings(runs[0].start, bytearray(shown))
    for before, after in pairwise(runs):
        if after.ahead > before.ahead:
            _mend_gap(firings, wanted, before, after, gap)
        else:
            _mend_fold(firings, before, after, fold)
    return firings


def _mend_gap(firings: Firings, wanted: Table, before: Run, after: Run, gap: str) -> None:
    """Add what the minutes that the wall never showed have to fire."""
    for wall in range(before.end + before.ahead, after.start + after.ahead):
        if not wanted.between(wall, wall + 1)[0]:
            continue
        if gap == "shift_forward":
            firings.put(after.start, "gap.shift_forward")
        elif gap == "preserve_offset":
            firings.put(wall - before.ahead, "gap.preserve_offset")


def _mend_fold(firings: Firings, before: Run, after: Run, fold: str) -> None:
    """Keep one of the two minutes that show the same, or both, and say by which rule."""
    width = before.ahead - after.ahead
    for minute in range(after.start - width, after.start + width):
        place = minute - firings.first
        is_second = minute >= after.start
        if not firings.minutes[place]:
            continue
        if fold == ("first" if is_second else "second"):
            firings.minutes[place] = 0
        else:
            firings.rules[minute] = f"fold.{fold}"
