"""Combining schedules, leaving days out, running once: as users write it."""

from __future__ import annotations

import functools
import operator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from logistics import (
    Calendar,
    CombinedSchedule,
    CronExpression,
    CronScheduler,
    InputError,
    OrchestrationEngine,
    RecurringSchedule,
    RecurringScheduler,
    ScheduleError,
    ScheduleManager,
    TimezoneError,
)

FRIDAY = datetime(2027, 1, 8, 12, tzinfo=UTC)
NOON = CronExpression("0 12 * * *")
DAILY = RecurringSchedule.daily(at="12:00")


def task() -> None:
    """Do nothing."""


@pytest.fixture
def engine() -> Any:
    with OrchestrationEngine(":memory:") as engine:
        yield engine


def days(schedule: Any, n: int = 3) -> list[int]:
    return [run.day for run in schedule.next_runs(n, FRIDAY)]


def test_a_calendar_is_left_out_or_kept_to() -> None:
    assert days(DAILY - Calendar("weekends")) == [11, 12, 13]
    assert days(DAILY & Calendar("weekends")) == [9, 10, 16]
    assert days(DAILY - Calendar("sat", date(2027, 1, 11), "2027-01-12")) == [10, 13, 14]
    assert days(DAILY - (Calendar("saturday") | Calendar("Sunday"))) == [11, 12, 13]
    assert days(DAILY - Calendar.holidays("US"), 10) == [*range(9, 18), 19]  # Martin Luther King Day


def test_schedules_are_united_met_and_subtracted() -> None:
    mondays = RecurringSchedule.weekly(on="mon", at="12:00")
    evening = CronExpression("0 18 * * fri")
    assert [run.hour for run in (NOON | evening).next_runs(3, FRIDAY)] == [18, 12, 12]
    assert days(NOON & mondays) == [11, 18, 25]
    assert days(NOON - mondays) == [9, 10, 12]
    assert (NOON | evening | mondays) == (NOON | (evening | mondays))
    assert (NOON - mondays).previous_run(FRIDAY) == FRIDAY - timedelta(days=1)
    assert (NOON - mondays).matches(FRIDAY)


def test_combinations_say_what_they_are() -> None:
    combined = (NOON | DAILY) - Calendar("weekends") - Calendar.holidays("CH", "ZH")
    assert str(combined) == "((0 12 * * *) or every day at 12:00) but not weekends but not holidays of CH-ZH"
    assert repr(Calendar("2027-01-01", "mon")) == "<Calendar of Mondays, 2027-01-01>"
    assert str(RecurringSchedule.once(FRIDAY)) == "at 2027-01-08 12:00:00+00:00"


def test_once_is_once() -> None:
    once = RecurringSchedule.once([FRIDAY, FRIDAY + timedelta(hours=1)], timezone="Europe/Zurich")
    assert once.next_run(FRIDAY - timedelta(days=1)) == FRIDAY
    assert [run.hour for run in once.next_runs(5, FRIDAY)] == [14]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Calendar("someday"), "'weekends', got 'someday'"),
        (lambda: Calendar("2027-02-30"), "a date that exists, got '2027-02-30'"),
        (lambda: Calendar(5), "a calendar's day must be a date"),  # type: ignore[arg-type]
        (lambda: Calendar(FRIDAY), "a calendar's day must be a date"),
        (lambda: Calendar.holidays(""), "country must be a code such as 'CH'"),
        (lambda: Calendar.holidays("CH", "??"), "expected an ISO 3166 code"),
        (lambda: Calendar.holidays("Atlantis"), "Atlantis"),
        (lambda: NOON | Calendar("sat"), "a schedule can be combined with a schedule, got <Calendar"),
        (lambda: NOON - 5, "with a schedule or a Calendar, got 5"),
        (lambda: RecurringSchedule.once([]), "an aware datetime, or a list of them, got an empty list"),
        (lambda: RecurringSchedule.once("noon"), "an aware datetime, or a list of them, got 'noon'"),  # type: ignore[arg-type]
        (lambda: RecurringSchedule.once([5]), "an aware datetime, or a list of them, got 5"),  # type: ignore[list-item]
        (lambda: RecurringSchedule.once([FRIDAY] * 10_001), "at most 10000 datetimes"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        make()
    assert words in str(refused.value)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(TimezoneError, match="at must be aware"):
        RecurringSchedule.once(FRIDAY.replace(tzinfo=None))


def test_at_most_a_hundred_parts_are_combined() -> None:
    combined: CombinedSchedule = functools.reduce(operator.or_, [NOON] * 99, DAILY)  # type: ignore[assignment]
    with pytest.raises(ScheduleError, match="at most 100 schedules"):
        operator.or_(combined, DAILY)


def test_exclusions_survive_in_the_store_and_show_in_the_preview(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager("Europe/Zurich", engine=engine)
    closed: list[Any] = [
        "weekends",
        date(2031, 1, 1),
        Calendar.holidays("CH"),
        datetime(2031, 1, 7, 12, tzinfo=UTC),
    ]
    begin = datetime(2030, 12, 31, tzinfo=UTC)
    manager.schedule_cron("lunch", "0 13 * * *", task, exclude=closed, jitter=60, start=begin)
    shown = manager.preview("lunch", 4)
    assert [run.at.day for run in shown] == [31, 2, 3, 6]
    assert all(timedelta(0) <= run.due - run.at <= timedelta(minutes=1) for run in shown)
    (listed,) = CronScheduler(engine=engine).list()
    assert listed.expression.startswith("(0 13 * * *) but not weekends, holidays of CH, 2031-01-01")
    assert listed.timezone == "Europe/Zurich"
    manager.schedule_cron("lunch", "0 13 * * *", task, exclude=closed, jitter=60, start=begin)
    assert [type(event).__name__ for _, event in engine.history("schedule:lunch")] == ["SchedulePut"]


def test_a_combination_is_scheduled_like_any_other(engine: OrchestrationEngine) -> None:
    CronScheduler(engine=engine).schedule("both", NOON | CronExpression("0 18 * * *"), task)
    RecurringScheduler(engine=engine).add("days", DAILY - Calendar("weekends"), task)
    with pytest.raises(InputError, match="expected a CronExpression or text"):
        CronScheduler(engine=engine).schedule("mixed", NOON | DAILY, task)
    assert [task.kind for task in ScheduleManager(engine=engine).list_tasks()] == ["cron", "recurring"]


def test_parts_that_never_meet_are_not_scheduled(engine: OrchestrationEngine) -> None:
    never: CombinedSchedule = NOON - NOON
    with pytest.raises(ScheduleError, match="it fires never"):
        CronScheduler(engine=engine).schedule("never", never, task)
    assert ScheduleManager(engine=engine).get("never") is None


def test_a_one_shot_in_the_past_is_over(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_once("past", datetime(2000, 1, 1, tzinfo=UTC), task)
    manager.schedule_once("future", datetime(2900, 1, 1, tzinfo=UTC), task)
    past, future = manager.get("past"), manager.get("future")
    assert past is not None
    assert past.completed
    assert future is not None
    assert future.next_run == datetime(2900, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exclude": "weekends"}, "exclude: expected a list"),
        ({"exclude": 5}, "exclude: expected a list"),
        ({"exclude": ["someday"]}, "got 'someday'"),
        ({"jitter": -1}, "jitter: expected 0"),
        ({"jitter": 90_000}, "jitter: expected 0 to 86400 seconds"),
        ({"jitter": "1h"}, "jitter: expected seconds"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    engine: OrchestrationEngine, options: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        CronScheduler(engine=engine).schedule("a", NOON, task, **options)
