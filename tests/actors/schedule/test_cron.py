"""The days of an expression: croniter's walk of plain fields, our own for the rest, never a bug of either."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from croniter import croniter

from actors.clock.zones import instant_of, to_datetime
from actors.schedule.cron import cron_days
from actors.schedule.cron_syntax import parsed
from actors.schedule.firing import next_fire, next_fires, previous_fire
from actors.schedule.pattern import MONTH_LIKE, Pattern, month_length
from actors.schedule.spec import CronSpec
from actors.schedule.times import ClockTimes, ListedTimes
from tests.support.scale import scaled


def days_of(text: str, year: int, month: int) -> list[int]:
    mask = cron_days(parsed(f"0 0 {text}").days).mask(year, month)
    return [day for day in range(1, 32) if mask >> (day - 1) & 1]


@pytest.mark.parametrize(
    ("fields", "year", "month", "days"),
    [
        ("L * *", 2024, 2, [29]),
        ("L * *", 2023, 2, [28]),
        ("L-3 * *", 2026, 4, [27]),
        ("LW * *", 2026, 5, [29]),  # the 31st is a Sunday
        ("LW * *", 2026, 10, [30]),  # the 31st is a Saturday
        ("LW * *", 2026, 6, [30]),  # a Tuesday
        ("L-1W * *", 2026, 5, [29]),  # the 30th is a Saturday
        ("L-30W * *", 2026, 5, [1]),
        ("L-30W * *", 2026, 6, []),
        ("1W * *", 2026, 8, [3]),  # the 1st is a Saturday: not back into July
        ("1W * *", 2026, 11, [2]),  # a Sunday
        ("15W * *", 2026, 8, [14]),  # a Saturday
        ("15W * *", 2026, 11, [16]),  # a Sunday
        ("15W * *", 2026, 9, [15]),  # a Tuesday
        ("31W * *", 2026, 5, [29]),
        ("31W * *", 2026, 4, []),  # never clamped to the 30th
        ("30W * *", 2026, 2, []),
        ("31W,1 * *", 2026, 6, [1]),
        ("1,15W,L * *", 2026, 11, [1, 16, 30]),
        ("* * mon#1", 2026, 6, [1]),
        ("* * sun#5", 2026, 5, [31]),
        ("* * sun#5", 2026, 6, []),
        ("* * 5L", 2026, 5, [29]),
        ("* * mon#1,friL", 2026, 5, [4, 29]),
        ("13 * 5", 2026, 2, [6, 13, 20, 27]),
        ("13 * 5#1", 2026, 3, [6, 13]),
        ("1-1 * *", 2026, 3, [1]),
        ("*/2 * 5", 2026, 2, [13, 27]),
        ("30,31 * *", 2026, 2, []),
        ("30-2 * *", 2026, 2, [1, 2]),
        ("31 2 0", 2026, 2, [1, 8, 15, 22]),
        ("1-31 * 1", 2026, 2, list(range(1, 29))),
        ("* 2 *", 2026, 3, []),
        ("* * 1-5", 2026, 2, [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27]),
    ],
)
def test_an_expression_names_these_days(fields: str, year: int, month: int, days: list[int]) -> None:
    assert days_of(fields, year, month) == days


def test_there_is_a_month_of_each_length_for_each_weekday() -> None:
    assert set(MONTH_LIKE) == {(length, weekday) for length in (28, 29, 30, 31) for weekday in range(7)}
    for (length, weekday), (year, month) in MONTH_LIKE.items():
        assert (month_length(year, month), date(year, month, 1).weekday()) == (length, weekday)


def plain_expression(rng: random.Random) -> str:
    """Fields that croniter reads as everyone does: no ranges that wrap, none of one value."""

    def field(low: int, high: int) -> str:
        kind = rng.choice(["*", "*", "one", "list", "range", "step", "stepped"])
        first = rng.randint(low, high - 1)
        last = rng.randint(first + 1, high)
        return {
            "*": "*",
            "one": str(first),
            "list": f"{first},{last}",
            "range": f"{first}-{last}",
            "step": f"*/{rng.randint(2, (high - low) // 2 + 1)}",
            "stepped": f"{first}-{last}/{rng.randint(1, 3)}",
        }[kind]

    return " ".join(field(*bounds) for bounds in [(0, 59), (0, 23), (1, 28), (1, 12), (0, 6)])


def test_plain_expressions_fire_when_croniter_says_forwards_and_backwards() -> None:
    rng = random.Random(7)
    for _ in range(scaled("croniter_cases", 200)):
        text = plain_expression(rng)
        start = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(minutes=rng.randint(0, 60_000_000))
        spec = CronSpec(text, timezone="UTC")
        naive = start.replace(tzinfo=None)
        forwards = croniter(text, naive, ret_type=datetime, implement_cron_bug=True)
        ours = [to_datetime("UTC", firing.at_us) for firing in next_fires(spec, instant_of(start), 4)]
        assert [moment.replace(tzinfo=None) for moment in ours] == [forwards.get_next() for _ in ours], text
        backwards = croniter(text, naive, ret_type=datetime, implement_cron_bug=True)
        before = previous_fire(spec, instant_of(start))
        assert before is not None
        found = to_datetime("UTC", before.at_us).replace(tzinfo=None)
        assert found == backwards.get_prev(), text


def test_what_croniter_reads_as_always_is_read_as_it_is_written() -> None:
    start = instant_of(datetime(2026, 1, 1, tzinfo=UTC))
    hourly = next_fires(CronSpec("5-5 * * * *", timezone="UTC"), start, 2)
    assert [to_datetime("UTC", firing.at_us).minute for firing in hourly] == [5, 5]
    first = next_fire(CronSpec("0 0 1-1 * *", timezone="UTC"), start)
    assert first is not None
    assert to_datetime("UTC", first.at_us) == datetime(2026, 2, 1, tzinfo=UTC)


def a_set(rng: random.Random, size: int) -> frozenset[int]:
    return frozenset(rng.sample(range(size), rng.randint(1, size)))


def test_times_of_day_are_found_and_counted_as_in_a_list_of_them() -> None:
    rng = random.Random(11)
    for _ in range(scaled("clock_times", 60)):
        hours, minutes, seconds = a_set(rng, 24), a_set(rng, 6), frozenset({rng.randint(0, 59)})
        listed = sorted(
            hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds
        )
        masks, plain = ClockTimes(hours, minutes, seconds), ListedTimes(tuple(listed))
        assert masks.total == plain.total
        assert masks.last_s == plain.last_s
        probes = [
            -100,
            -1,
            0,
            86_399,
            86_400,
            100_000,
            *rng.sample(range(90_000), 100),
            *rng.sample(listed, 1),
        ]
        for probe in probes:
            after = [each for each in listed if each >= probe]
            before = [each for each in listed if each <= probe]
            expected = (min(after, default=-1), max(before, default=-1), sum(each < probe for each in listed))
            for times in (masks, plain):
                found = (times.at_or_after(probe), times.at_or_before(probe), times.count_below(probe))
                assert found == expected, (probe, hours, minutes, seconds)


def test_a_pattern_counts_as_many_wall_times_as_it_walks() -> None:
    rng = random.Random(13)
    for text in ("0 0 L * *", "30 9,17 * * mon-fri", "0 0 29 2 *", "*/20 * 1-7 * *"):
        fields = parsed(text)
        pattern = Pattern.of(cron_days(fields.days), ClockTimes(fields.hours, fields.minutes, fields.seconds))
        for _ in range(20):
            start = rng.randint(0, 2_000_000_000)
            end = start + rng.randint(0, 40_000_000)
            walked = 0
            wall = pattern.next_wall(start)
            while wall is not None and wall < end:
                walked += 1
                wall = pattern.next_wall(wall + 1)
            assert pattern.count(start, end) == walked


def test_the_length_of_each_month_is_that_of_the_calendar() -> None:
    for year in (1900, 2000, 2023, 2024, 2100):
        for month in range(1, 13):
            following = date(year + month // 12, month % 12 + 1, 1)
            assert month_length(year, month) == (following - timedelta(days=1)).day
