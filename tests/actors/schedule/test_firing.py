"""Firings at gaps and folds, one by one, as the documented rules have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.clock.zones import instant_of, to_datetime, zone
from actors.schedule.errors import ScheduleError
from actors.schedule.firing import check, matches, next_fire, next_fires, previous_fire
from actors.schedule.missed import count_fires, missed
from actors.schedule.spec import CronSpec, IntervalSpec, ScheduleSpec

SECOND = 1_000_000
NEW_YORK = "America/New_York"
"""Gap: 2026-03-08 02:00 to 03:00. Fold: 2026-11-01, 02:00 back to 01:00."""


def us(*fields: int) -> int:
    return instant_of(datetime(*fields, tzinfo=UTC))  # type: ignore[arg-type,misc]


def local(name: str, *fields: int, fold: int = 0) -> int:
    return instant_of(datetime(*fields, tzinfo=zone(name), fold=fold))  # type: ignore[arg-type,misc]


def shown(spec: ScheduleSpec, after_us: int, count: int) -> list[str]:
    """The next firings as `day hour:minute offset rule`, the offset in hours."""
    found = []
    for firing in next_fires(spec, after_us, count):
        moment = to_datetime(spec.timezone, firing.at_us)
        offset = moment.utcoffset() or timedelta()
        hours = offset.total_seconds() / 3600
        found.append(f"{moment:%d %H:%M} {hours:+g} {firing.rule}".rstrip())
    return found


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ("shift_forward", ["07 02:30 -5", "08 03:00 -4 gap.shift_forward", "09 02:30 -4"]),
        ("preserve_offset", ["07 02:30 -5", "08 03:30 -4 gap.preserve_offset", "09 02:30 -4"]),
        ("skip", ["07 02:30 -5", "09 02:30 -4", "10 02:30 -4"]),
    ],
)
def test_a_nightly_job_in_a_gap_goes_where_its_rule_says(gap: str, expected: list[str]) -> None:
    spec = CronSpec("30 2 * * *", timezone=NEW_YORK, gap=gap)  # type: ignore[arg-type]
    assert shown(spec, local(NEW_YORK, 2026, 3, 7), 3) == expected


@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        ("first", ["01 01:30 -4 fold.first", "02 01:30 -5"]),
        ("second", ["01 01:30 -5 fold.second", "02 01:30 -5"]),
        ("both", ["01 01:30 -4 fold.both", "01 01:30 -5 fold.both"]),
    ],
)
def test_a_nightly_job_in_a_fold_runs_as_often_as_its_rule_says(fold: str, expected: list[str]) -> None:
    spec = CronSpec("30 1 * * *", timezone=NEW_YORK, fold=fold)  # type: ignore[arg-type]
    assert shown(spec, local(NEW_YORK, 2026, 11, 1), 2) == expected


def test_many_wall_times_in_one_gap_are_one_firing_right_after_it() -> None:
    spec = CronSpec("5,25,45 2 * * *", timezone=NEW_YORK)
    assert shown(spec, local(NEW_YORK, 2026, 3, 8), 2) == ["08 03:00 -4 gap.shift_forward", "09 02:05 -4"]


def test_a_shifted_firing_and_one_of_its_own_at_the_same_instant_are_one() -> None:
    shifted = CronSpec("0 2,3 * * *", timezone=NEW_YORK)
    assert shown(shifted, local(NEW_YORK, 2026, 3, 8), 2) == ["08 03:00 -4 gap.shift_forward", "09 02:00 -4"]
    preserved = CronSpec("30 2,3 * * *", timezone=NEW_YORK, gap="preserve_offset")
    assert shown(preserved, local(NEW_YORK, 2026, 3, 8), 2) == [
        "08 03:30 -4 gap.preserve_offset",
        "09 02:30 -4",
    ]
    assert count_fires(preserved, local(NEW_YORK, 2026, 3, 8), local(NEW_YORK, 2026, 3, 9)) == 1


@pytest.mark.parametrize("text", ["*/30 * * * *", "*/30 0-5 * * *", "0,30 * * * *", "0,30 */1 * * *"])
def test_an_interval_job_neither_bursts_nor_pauses(text: str) -> None:
    spec = CronSpec(text, timezone=NEW_YORK)
    assert shown(spec, local(NEW_YORK, 2026, 3, 8, 1), 3) == ["08 01:30 -5", "08 03:00 -4", "08 03:30 -4"]
    assert shown(spec, local(NEW_YORK, 2026, 11, 1, 0, 30), 5) == [
        "01 01:00 -4 fold.both",
        "01 01:30 -4 fold.both",
        "01 01:00 -5 fold.both",
        "01 01:30 -5 fold.both",
        "01 02:00 -5",
    ]


def test_an_interval_job_of_the_missing_hour_makes_nothing_up() -> None:
    assert shown(CronSpec("*/30 2 * * *", timezone=NEW_YORK), local(NEW_YORK, 2026, 3, 8), 1) == [
        "09 02:00 -4"
    ]


def test_an_interval_job_obeys_the_rules_when_it_is_told_to() -> None:
    spec = CronSpec("*/30 * * * *", timezone=NEW_YORK, apply_to_intervals=True)
    assert shown(spec, local(NEW_YORK, 2026, 3, 8, 1, 30), 2) == [
        "08 03:00 -4 gap.shift_forward",
        "08 03:30 -4",
    ]
    assert shown(spec, local(NEW_YORK, 2026, 11, 1, 1), 3) == [
        "01 01:30 -4 fold.first",
        "01 02:00 -5",
        "01 02:30 -5",
    ]


def test_hours_written_out_are_no_interval_job() -> None:
    spec = CronSpec("30 0-23 * * *", timezone=NEW_YORK)
    assert shown(spec, local(NEW_YORK, 2026, 3, 8, 1), 3) == [
        "08 01:30 -5",
        "08 03:00 -4 gap.shift_forward",
        "08 03:30 -4",
    ]
    assert shown(spec, local(NEW_YORK, 2026, 11, 1, 1), 2) == ["01 01:30 -4 fold.first", "01 02:30 -5"]


def test_a_rare_expression_gets_the_second_of_two_equal_hours() -> None:
    spec = CronSpec("30 1 1 11 *", timezone=NEW_YORK, fold="both")
    assert shown(spec, local(NEW_YORK, 2026, 11, 1), 3) == [
        "01 01:30 -4 fold.both",
        "01 01:30 -5 fold.both",
        "01 01:30 -4",
    ]
    last = previous_fire(spec, us(2026, 12, 1))
    assert last is not None
    assert previous_fire(spec, last.at_us) == next_fire(spec, us(2026, 10, 1))


def test_the_second_of_two_equal_times_as_after_is_not_taken_for_the_first() -> None:
    spec = CronSpec("45 1 * * *", timezone=NEW_YORK, fold="both")
    after_first = next_fire(spec, local(NEW_YORK, 2026, 11, 1, 1, 45))
    after_second = next_fire(spec, local(NEW_YORK, 2026, 11, 1, 1, 45, fold=1))
    assert after_first is not None
    assert after_second is not None
    assert after_first.at_us == local(NEW_YORK, 2026, 11, 1, 1, 45, fold=1)
    assert after_second.at_us == local(NEW_YORK, 2026, 11, 2, 1, 45)


@pytest.mark.parametrize(
    ("name", "after", "text", "expected"),
    [
        # clocks change at midnight
        ("Asia/Beirut", (2026, 3, 28), "0 0 * * *", ["28 00:00 +2", "29 01:00 +3 gap.shift_forward"]),
        ("Africa/Cairo", (2026, 4, 23), "30 0 * * *", ["23 00:30 +2", "24 01:00 +3 gap.shift_forward"]),
        # by half an hour
        (
            "Australia/Lord_Howe",
            (2026, 10, 3),
            "15 2 * * *",
            ["03 02:15 +10.5", "04 02:30 +11 gap.shift_forward"],
        ),
        # a day that did not exist
        ("Pacific/Apia", (2011, 12, 29), "0 12 * * *", ["29 12:00 -10", "31 00:00 +14 gap.shift_forward"]),
        # backwards summer time: the year's gap is in spring all the same
        ("Europe/Dublin", (2026, 3, 28), "30 1 * * *", ["28 01:30 +0", "29 02:00 +1 gap.shift_forward"]),
        # twice a year for a month of fasting
        ("Africa/Casablanca", (2026, 2, 14), "30 2 * * *", ["14 02:30 +1", "15 02:30 +1 fold.first"]),
        # for good, without a season
        ("Europe/Volgograd", (2018, 10, 27), "30 2 * * *", ["27 02:30 +3", "28 03:00 +4 gap.shift_forward"]),
    ],
)
def test_zones_with_ways_of_their_own(
    name: str, after: tuple[int, int, int], text: str, expected: list[str]
) -> None:
    assert shown(CronSpec(text, timezone=name), local(name, *after) - 1, 2) == expected


def test_after_is_exclusive_and_parts_of_a_second_never_round_down_into_a_second_firing() -> None:
    spec = CronSpec("0 12 * * *", timezone="UTC")
    noon = us(2026, 1, 1, 12)
    for before in (noon - 1, noon - SECOND + 1, noon - SECOND):
        found = next_fire(spec, before)
        assert found is not None
        assert found.at_us == noon
    for after in (noon, noon + 1, noon + SECOND - 1):
        found = next_fire(spec, after)
        assert found is not None
        assert found.at_us == noon + 86_400 * SECOND
    for after in (noon + 1, noon + SECOND):
        found = previous_fire(spec, after)
        assert found is not None
        assert found.at_us == noon
    found = previous_fire(spec, noon)
    assert found is not None
    assert found.at_us == noon - 86_400 * SECOND


def test_matches_is_about_the_minute_and_with_seconds_about_the_second() -> None:
    spec = CronSpec("30 2 * * *", timezone=NEW_YORK)
    assert matches(spec, local(NEW_YORK, 2026, 5, 1, 2, 30) + 59_999_999)
    assert not matches(spec, local(NEW_YORK, 2026, 5, 1, 2, 31))
    assert not matches(spec, local(NEW_YORK, 2026, 5, 1, 2, 30) - 1)
    seconds = CronSpec("10 30 2 * * *", timezone=NEW_YORK, seconds="first")
    assert matches(seconds, local(NEW_YORK, 2026, 5, 1, 2, 30, 10) + 999_999)
    assert not matches(seconds, local(NEW_YORK, 2026, 5, 1, 2, 30, 11))
    assert matches(IntervalSpec(90, timezone="UTC"), us(2026, 5, 1, 0, 1, 30))
    assert not matches(IntervalSpec(90, timezone="UTC"), us(2026, 5, 1, 0, 1, 31))


def test_matches_follows_what_a_gap_or_fold_moved() -> None:
    spec = CronSpec("30 2 * * *", timezone=NEW_YORK)
    assert matches(spec, local(NEW_YORK, 2026, 3, 8, 3))
    assert not matches(spec, local(NEW_YORK, 2026, 3, 8, 3, 30))
    assert not matches(spec, local(NEW_YORK, 2026, 3, 9, 3))
    folded = CronSpec("30 1 * * *", timezone=NEW_YORK)
    assert matches(folded, local(NEW_YORK, 2026, 11, 1, 1, 30))
    assert not matches(folded, local(NEW_YORK, 2026, 11, 1, 1, 30, fold=1))


def test_a_leap_day_on_a_given_weekday_is_found_over_the_year_2100() -> None:
    spec = CronSpec("0 0 29 2 0", timezone="UTC", days="and")
    found = next_fire(spec, us(2088, 2, 29))
    assert found is not None
    assert to_datetime("UTC", found.at_us) == datetime(2128, 2, 29, tzinfo=UTC)
    back = previous_fire(spec, found.at_us)
    assert back is not None
    assert to_datetime("UTC", back.at_us) == datetime(2088, 2, 29, tzinfo=UTC)


def test_a_time_that_only_ever_falls_into_a_gap_and_is_skipped_has_no_next() -> None:
    spec = CronSpec("30 2 * 3 0#2", timezone=NEW_YORK, gap="skip")
    assert next_fire(spec, us(2026, 1, 1)) is None


@pytest.mark.parametrize("name", ["UTC", NEW_YORK, "Pacific/Kiritimati", "Etc/GMT+12"])
def test_at_the_ends_of_the_calendar_there_is_no_more(name: str) -> None:
    spec = CronSpec("0 0 * * *", timezone=name)
    assert next_fire(spec, 10**18) is None
    assert previous_fire(spec, -(10**18)) is None
    first, last = next_fire(spec, -(10**18)), previous_fire(spec, 10**18)
    assert first is not None
    assert last is not None
    assert to_datetime(name, first.at_us).year == 1
    assert to_datetime(name, last.at_us).year == 9999
    assert count_fires(spec, us(9999, 1, 1, 12), 10**18) in (362, 363)
    assert next_fires(spec, last.at_us - 1, 5) == (last,)
    assert next_fire(CronSpec("0 0 29 2 *", timezone=name), us(9997, 1, 1)) is None


def test_a_spec_without_a_zone_does_not_fire() -> None:
    with pytest.raises(ScheduleError, match="names no timezone"):
        next_fire(CronSpec("0 0 * * *"), 0)
    check(CronSpec("0 0 * * *"))


def test_what_was_missed_in_ten_years_is_counted_and_only_the_newest_is_kept() -> None:
    spec = CronSpec("* * * * *", timezone=NEW_YORK)
    start, end = us(2016, 1, 1), us(2026, 1, 1)
    kept, dropped = missed(spec, start, end, limit=3)
    assert [firing.at_us for firing in kept] == [end - 120 * SECOND, end - 60 * SECOND, end]
    assert dropped == (end - start) // (60 * SECOND) - 3
    assert missed(spec, start, end, limit=0) == ((), dropped + 3)
    assert missed(spec, end, end, limit=5) == ((), 0)
    assert missed(spec, end, end - 10, limit=5) == ((), 0)
    assert count_fires(spec, end, start) == 0
