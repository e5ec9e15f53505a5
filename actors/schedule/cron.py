"""The days of cron expressions: the one importer of croniter, which walks the calendar for us.

croniter is handed naive local dates and expressions that are checked and rewritten to plain lists of numbers
(`0 0 1,15 1,2,3 *`): the part of it that was found to be right. What it gets wrong never reaches it: `5-5`
and `1-1`, ranges that wrap with steps, `31W` in short months, `LW` and `L-n`, zones. A month begins
with one of seven weekdays; a long one of each kind is walked once and kept as a mask of its days, so that a firing
costs no walk.
"""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from actors.schedule.cron_fields import MONTH, MONTH_DAY, MONTH_NAMES, WEEKDAY
from actors.schedule.cron_syntax import DayFields
from actors.schedule.errors import CronError
from actors.schedule.pattern import EVERY_CALENDAR, MONTH_LIKE, Days, EveryDay, first_weekday, month_length

_WEEK = 7
_LONGEST = 31
_MONDAY_TO_FRIDAY = frozenset({1, 2, 3, 4, 5})
_ALL_MONTH_DAYS = frozenset(range(MONTH_DAY.low, MONTH_DAY.last + 1))
_ALL_MONTHS = frozenset(range(MONTH.low, MONTH.last + 1))
_ALL_WEEKDAYS = frozenset(range(WEEKDAY.low, WEEKDAY.last + 1))


@dataclass(frozen=True, slots=True)
class CronDays:
    """The days that match an expression's day-of-month, month and weekday fields."""

    fields: DayFields
    """Their `months` are all months: which of them count is `months`."""
    months: frozenset[int]
    by_weekday: bool

    def mask(self, year: int, month: int) -> int:
        if month not in self.months:
            return 0
        weekday = first_weekday(year, month) if self.by_weekday else 0
        return _mask(self.fields, *MONTH_LIKE[month_length(year, month), weekday])


def cron_days(fields: DayFields) -> Days:
    """The days of an expression."""
    if not _is_special(fields) and fields.months == _ALL_MONTHS and _is_open(fields):
        return EveryDay()
    by_weekday = fields.weekdays != _ALL_WEEKDAYS or bool(
        fields.nearest or fields.weekday_before_last or fields.nth or fields.last
    )
    return CronDays(fields._replace(months=_ALL_MONTHS), fields.months, by_weekday)


def checked_days(text: str, fields: DayFields) -> tuple[str, ...]:
    """Refuse an expression that can never fire; the warnings about one that is less than it seems."""
    by_month_day = fields._replace(weekdays=_ALL_WEEKDAYS, nth=frozenset(), last=frozenset(), either=False)
    if fields.either:
        if _can_match(by_month_day):
            return ()
        return (f"cron {text!r}: {_why_never(by_month_day)}, so only its weekday field can match",)
    if _can_match(fields):
        return ()
    if _can_match(by_month_day):
        raise CronError(
            f"cron {text!r} can never fire: no day of any year matches both its day-of-month and its "
            "weekday field, and both must match (days='or' asks for one of them)"
        )
    raise CronError(f"cron {text!r} can never fire: {_why_never(by_month_day)}")


@lru_cache(maxsize=4096)
def _can_match(fields: DayFields) -> bool:
    days = cron_days(fields)
    return any(days.mask(year, month) for year in EVERY_CALENDAR for month in sorted(fields.months))


def _why_never(fields: DayFields) -> str:
    months = ", ".join(MONTH_NAMES[month - 1].capitalize() for month in sorted(fields.months))
    longest = max(month_length(EVERY_CALENDAR[0], month) for month in fields.months)
    return f"the day-of-month field names no day that {months} can have (at most {longest} days)"


def _is_special(fields: DayFields) -> bool:
    return bool(
        fields.before_last or fields.weekday_before_last or fields.nearest or fields.nth or fields.last
    )


def _is_open(fields: DayFields) -> bool:
    full = (fields.month_days == _ALL_MONTH_DAYS, fields.weekdays == _ALL_WEEKDAYS)
    return any(full) if fields.either else all(full)


@lru_cache(maxsize=16_384)
def _mask(fields: DayFields, year: int, month: int) -> int:
    if not _is_special(fields):
        like = MONTH_LIKE[_LONGEST, first_weekday(year, month)]
        return _plain_mask(fields, *like) & ((1 << month_length(year, month)) - 1)
    by_month_day = _month_day_mask(fields, year, month)
    by_weekday = _weekday_mask(fields, year, month)
    return by_month_day | by_weekday if fields.either else by_month_day & by_weekday


@lru_cache(maxsize=16_384)
def _plain_mask(fields: DayFields, year: int, month: int) -> int:
    """The days of a longest month; shorter ones that begin with the same weekday have less of them."""
    if _is_open(fields):
        return (1 << _LONGEST) - 1
    mask = 0
    for day in _walked_days(_rewritten(fields), year, month, either=fields.either):
        mask |= 1 << (day - 1)
    return mask


def _rewritten(fields: DayFields) -> str:
    """The expression for croniter: midnight of the days, in plain numbers, `*` only for a full field."""
    month_days = _listed(fields.month_days, _ALL_MONTH_DAYS)
    weekdays = _listed(fields.weekdays, _ALL_WEEKDAYS)
    return f"0 0 {month_days} {_listed(fields.months, _ALL_MONTHS)} {weekdays}"


def _listed(values: frozenset[int], full: frozenset[int]) -> str:
    return "*" if values == full else ",".join(str(value) for value in sorted(values))


def _package() -> Any:
    """Return croniter, which few who read a store need."""
    return importlib.import_module("croniter")


@lru_cache(maxsize=1024)
def _walker(expression: str, *, either: bool) -> Any:
    """A croniter of the expression; it is copied for each walk, because a walk changes it."""
    return _package().croniter(
        expression,
        datetime(2000, 1, 1),  # noqa: DTZ001 - naive on purpose: local time is all that croniter may see
        ret_type=datetime,
        day_or=either,
        max_years_between_matches=1,
    )


def _walked_days(expression: str, year: int, month: int, *, either: bool) -> list[int]:
    first = datetime(year, month, 1)  # noqa: DTZ001 - naive on purpose, as above
    walker = copy.copy(_walker(expression, either=either))
    walker.set_current(first - timedelta(seconds=1))
    days: list[int] = []
    while True:
        try:
            found = walker.get_next()
        except _package().CroniterBadDateError:
            return days
        if (found.year, found.month) != (year, month):
            return days
        days.append(found.day)


def _month_day_mask(fields: DayFields, year: int, month: int) -> int:
    length = month_length(year, month)
    days = {day for day in fields.month_days if day <= length}
    days |= {length - back for back in fields.before_last}
    nearest = {day for day in fields.nearest if day <= length}
    nearest |= {length - back for back in fields.weekday_before_last if back < length}
    days |= {_nearest_weekday(year, month, day) for day in nearest}
    return sum(1 << (day - 1) for day in days if day >= 1)


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The day from Monday to Friday nearest to a day, in the same month, as Quartz has it."""
    weekday = (first_weekday(year, month) + day - 1) % _WEEK
    if weekday == 5:  # noqa: PLR2004 - a Saturday
        return day - 1 if day > 1 else day + 2
    if weekday == 6:  # noqa: PLR2004 - a Sunday
        return day + 1 if day < month_length(year, month) else day - 2
    return day


def _weekday_mask(fields: DayFields, year: int, month: int) -> int:
    length = month_length(year, month)
    mask = 0
    for day in range(1, length + 1):
        weekday = (first_weekday(year, month) + day) % _WEEK
        named = (
            weekday in fields.weekdays
            or (weekday, (day - 1) // _WEEK + 1) in fields.nth
            or (weekday in fields.last and day > length - _WEEK)
        )
        mask |= named << (day - 1)
    return mask
