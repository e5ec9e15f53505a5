"""A pattern of wall times: days of a calendar and times of day, walked forwards, backwards and counted.

Wall times are seconds since 1970-01-01 on the clock of the zone, as if it were in UTC. Nothing here knows
zones: a pattern names times whether or not a zone's wall ever shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from actors.schedule.times import Times, lowest

DAY_S = 86_400
EPOCH_ORDINAL = 719_163
"""The ordinal of 1970-01-01."""
SEARCH_MONTHS = 40 * 12
"""How far a search goes: 29 February falls on a given weekday after 40 years at the latest (over 2100)."""
LAST_YEAR = 9999
DECEMBER = 12
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
_WEEK = 7
EVERY_CALENDAR = range(2000, 2028)
"""28 years without a skipped leap year: every calendar that a year can have is among them."""


class Days(Protocol):
    """A set of days, asked for month by month."""

    def mask(self, year: int, month: int) -> int:
        """The days of that month that belong to it: bit 0 for the first."""
        ...


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_length(year: int, month: int) -> int:
    """The number of days of a month."""
    return 29 if month == _FEBRUARY and is_leap(year) else _LENGTHS[month - 1]


@lru_cache(maxsize=4096)
def first_weekday(year: int, month: int) -> int:
    """The weekday of the first of the month, 0 = Monday."""
    return date(year, month, 1).weekday()


def day_number(year: int, month: int, day: int) -> int:
    """The days since 1970-01-01."""
    return date(year, month, day).toordinal() - EPOCH_ORDINAL


def _month_like() -> Mapping[tuple[int, int], tuple[int, int]]:
    months = [(year, month) for year in EVERY_CALENDAR for month in range(1, DECEMBER + 1)]
    return MappingProxyType({(month_length(*each), first_weekday(*each)): each for each in reversed(months)})


MONTH_LIKE = _month_like()
"""A month (year and number) of each length that begins with each weekday."""


class EveryDay:
    """All days."""

    def mask(self, year: int, month: int) -> int:
        return (1 << month_length(year, month)) - 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """The wall times at `times` of each of the `days`.

    What lies beyond midnight may not reach the first time of the following day: windows do not overlap.
    """

    days: Days
    times: Times
    every_day: bool
    spill: int

    @classmethod
    def of(cls, days: Days, times: Times) -> Pattern:
        """The pattern of these days and times."""
        return cls(days, times, isinstance(days, EveryDay), 1 if times.last_s >= DAY_S else 0)

    def next_wall(self, wall_s: int) -> int | None:
        """The first wall time that is not before `wall_s`; `None` if there is none for 40 years."""
        day = self._day_from(wall_s // DAY_S - self.spill)
        while day is not None:
            second = self.times.at_or_after(wall_s - day * DAY_S)
            if second >= 0:
                return day * DAY_S + second
            day = self._day_from(day + 1)
        return None

    def previous_wall(self, wall_s: int) -> int | None:
        """The last wall time that is not after `wall_s`; `None` if there was none for 40 years."""
        day = self._day_upto(wall_s // DAY_S)
        while day is not None:
            second = self.times.at_or_before(wall_s - day * DAY_S)
            if second >= 0:
                return day * DAY_S + second
            day = self._day_upto(day - 1)
        return None

    @property
    def span_s(self) -> int:
        """From midnight of a day to the end of it, or of its window if that ends later."""
        return max(DAY_S, self.times.last_s + 1)

    def holds(self, second: int) -> bool:
        """Whether a second after midnight is one of the times."""
        return self.times.at_or_after(second) == second

    def day_of(self, wall_s: int) -> int:
        """The day that a wall time of this pattern belongs to: the one before if it lies beyond midnight."""
        day = wall_s // DAY_S
        own = not self.spill or (self.has_day(day) and self.holds(wall_s - day * DAY_S))
        return day if own else day - 1

    def count(self, from_s: int, to_s: int) -> int:
        """How many wall times there are from `from_s` on and before `to_s`; months cost, days do not."""
        if from_s >= to_s:
            return 0
        base = from_s // DAY_S - self.spill
        return self._count_below(to_s, base) - self._count_below(from_s, base)

    def _count_below(self, wall_s: int, base: int) -> int:
        last = wall_s // DAY_S
        whole = max(last - self.spill, base)
        found = self._count_days(base, whole) * self.times.total
        for day in range(whole, last + 1):
            if self.has_day(day):
                found += self.times.count_below(wall_s - day * DAY_S)
        return found

    def has_day(self, day: int) -> bool:
        """Whether a day, counted from 1970-01-01, is one of the days."""
        there = date.fromordinal(day + EPOCH_ORDINAL)
        return bool(self.days.mask(there.year, there.month) >> (there.day - 1) & 1)

    def _count_days(self, from_day: int, to_day: int) -> int:
        found = 0
        while from_day < to_day:
            there = date.fromordinal(from_day + EPOCH_ORDINAL)
            length = month_length(there.year, there.month)
            upto = min(there.day - 1 + to_day - from_day, length)
            month = self.days.mask(there.year, there.month) & ((1 << upto) - 1)
            found += (month >> (there.day - 1)).bit_count()
            from_day += upto - there.day + 1
        return found

    def _day_from(self, day: int) -> int | None:
        if self.every_day:
            return day
        there = date.fromordinal(day + EPOCH_ORDINAL)
        year, month = there.year, there.month
        mask = self.days.mask(year, month) >> (there.day - 1)
        if mask:
            return day + lowest(mask)
        for _ in range(SEARCH_MONTHS):
            year, month = (year, month + 1) if month < DECEMBER else (year + 1, 1)
            if year > LAST_YEAR:
                return None
            mask = self.days.mask(year, month)
            if mask:
                return day_number(year, month, lowest(mask) + 1)
        return None

    def _day_upto(self, day: int) -> int | None:
        if self.every_day:
            return day
        there = date.fromordinal(day + EPOCH_ORDINAL)
        year, month = there.year, there.month
        mask = self.days.mask(year, month) & ((1 << there.day) - 1)
        for _ in range(SEARCH_MONTHS):
            if mask:
                return day_number(year, month, mask.bit_length())
            year, month = (year, month - 1) if month > 1 else (year - 1, DECEMBER)
            if year < 1:
                return None
            mask = self.days.mask(year, month)
        return day_number(year, month, mask.bit_length()) if mask else None
