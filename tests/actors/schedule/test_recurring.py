"""Recurring schedules against RFC 5545's own examples, and against an oracle that looks at every day."""

from __future__ import annotations

import calendar
import random
from datetime import UTC, date, datetime, timedelta

import pytest

from actors.clock.zones import instant_of, to_datetime
from actors.schedule.firing import next_fires, previous_fire
from actors.schedule.missed import count_fires
from actors.schedule.recurring_syntax import (
    Anchor,
    calendar_spec,
    day_of_month,
    months_of,
    weekdays_of,
)
from actors.schedule.spec import CalendarSpec, Frequency, IntervalSpec
from tests.support.scale import scaled

NEW_YORK = "America/New_York"
EVERY = (1, 2, 3, 4, 5)


def a_rule(frequency: Frequency, starting: str, every_n: int = 1, **days: object) -> CalendarSpec:
    """A schedule at 9:00 in New York, as the examples of the RFC are."""
    anchor = Anchor(timezone=NEW_YORK, every_n=every_n, starting=starting)
    if frequency == "weekly":
        return calendar_spec("weekly", "09:00", anchor, weekdays=weekdays_of(days["on"]))  # type: ignore[arg-type]
    months = months_of(days.pop("month")) if "month" in days else ()  # type: ignore[arg-type]
    chosen = None
    if days:
        chosen = day_of_month(days.get("day"), days.get("nth"), days.get("weekday"))  # type: ignore[arg-type]
    return calendar_spec(frequency, "09:00", anchor, days=chosen, months=months, month_end="skip")


RFC_5545 = [
    # rule, the days that section 3.8.5.3 lists
    (a_rule("daily", "1997-09-02"), "97-09-02 97-09-03 97-09-04 97-09-05 97-09-06 97-09-07"),
    (a_rule("daily", "1997-09-02", 2), "97-09-02 97-09-04 97-09-06 97-09-08 97-09-10"),
    (a_rule("daily", "1997-09-02", 10), "97-09-02 97-09-12 97-09-22 97-10-02 97-10-12"),
    (
        a_rule("weekly", "1997-09-02", on="tue"),
        "97-09-02 97-09-09 97-09-16 97-09-23 97-09-30 97-10-07 97-10-14 97-10-21 97-10-28 97-11-04",
    ),
    (
        a_rule("weekly", "1997-09-02", 2, on="tue"),
        "97-09-02 97-09-16 97-09-30 97-10-14 97-10-28 97-11-11 97-11-25 97-12-09 97-12-23 98-01-06 98-01-20",
    ),
    (
        a_rule("weekly", "1997-09-02", on=["tue", "thu"]),
        "97-09-02 97-09-04 97-09-09 97-09-11 97-09-16 97-09-18 97-09-23 97-09-25 97-09-30 97-10-02",
    ),
    (
        a_rule("weekly", "1997-09-01", 2, on=["mon", "wed", "fri"]),
        "97-09-01 97-09-03 97-09-05 97-09-15 97-09-17 97-09-19 97-09-29 97-10-01 97-10-03 97-10-13 97-10-15",
    ),
    (
        a_rule("weekly", "1997-09-02", 2, on=["tue", "thu"]),
        "97-09-02 97-09-04 97-09-16 97-09-18 97-09-30 97-10-02 97-10-14 97-10-16",
    ),
    (a_rule("weekly", "1997-08-05", 2, on=["tue", "sun"]), "97-08-05 97-08-10 97-08-19 97-08-24"),
    (
        a_rule("monthly", "1997-09-05", nth=1, weekday="fri"),
        "97-09-05 97-10-03 97-11-07 97-12-05 98-01-02 98-02-06 98-03-06 98-04-03 98-05-01 98-06-05",
    ),
    (
        a_rule("monthly", "1997-09-07", 2, nth=[1, -1], weekday="sun"),
        "97-09-07 97-09-28 97-11-02 97-11-30 98-01-04 98-01-25 98-03-01 98-03-29 98-05-03 98-05-31",
    ),
    (
        a_rule("monthly", "1997-09-22", nth=-2, weekday="mon"),
        "97-09-22 97-10-20 97-11-17 97-12-22 98-01-19 98-02-16",
    ),
    (a_rule("monthly", "1997-09-28", day=-3), "97-09-28 97-10-29 97-11-28 97-12-29 98-01-29 98-02-26"),
    (
        a_rule("monthly", "1997-09-02", day=[2, 15]),
        "97-09-02 97-09-15 97-10-02 97-10-15 97-11-02 97-11-15 97-12-02 97-12-15 98-01-02 98-01-15",
    ),
    (
        a_rule("monthly", "1997-09-30", day=[1, -1]),
        "97-09-30 97-10-01 97-10-31 97-11-01 97-11-30 97-12-01 97-12-31 98-01-01 98-01-31 98-02-01",
    ),
    (
        a_rule("monthly", "1997-09-10", 18, day=[10, 11, 12, 13, 14, 15]),
        "97-09-10 97-09-11 97-09-12 97-09-13 97-09-14 97-09-15 99-03-10 99-03-11 99-03-12 99-03-13",
    ),
    (
        a_rule("monthly", "1997-09-02", 2, nth=EVERY, weekday="tue"),
        "97-09-02 97-09-09 97-09-16 97-09-23 97-09-30 97-11-04 97-11-11 97-11-18 97-11-25 98-01-06",
    ),
    (a_rule("monthly", "2007-01-15", day=[15, 30]), "07-01-15 07-01-30 07-02-15 07-03-15 07-03-30"),
    (
        a_rule("yearly", "1997-06-10", month=["june", "july"], day=10),
        "97-06-10 97-07-10 98-06-10 98-07-10 99-06-10 99-07-10 00-06-10 00-07-10 01-06-10 01-07-10",
    ),
    (
        a_rule("yearly", "1997-03-10", 2, month=[1, 2, 3], day=10),
        "97-03-10 99-01-10 99-02-10 99-03-10 01-01-10 01-02-10 01-03-10 03-01-10 03-02-10 03-03-10",
    ),
    (
        a_rule("yearly", "1997-03-13", month="mar", nth=EVERY, weekday="thu"),
        "97-03-13 97-03-20 97-03-27 98-03-05 98-03-12 98-03-19 98-03-26 99-03-04 99-03-11 99-03-18 99-03-25",
    ),
    (
        a_rule("yearly", "1997-06-05", month=[6, 7, 8], nth=EVERY, weekday="thu"),
        "97-06-05 97-06-12 97-06-19 97-06-26 97-07-03 97-07-10 97-07-17 97-07-24 97-07-31 97-08-07",
    ),
]


@pytest.mark.parametrize(("spec", "expected"), RFC_5545)
def test_the_examples_of_rfc_5545_come_out_as_it_lists_them(spec: CalendarSpec, expected: str) -> None:
    days = expected.split()
    start = instant_of(datetime(1990, 1, 1, tzinfo=UTC))
    found = [to_datetime(NEW_YORK, firing.at_us) for firing in next_fires(spec, start, len(days))]
    assert [f"{moment:%y-%m-%d}" for moment in found] == days
    assert {f"{moment:%H:%M}" for moment in found} == {"09:00"}


def expected_days(spec: CalendarSpec, first: date, last: date) -> list[date]:
    """The days of a rule, looked at one by one."""
    start = date.fromisoformat(spec.starting) if spec.starting else None
    found = []
    day = first
    while day <= last:
        if (start is None or day >= start) and is_named(spec, day, start or date(1970, 1, 1)):
            found.append(day)
        day += timedelta(days=1)
    return found


def is_named(spec: CalendarSpec, day: date, start: date) -> bool:
    if spec.frequency == "daily":
        return (day - start).days % spec.every_n == 0
    if spec.frequency == "weekly":
        monday, first_monday = (each - timedelta(days=each.weekday()) for each in (day, start))
        return day.weekday() in spec.weekdays and (monday - first_monday).days // 7 % spec.every_n == 0
    if spec.frequency == "monthly":
        apart = (day.year - start.year) * 12 + day.month - start.month
    else:
        apart = day.year - start.year
    if apart % spec.every_n or (spec.months and day.month not in spec.months):
        return False
    length = calendar.monthrange(day.year, day.month)[1]
    if spec.month_days:
        for number in spec.month_days:
            target = number if number > 0 else length + 1 + number
            if spec.month_end == "last":
                target = min(max(target, 1), length)
            if day.day == target:
                return True
        return False
    same = [
        each for each in range(1, length + 1) if date(day.year, day.month, each).weekday() == day.weekday()
    ]
    place = same.index(day.day)
    return day.weekday() in spec.weekdays and bool({place + 1, place - len(same)} & set(spec.nth))


def a_random_rule(rng: random.Random) -> CalendarSpec:
    frequency: Frequency = rng.choice(["daily", "weekly", "monthly", "yearly"])
    starting = "" if rng.random() < 0.3 else str(date(2020, 1, 1) + timedelta(days=rng.randint(0, 1500)))
    spec = CalendarSpec(
        frequency,
        at_s=(rng.randint(3, 23) * 3600,),
        timezone="UTC",
        every_n=rng.randint(1, 5) if starting else 1,
        starting=starting,
        month_end=rng.choice(["last", "skip"]),
    )
    days: dict[str, object] = {}
    if frequency == "weekly":
        days["weekdays"] = tuple(sorted(rng.sample(range(7), rng.randint(1, 3))))
    elif frequency != "daily":
        if rng.random() < 0.5:
            chosen = [rng.choice([rng.randint(1, 31), -rng.randint(1, 31)]) for _ in range(rng.randint(1, 2))]
            days["month_days"] = tuple(chosen)
        else:
            days["nth"] = tuple(rng.sample([1, 2, 3, 4, 5, -1, -2, -3, -4, -5], 2))
            days["weekdays"] = tuple(rng.sample(range(7), rng.randint(1, 2)))
        if frequency == "yearly":
            days["months"] = tuple(rng.sample(range(1, 13), rng.randint(1, 3)))
    return CalendarSpec(**{name: getattr(spec, name) for name in spec.__struct_fields__} | days)


@pytest.mark.no_cover
def test_the_days_of_random_rules_are_those_that_a_look_at_every_day_finds() -> None:
    rng = random.Random(5545)
    first, last = date(2019, 6, 1), date(2026, 5, 31)
    start, end = (instant_of(datetime(day.year, day.month, day.day, tzinfo=UTC)) for day in (first, last))
    end += 86_400_000_000 - 1
    for _ in range(scaled("recurring_rules", 200)):
        spec = a_random_rule(rng)
        expected = expected_days(spec, first, last)
        found = next_fires(spec, start, len(expected) + 1)
        days = [to_datetime("UTC", firing.at_us).date() for firing in found if firing.at_us <= end]
        assert days == expected, spec
        assert count_fires(spec, start, end) == len(expected), spec
        newest = previous_fire(spec, end)
        if expected:
            assert newest is not None
            assert to_datetime("UTC", newest.at_us).date() == expected[-1], spec


def walls(spec: IntervalSpec, first: datetime, days: int) -> list[str]:
    start = instant_of(first) - 1
    count = count_fires(spec, start, start + days * 86_400_000_000)
    zone = spec.timezone
    return [f"{to_datetime(zone, firing.at_us):%d %H:%M}" for firing in next_fires(spec, start, count)]


def test_a_window_of_nine_to_five_every_half_hour_is_seventeen_firings_a_day() -> None:
    spec = IntervalSpec(1800, start_s=9 * 3600, end_s=17 * 3600, timezone="UTC")
    found = walls(spec, datetime(2026, 1, 1, tzinfo=UTC), 2)
    assert len(found) == 34
    assert (found[0], found[16], found[17]) == ("01 09:00", "01 17:00", "02 09:00")


def test_an_interval_begins_anew_each_day() -> None:
    found = walls(IntervalSpec(7 * 3600, timezone="UTC"), datetime(2026, 1, 1, tzinfo=UTC), 2)
    assert [each[3:] for each in found] == ["00:00", "07:00", "14:00", "21:00"] * 2
    window = IntervalSpec(25 * 60, start_s=9 * 3600, end_s=10 * 3600, timezone="UTC")
    assert [each[3:] for each in walls(window, datetime(2026, 1, 1, tzinfo=UTC), 2)] == [
        "09:00",
        "09:25",
        "09:50",
    ] * 2


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    night = IntervalSpec(
        3600, start_s=22 * 3600, end_s=26 * 3600, timezone="UTC", every_n=2, starting="2026-01-02"
    )
    assert walls(night, datetime(2026, 1, 1, tzinfo=UTC), 5) == [
        *("02 22:00", "02 23:00", "03 00:00", "03 01:00", "03 02:00"),
        *("04 22:00", "04 23:00", "05 00:00", "05 01:00", "05 02:00"),
    ]
    long = IntervalSpec(3600, start_s=9 * 3600, end_s=32 * 3600, timezone="UTC")
    assert len(walls(long, datetime(2026, 1, 1, tzinfo=UTC), 3)) == 72


def test_an_interval_follows_the_wall_clock_through_gap_and_fold() -> None:
    spec = IntervalSpec(1800, start_s=3600, end_s=3 * 3600, timezone=NEW_YORK)
    gap = walls(spec, datetime(2026, 3, 8, 5, tzinfo=UTC), 1)
    assert gap == ["08 01:00", "08 01:30", "08 03:00"]
    fold = walls(spec, datetime(2026, 11, 1, 4, tzinfo=UTC), 1)
    assert fold == ["01 01:00", "01 01:30", "01 01:00", "01 01:30", "01 02:00", "01 02:30", "01 03:00"]
    shifted = IntervalSpec(1800, 3600, 3 * 3600 - 1, NEW_YORK, gap="shift_forward", fold="first")
    assert walls(shifted, datetime(2026, 3, 8, 5, tzinfo=UTC), 1) == ["08 01:00", "08 01:30", "08 03:00"]
    assert walls(shifted, datetime(2026, 11, 1, 4, tzinfo=UTC), 1) == [
        "01 01:00",
        "01 01:30",
        "01 02:00",
        "01 02:30",
    ]
