"""The days of recurring schedules: every n days, weeks, months or years, and which days of them.

RFC 5545 (section 3.8.5.3) is the reference: `starting` is its DTSTART, weeks begin on Monday, and a period
counts from the one that `starting` lies in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from actors.schedule.pattern import EPOCH_ORDINAL, Days, EveryDay, first_weekday, month_length
from actors.schedule.spec import CalendarSpec, IntervalSpec

_WEEK = 7
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class CalendarDays:
    """The days of a calendar rule."""

    rule: CalendarSpec

    def mask(self, year: int, month: int) -> int:
        return _mask(self.rule, year, month)


def calendar_days(spec: CalendarSpec) -> Days:
    """The days of a daily, weekly, monthly or yearly schedule."""
    if spec.frequency == "daily" and spec.every_n == 1 and not spec.starting:
        return EveryDay()
    return CalendarDays(spec)


def interval_days(spec: IntervalSpec) -> Days:
    """The days on which the window of an interval schedule opens."""
    return calendar_days(CalendarSpec("daily", every_n=spec.every_n, starting=spec.starting))


@lru_cache(maxsize=16_384)
def _mask(rule: CalendarSpec, year: int, month: int) -> int:
    start = date.fromisoformat(rule.starting) if rule.starting else None
    if start is not None and (year, month) < (start.year, start.month):
        return 0
    mask = _unbounded(rule, year, month, start)
    if start is not None and (year, month) == (start.year, start.month):
        mask = mask >> (start.day - 1) << (start.day - 1)
    return mask


def _unbounded(rule: CalendarSpec, year: int, month: int, start: date | None) -> int:
    if rule.frequency == "daily":
        return _daily(rule, year, month, start)
    if rule.frequency == "weekly":
        return _weekly(rule, year, month, start)
    if start is not None and not _in_period(rule, year, month, start):
        return 0
    if rule.months and month not in rule.months:
        return 0
    return _within_month(rule, year, month)


def _first_day(year: int, month: int) -> int:
    return date(year, month, 1).toordinal() - EPOCH_ORDINAL


def _daily(rule: CalendarSpec, year: int, month: int, start: date | None) -> int:
    anchor = start.toordinal() - EPOCH_ORDINAL if start else 0
    first = _first_day(year, month)
    length = month_length(year, month)
    return sum(1 << day for day in range((anchor - first) % rule.every_n, length, rule.every_n))


def _weekly(rule: CalendarSpec, year: int, month: int, start: date | None) -> int:
    anchor = start.toordinal() - EPOCH_ORDINAL - start.weekday() if start else 0
    first = _first_day(year, month)
    weekday = first_weekday(year, month)
    mask = 0
    for day in range(month_length(year, month)):
        week = (first + day - anchor) // _WEEK
        if (weekday + day) % _WEEK in rule.weekdays and week % rule.every_n == 0:
            mask |= 1 << day
    return mask


def _in_period(rule: CalendarSpec, year: int, month: int, start: date) -> bool:
    if rule.frequency == "yearly":
        return (year - start.year) % rule.every_n == 0
    return (year * _MONTHS + month - start.year * _MONTHS - start.month) % rule.every_n == 0


def _within_month(rule: CalendarSpec, year: int, month: int) -> int:
    length = month_length(year, month)
    days = set()
    for day in rule.month_days:
        if abs(day) <= length:
            days.add(day if day > 0 else length + 1 + day)
        elif rule.month_end == "last":
            days.add(length if day > 0 else 1)
    for weekday in rule.weekdays:
        first = 1 + (weekday - first_weekday(year, month)) % _WEEK
        found = range(first, length + 1, _WEEK)
        days.update(found[nth - 1 if nth > 0 else nth] for nth in rule.nth if abs(nth) <= len(found))
    return sum(1 << (day - 1) for day in days)
