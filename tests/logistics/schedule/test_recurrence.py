"""RecurringSchedule as users meet it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time

import pytest

from actors.schedule.errors import ScheduleError
from actors.schedule.spec import CalendarSpec, IntervalSpec
from logistics.schedule.expression import CronExpression
from logistics.schedule.recurrence import RecurringSchedule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
"""A Thursday."""


def runs(schedule: RecurringSchedule, count: int, after: datetime = NEW_YEAR) -> list[str]:
    return [f"{run:%m-%d %H:%M}" for run in schedule.next_runs(count, after)]


def test_the_snippet_of_the_specification_is_seventeen_runs_a_day() -> None:
    schedule = RecurringSchedule(interval_minutes=30, start_time="09:00", end_time="17:00")
    found = runs(schedule, 18)
    assert (found[0], found[16], found[17]) == ("01-01 09:00", "01-01 17:00", "01-02 09:00")
    assert str(schedule) == "every 30 min from 09:00 to 17:00"


def test_without_times_it_is_all_day_from_midnight() -> None:
    assert runs(RecurringSchedule(480), 4) == ["01-01 08:00", "01-01 16:00", "01-02 00:00", "01-02 08:00"]
    assert runs(RecurringSchedule.every(minutes=0.5), 2) == ["01-01 00:00", "01-01 00:01"]
    assert RecurringSchedule.every(30, "09:00", "17:00") == RecurringSchedule(30, "09:00", "17:00")


def test_an_end_before_the_start_is_on_the_next_day() -> None:
    schedule = RecurringSchedule(120, "22:00", "02:00")
    assert runs(schedule, 4) == ["01-01 02:00", "01-01 22:00", "01-02 00:00", "01-02 02:00"]
    assert str(schedule) == "every 120 min from 22:00 to 02:00 the next day"


MADE: list[tuple[Callable[[], RecurringSchedule], list[str], str]] = [
    (
        lambda: RecurringSchedule.daily(at="08:15"),
        ["01-01 08:15", "01-02 08:15"],
        "every day at 08:15",
    ),
    (
        lambda: RecurringSchedule.daily(at=["18:00", time(8)], every_n=3, starting="2026-01-02"),
        ["01-02 08:00", "01-02 18:00", "01-05 08:00"],
        "every 3 days at 08:00, 18:00, from 2026-01-02",
    ),
    (
        lambda: RecurringSchedule.weekly(on="Sunday", at="10:00"),
        ["01-04 10:00", "01-11 10:00"],
        "every week on Sunday at 10:00",
    ),
    (
        lambda: RecurringSchedule.weekly(on=["FRI", 0], at="10:00", every_n=2, starting=date(2026, 1, 1)),
        ["01-02 10:00", "01-12 10:00", "01-16 10:00"],
        "every 2 weeks on Monday, Friday at 10:00, from 2026-01-01",
    ),
    (
        lambda: RecurringSchedule.monthly(day=31),
        ["01-31 00:00", "02-28 00:00", "03-31 00:00", "04-30 00:00"],
        "every month on day 31 (or the last) at 00:00",
    ),
    (
        lambda: RecurringSchedule.monthly(day=31, month_end="skip"),
        ["01-31 00:00", "03-31 00:00", "05-31 00:00"],
        "every month on day 31 at 00:00",
    ),
    (
        lambda: RecurringSchedule.monthly(day="last", at="23:59:30"),
        ["01-31 23:59", "02-28 23:59"],
        "every month on day last at 23:59:30",
    ),
    (
        lambda: RecurringSchedule.monthly(nth=-1, weekday="fri", at="17:00"),
        ["01-30 17:00", "02-27 17:00"],
        "every month on Friday number -1 at 17:00",
    ),
    (
        lambda: RecurringSchedule.monthly(nth=[1, 3], weekday=["mon", "thursday"]),
        ["01-05 00:00", "01-15 00:00", "01-19 00:00", "02-02 00:00", "02-05 00:00"],
        "every month on Monday, Thursday number 1, 3 at 00:00",
    ),
    (
        lambda: RecurringSchedule.yearly(month="feb", day=29),
        ["02-28 00:00", "02-28 00:00", "02-29 00:00"],
        "every year in February on day 29 (or the last) at 00:00",
    ),
    (
        lambda: RecurringSchedule.yearly(month=[11, "December"], nth=4, weekday="thu", at="12:00"),
        ["11-26 12:00", "12-24 12:00"],
        "every year in November, December on Thursday number 4 at 12:00",
    ),
]


@pytest.mark.parametrize(("make", "expected", "words"), MADE)
def test_each_constructor_makes_what_it_says(
    make: Callable[[], RecurringSchedule], expected: list[str], words: str
) -> None:
    after = NEW_YEAR.replace(microsecond=1)
    assert runs(make(), len(expected), after) == expected
    assert str(make()) == words
    assert words in repr(make())
    assert make() == make()
    assert hash(make()) == hash(make())


def test_numbers_of_weekdays_are_monday_first_and_not_those_of_cron() -> None:
    assert runs(RecurringSchedule.weekly(on=0), 1) == ["01-05 00:00"]
    sunday = CronExpression("0 0 * * 0").next_run(NEW_YEAR)
    assert sunday is not None
    assert f"{sunday:%m-%d}" == "01-04"


def test_it_runs_in_its_zone_and_takes_the_rules_for_gap_and_fold() -> None:
    schedule = RecurringSchedule.daily(
        at="02:30", timezone="Europe/Berlin", gap="preserve_offset", fold="second"
    )
    spring = schedule.next_run(datetime(2026, 3, 28, 12, tzinfo=UTC))
    autumn = schedule.next_run(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert spring is not None
    assert autumn is not None
    assert (spring.isoformat(), autumn.isoformat()) == (
        "2026-03-29T03:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
    )
    assert schedule.timezone == "Europe/Berlin"
    assert "in Europe/Berlin" in repr(schedule)


def test_an_interval_follows_the_wall_clock_unless_a_rule_is_named() -> None:
    plain = RecurringSchedule(60, timezone="Europe/Berlin")
    assert isinstance(plain.spec, IntervalSpec)
    assert (plain.spec.gap, plain.spec.fold) == ("skip", "both")
    named = RecurringSchedule(60, timezone="Europe/Berlin", fold="first").spec
    assert isinstance(named, IntervalSpec)
    assert (named.gap, named.fold) == ("skip", "first")
    daily = RecurringSchedule.daily().spec
    assert isinstance(daily, CalendarSpec)
    assert (daily.gap, daily.fold) == ("shift_forward", "first")


def test_the_engine_gives_it_a_zone_only_when_it_has_none() -> None:
    assert RecurringSchedule(60).spec_for("Asia/Tokyo").timezone == "Asia/Tokyo"
    assert RecurringSchedule(60, timezone="UTC").spec_for("Asia/Tokyo").timezone == "UTC"


def test_nothing_runs_before_the_start_date() -> None:
    schedule = RecurringSchedule(720, starting="2026-02-01")
    assert runs(schedule, 1) == ["02-01 00:00"]
    assert schedule.previous_run(NEW_YEAR) is None
    assert schedule.matches(datetime(2026, 2, 1, 12, tzinfo=UTC))
    assert not schedule.matches(datetime(2026, 1, 31, 12, tzinfo=UTC))


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: RecurringSchedule(0), "more than 0"),
    (lambda: RecurringSchedule(-5), "more than 0"),
    (lambda: RecurringSchedule(1441), r"RecurringSchedule.daily\(at=…, every_n=…\)"),
    (lambda: RecurringSchedule(float("nan")), "more than 0"),
    (lambda: RecurringSchedule(float("inf")), "at most 1440"),
    (lambda: RecurringSchedule(0.001), "whole seconds"),
    (lambda: RecurringSchedule(True), "number of minutes, got bool"),
    (lambda: RecurringSchedule("30"), "number of minutes, got str"),  # type: ignore[arg-type]
    (lambda: RecurringSchedule(30, "09:00"), "start_time was given without end_time"),
    (lambda: RecurringSchedule(30, None, "09:00"), "end_time was given without start_time"),
    (lambda: RecurringSchedule(30, "09:00", "09:00"), "both 09:00"),
    (lambda: RecurringSchedule(30, "9:00", "17:00"), "start_time must be 'HH:MM'"),
    (lambda: RecurringSchedule(30, "09:00", "24:00"), "end_time must be 'HH:MM'"),
    (lambda: RecurringSchedule(30, "09:00", "17:60"), "got '17:60'"),
    (lambda: RecurringSchedule(30, "09:00", "17:00\n"), "end_time must be"),
    (lambda: RecurringSchedule(30, gap="never"), "gap must be one of"),  # type: ignore[arg-type]
    (lambda: RecurringSchedule(30, fold="never"), "fold must be one of"),  # type: ignore[arg-type]
    (lambda: RecurringSchedule(30, timezone="Berlin"), "did you mean Europe/Berlin"),
    (lambda: RecurringSchedule(30, starting="tomorrow"), "starting must be a date"),
    (lambda: RecurringSchedule(30, starting="2026-02-30"), "a date that exists"),
    (lambda: RecurringSchedule(30, starting=NEW_YEAR), "starting must be a date"),
    (lambda: RecurringSchedule.daily(at="noon"), "at must be 'HH:MM' or 'HH:MM:SS'"),
    (lambda: RecurringSchedule.daily(at=[]), "got an empty list"),
    (lambda: RecurringSchedule.daily(at=9), "at must be a time"),  # type: ignore[arg-type]
    (lambda: RecurringSchedule.daily(at=time(9, tzinfo=UTC)), "without a zone"),
    (
        lambda: RecurringSchedule.daily(every_n=0, starting="2026-01-01"),
        "every_n of a daily schedule must be a whole number from 1 to",
    ),
    (lambda: RecurringSchedule.daily(every_n=2), "needs the date that it counts from"),
    (
        lambda: RecurringSchedule.yearly(month=1, day=1, every_n=41, starting="2026-01-01"),
        "must be a whole number from 1 to 40",
    ),
    (lambda: RecurringSchedule.weekly(on="someday"), "on must be a weekday"),
    (lambda: RecurringSchedule.weekly(on=7), "0 .Monday. to 6 .Sunday., got 7"),
    (lambda: RecurringSchedule.weekly(on=[]), "empty list"),
    (lambda: RecurringSchedule.weekly(on=None), "on must be a weekday"),  # type: ignore[arg-type]
    (RecurringSchedule.monthly, "give day=…, or nth=…"),
    (lambda: RecurringSchedule.monthly(day=1, nth=1, weekday=0), "give day=…, or nth=…"),
    (lambda: RecurringSchedule.monthly(nth=1), "give day=…, or nth=…"),
    (lambda: RecurringSchedule.monthly(weekday=1), "give day=…, or nth=…"),
    (lambda: RecurringSchedule.monthly(day=0), "day must be 1 to 31"),
    (lambda: RecurringSchedule.monthly(day=32), "day must be 1 to 31"),
    (lambda: RecurringSchedule.monthly(day="first"), "day must be 1 to 31, 'last'"),
    (lambda: RecurringSchedule.monthly(nth=6, weekday=0), "nth must be 1 to 5"),
    (lambda: RecurringSchedule.monthly(nth=0, weekday=0), "nth must be 1 to 5"),
    (lambda: RecurringSchedule.monthly(day=1, month_end="first"), "month_end must be one of last, skip"),  # type: ignore[arg-type]
    (lambda: RecurringSchedule.yearly(month=13, day=1), "month must be 1 to 12"),
    (lambda: RecurringSchedule.yearly(month="smarch", day=1), "month must be 1 to 12 or a name"),
    (lambda: RecurringSchedule.yearly(month=2, day=30, month_end="skip"), "can never fire"),
    (
        lambda: RecurringSchedule.yearly(month=2, day=29, month_end="skip", every_n=4, starting="2026-01-01"),
        "can never fire",
    ),
]


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_what_cannot_be_is_refused_with_what_can(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_it_is_a_schedule_error_which_is_a_value_error() -> None:
    with pytest.raises(ScheduleError):
        RecurringSchedule(0)
    assert issubclass(ScheduleError, ValueError)


def test_it_is_not_equal_to_a_cron_expression() -> None:
    assert RecurringSchedule(60) != CronExpression("0 * * * *")
    assert RecurringSchedule(60) != RecurringSchedule(30)
