"""Whole days that a schedule leaves out, or keeps to: which instants lie in them, and where they end."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from actors.clock.zones import DAY_S, SECOND_US, instant_to_wall
from actors.schedule.holiday_calendar import check_holidays, holiday_name
from actors.schedule.pattern import EPOCH_ORDINAL
from actors.schedule.spec import DaysSpec

DAY_US = DAY_S * SECOND_US
_WEEKDAY_OF_THE_EPOCH = 3
_WEEK = 7


def holds(days: DaysSpec, zone: str, at_us: int) -> bool:
    """Whether the zone's wall shows one of these days at that instant."""
    return holds_day(days, instant_to_wall(zone, at_us) // DAY_US)


def edge(zone: str, at_us: int, sign: int) -> int:
    """An instant in the same local day, towards its end (`sign` 1) or its beginning (-1): mostly the very edge.

    All that lies between `at_us` and it is of that day too.
    """
    wall_us = instant_to_wall(zone, at_us)
    start_us = wall_us // DAY_US * DAY_US
    left_us = start_us + DAY_US - 1 - wall_us if sign > 0 else start_us - wall_us
    found = at_us + left_us
    if instant_to_wall(zone, found) - found == wall_us - at_us:
        return found
    return at_us  # clocks change on that day: leap no further than the next candidate


def is_over(days: DaysSpec, zone: str, at_us: int, sign: int) -> bool:
    """Whether these are dates of which none is left after an instant's day (`sign` 1) or before it (-1)."""
    if days.weekdays or days.holidays or not days.dates:
        return False
    day = date.fromordinal(instant_to_wall(zone, at_us) // DAY_US + EPOCH_ORDINAL).isoformat()
    return max(days.dates) < day if sign > 0 else day < min(days.dates)


def check_days(days: DaysSpec) -> None:
    """Refuse days that cannot be told."""
    for calendar in days.holidays:
        check_holidays(calendar)


@lru_cache(maxsize=16_384)
def holds_day(days: DaysSpec, number: int) -> bool:
    """Whether a day, counted from 1970-01-01, is one of these."""
    if (number + _WEEKDAY_OF_THE_EPOCH) % _WEEK in days.weekdays:
        return True
    day = date.fromordinal(number + EPOCH_ORDINAL)
    if day.isoformat() in days.dates:
        return True
    return any(holiday_name(calendar, day) is not None for calendar in days.holidays)
