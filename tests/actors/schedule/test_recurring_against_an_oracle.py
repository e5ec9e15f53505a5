"""Random recurring schedules in many zones over two years, under each rule, against a table of every minute."""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import msgspec
import pytest

from actors.schedule.firing import check
from actors.schedule.spec import FOLD_RULES, GAP_RULES, CalendarSpec, IntervalSpec
from tests.actors.schedule.test_two_years_against_an_oracle import (
    check_all,
    check_near,
    rules_for,
    zones_and_years,
)
from tests.actors.schedule.two_years import DAY, MARGIN_DAYS, Table, Years, changes, expected
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

SCHEDULES = scaled("year_recurring", 60)
PLACES = zones_and_years()[: scaled("year_recurring_zones", 12)]
EPOCH = date(1970, 1, 1)
STARTING = date(1973, 5, 16)
"""A Wednesday, before all the years that are looked at."""


@dataclass(frozen=True)
class Asked:
    """A schedule, and what it means: the minutes of a day, from 1440 on of the next, and the days."""

    spec: IntervalSpec | CalendarSpec
    minutes: tuple[int, ...]
    day: Callable[[date], bool]

    def table(self, years: Years) -> Table:
        first = years.start // DAY - 2 * MARGIN_DAYS
        days = range(years.end // DAY + 2 * MARGIN_DAYS - first)
        minutes = bytearray(DAY * (len(days) + 1))
        for day in days:
            if self.day(EPOCH + timedelta(days=first + day)):
                for minute in self.minutes:
                    minutes[day * DAY + minute] = 1
        return Table(first * DAY, bytes(minutes))

    def under(self, zone: str, rules: tuple[str, str]) -> IntervalSpec | CalendarSpec:
        return msgspec.structs.replace(self.spec, timezone=zone, gap=rules[0], fold=rules[1])


def an_interval(rng: random.Random) -> Asked:
    step = rng.choice((1, 5, 7, 30, 45, 90, 600, 1440))
    start, end = 0, DAY - 1
    if rng.random() < 0.7:
        start, end = rng.sample(range(0, DAY, 5), 2)
        end += DAY * (end < start)
    every = rng.choice((1, 1, 2, 5))
    spec = IntervalSpec(step * 60, start * 60, end * 60, every_n=every, starting=str(STARTING))
    return Asked(
        spec,
        tuple(range(start, end + 1, step)),
        lambda day: day >= STARTING and (day - STARTING).days % every == 0,
    )


def some(rng: random.Random, low: int, high: int, most: int = 3) -> tuple[int, ...]:
    return tuple(sorted(rng.sample(range(low, high + 1), rng.randint(1, most))))


def a_calendar(rng: random.Random) -> Asked:
    minutes = tuple(sorted(rng.sample((0, 30, 60, 90, 120, 150, 165, 180, 540, 1439), rng.randint(1, 3))))
    frequency = rng.choice(("daily", "weekly", "monthly", "yearly"))
    every = rng.choice((1, 1, 2, 3))
    at_s = tuple(minute * 60 for minute in minutes)
    spec = CalendarSpec(frequency, at_s, every_n=every, starting=str(STARTING))  # type: ignore[arg-type]
    if frequency == "daily":
        return Asked(spec, minutes, lambda day: day >= STARTING and (day - STARTING).days % every == 0)
    if frequency == "weekly":
        weekdays = some(rng, 0, 6)
        monday = STARTING - timedelta(days=STARTING.weekday())
        return Asked(
            msgspec.structs.replace(spec, weekdays=weekdays),
            minutes,
            lambda day: (
                day >= STARTING and day.weekday() in weekdays and (day - monday).days // 7 % every == 0
            ),
        )
    months = some(rng, 1, 12, 5) if frequency == "yearly" else ()
    changed, within = days_of_months(rng, msgspec.structs.replace(spec, months=months))

    def named(day: date) -> bool:
        if day < STARTING or (months and day.month not in months) or not within(day):
            return False
        years = day.year - STARTING.year
        return (years if frequency == "yearly" else years * 12 + day.month - STARTING.month) % every == 0

    return Asked(changed, minutes, named)


def days_of_months(rng: random.Random, spec: CalendarSpec) -> tuple[CalendarSpec, Callable[[date], bool]]:
    """Days by their numbers, or weekdays by theirs."""
    if rng.random() < 0.5:
        weekdays, nth = some(rng, 0, 6, 2), tuple(rng.sample((1, 2, 3, 4, 5, -1, -2, -5), 2))

        def on_weekday(day: date) -> bool:
            last = calendar.monthrange(day.year, day.month)[1]
            place = ((day.day - 1) // 7 + 1, -((last - day.day) // 7 + 1))
            return day.weekday() in weekdays and bool({*place} & {*nth})

        return msgspec.structs.replace(spec, weekdays=weekdays, nth=nth), on_weekday
    wanted = tuple(rng.sample((1, 15, 28, 29, 30, 31, -1, -2, -30, -31), rng.randint(1, 3)))
    month_end = rng.choice(("last", "skip"))

    def on_day(day: date) -> bool:
        last = calendar.monthrange(day.year, day.month)[1]
        for number in wanted:
            target = number if number > 0 else last + 1 + number
            if month_end == "last":
                target = min(max(target, 1), last)
            if day.day == target:
                return True
        return False

    return msgspec.structs.replace(spec, month_days=wanted, month_end=month_end), on_day


@lru_cache(maxsize=1)
def asked() -> tuple[Asked, ...]:
    found = []
    for seed in range(SCHEDULES):
        rng = random.Random(f"recurring {seed}")
        found.append(rng.choice((an_interval, a_calendar, a_calendar))(rng))
        check(found[-1].under("UTC", ("skip", "both")))
    return tuple(found)


@pytest.mark.parametrize(("zone", "years"), PLACES, ids=str)
def test_two_years_of_recurring_schedules_are_as_a_look_at_every_minute_says(zone: str, years: Years) -> None:
    for number, one in enumerate(asked()):
        table = one.table(years)
        for turn, rules in enumerate(rules_for(number)):
            firings = expected(table, zone, years, rules)
            spec = one.under(zone, rules)
            if turn == number % 3:
                check_all(spec, firings, years)
            for change in changes(zone, years):
                check_near(spec, firings, change, years)


def test_the_schedules_asked_are_of_every_kind() -> None:
    kinds = {one.spec.frequency if isinstance(one.spec, CalendarSpec) else "interval" for one in asked()}
    assert kinds == {"interval", "daily", "weekly", "monthly", "yearly"}
    assert any(max(one.minutes) >= DAY for one in asked()), "windows that span midnight"
    assert {rules for number in range(3) for rules in rules_for(number)} == {
        (gap, fold) for gap in GAP_RULES for fold in FOLD_RULES
    }
