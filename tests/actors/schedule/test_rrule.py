"""Rules of RFC 5545, held against python-dateutil's reading of them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from dateutil.rrule import rrulestr

from actors.clock.zones import to_datetime
from actors.schedule.errors import ScheduleError
from actors.schedule.firing import next_fires
from actors.schedule.rrule import rrule_spec, rrule_text
from actors.schedule.spec import CalendarSpec, IntervalSpec
from tests.actors.schedule.world import at
from tests.support.scale import scaled

DAYS = "MO TU WE TH FR SA SU".split()


def a_rule(rng: random.Random) -> str:
    def some(values: list[str], most: int = 3) -> str:
        return ",".join(rng.sample(values, rng.randint(1, most)))

    frequency = rng.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts = [f"FREQ={frequency}"]
    if rng.random() < 0.5:
        parts.append(f"INTERVAL={rng.randint(1, 4)}")
    if frequency == "WEEKLY" and rng.random() < 0.7:
        parts.append(f"BYDAY={some(DAYS)}")
    if frequency == "MONTHLY" or (frequency == "YEARLY" and rng.random() < 0.7):
        if rng.random() < (0.6 if frequency == "YEARLY" else 0.3):
            parts.append(f"BYMONTH={some([str(each) for each in range(1, 13)])}")
        through_the_year = frequency == "YEARLY" and "BYMONTH" not in parts[-1]
        nth = rng.choice(["", "1", "2", "4" if through_the_year else "5", "-1", "-2"])
        by_day = [f"{nth}{day}" for day in rng.sample(DAYS, 2)]
        days = some([str(each) for each in range(1, 32)])
        parts.append(rng.choice([f"BYDAY={','.join(by_day)}", f"BYMONTHDAY={days}", "BYMONTHDAY=-1"]))
    if rng.random() < 0.6:
        parts.append(f"BYHOUR={some([str(each) for each in range(12, 24)])}")
        parts.append(f"BYMINUTE={some(['0', '15', '40', '59'], 2)}")
    return ";".join(parts)


def test_rules_run_when_dateutil_says() -> None:
    for seed in range(scaled("rrules", 300)):
        rng = random.Random(seed)
        rule = a_rule(rng)
        start = datetime(2024, 1, 1) + timedelta(days=rng.randrange(800), hours=rng.randrange(12))  # noqa: DTZ001
        text = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}"
        wanted = [moment for moment, _ in zip(rrulestr(text), range(12), strict=False)]
        if start not in wanted or not wanted:
            wanted = [moment for moment in wanted if moment > start]
        spec = rrule_spec(text, "UTC")
        found = next_fires(spec, at(start.isoformat()) - 1, len(wanted))
        assert [to_datetime("UTC", each.at_us).replace(tzinfo=None) for each in found] == wanted, (seed, text)
        again = rrule_spec(rrule_text(spec), None)
        assert next_fires(again, at(start.isoformat()) - 1, 12) == next_fires(
            spec, at(start.isoformat()) - 1, 12
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected 'FREQ=…"),
        ("FREQ=HOURLY", "FREQ must be one of DAILY"),
        ("INTERVAL=2", "FREQ must be one of"),
        ("FREQ=DAILY;COUNT=5", "COUNT cannot be part of the rule: give max_runs="),
        ("FREQ=DAILY;UNTIL=20270101", "UNTIL cannot be part of the rule: give end="),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS cannot be part"),
        ("FREQ=YEARLY;BYWEEKNO=5", "BYWEEKNO cannot be part"),
        ("FREQ=YEARLY;BYYEARDAY=5", "BYYEARDAY cannot be part"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is there twice"),
        ("FREQ=DAILY;BYFOO=1", "'BYFOO=1' is none of FREQ=…"),
        ("FREQ=DAILY;BYHOUR", "'BYHOUR' is none of"),
        ("FREQ=WEEKLY;BYDAY=MO;WKST=SU", "weeks begin on Monday, got WKST=SU"),
        ("FREQ=WEEKLY", "which weekday is meant"),
        ("FREQ=MONTHLY", "which day is meant"),
        ("FREQ=YEARLY", "which month is meant"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY takes no numbers"),
        ("FREQ=WEEKLY;BYDAY=XX", "'XX' is no weekday such as MO"),
        ("FREQ=MONTHLY;BYDAY=1MO,2TU", "the same numbers for each weekday"),
        ("FREQ=MONTHLY;BYDAY=1MO,MO", "the same numbers for each weekday"),
        ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=3", "together cannot be said"),
        ("FREQ=YEARLY;BYDAY=5MO", "without BYMONTH is counted through the year: expected 1 to 4"),
        ("FREQ=YEARLY;BYDAY=1MO,-1MO", "without BYMONTH is counted through the year"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be -31 to 31, got '0'"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY must be -31 to 31, got '32'"),
        ("FREQ=DAILY;BYMONTH=1", "BYMONTH goes with FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1;BYDAY=MO", "BYMONTHDAY goes with FREQ=MONTHLY"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be 0 to 23, got '24'"),
        ("FREQ=DAILY;BYHOUR=x", "BYHOUR must be 0 to 23, got 'X'"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be 1 to"),
        ("FREQ=DAILY;INTERVAL=2", "every_n=2 needs the date"),
        ("DTSTART:20270101\nRRULE:FREQ=DAILY;INTERVAL=2;BYDAY=MO", "goes without INTERVAL only"),
        ("DTSTART:20271301\nRRULE:FREQ=DAILY", "DTSTART must be a date that exists"),
        ("DTSTART:20270101T250000\nRRULE:FREQ=DAILY", "DTSTART must be a date that exists"),
        ("DTSTART;TZID=Europe/Paris:20270101T000000Z\nRRULE:FREQ=DAILY", "by its Z"),
        ("DTSTART:20270101T120000\nRRULE:FREQ=DAILY;BYHOUR=11", "must not be later in the day"),
    ],
)
def test_what_cannot_be_said_is_refused_with_advice(text: str, words: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        rrule_spec(text, None)
    assert words in str(refused.value)


def test_the_zone_comes_from_dtstart_or_from_outside() -> None:
    text = "DTSTART;TZID=Europe/Zurich:20270328T023000\nRRULE:FREQ=DAILY"
    spec = rrule_spec(text, None)
    assert spec.timezone == "Europe/Zurich"
    assert spec.gap == "preserve_offset"
    assert next_fires(spec, at("2027-03-27T12:00"), 1) == ((at("2027-03-28T01:30"), "gap.preserve_offset"),)
    with pytest.raises(ScheduleError, match="as well"):
        rrule_spec(text, "UTC")


@pytest.mark.parametrize(
    "spec",
    [
        IntervalSpec(1800, 79_200, 100_000),
        IntervalSpec(2700),
        CalendarSpec("monthly", month_days=(31,)),
        CalendarSpec("daily", at_s=(3_600, 9_000)),
    ],
)
def test_what_no_rule_can_say_is_refused(spec: CalendarSpec | IntervalSpec) -> None:
    with pytest.raises(ScheduleError, match=r"as (an|one) RRULE"):
        rrule_text(spec)


def test_an_interval_that_fits_hours_is_said_by_the_day() -> None:
    assert rrule_text(IntervalSpec(1800, 32_400, 37_800)) == "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,30"
