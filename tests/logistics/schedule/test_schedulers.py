"""The schedulers as users see them: on a whole engine, with a clock that only the test moves."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.values import decode_value
from logistics.errors import (
    CronError,
    FunctionError,
    InputError,
    ScheduleError,
    TimezoneError,
    UnknownIdError,
)
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.schedule.expression import CronExpression
from logistics.schedule.manager import ScheduleManager
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.recurring_scheduler import RecurringScheduler
from logistics.schedule.starter import Starter
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.faults import jobs as do
from tests.logistics.schedule.place import START, WAIT_S, Place

HOUR = timedelta(hours=1)


def report(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


def other() -> None:
    """Another function."""


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.engine.close()


def test_a_cron_schedule_calls_its_function_at_its_time(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    scheduler.schedule("backup", CronExpression("0 * * * *"), report, ("x",), {"deep": True})
    scheduler.start()
    place.pass_time(HOUR)
    assert place.fired("backup") == [START + HOUR]
    (end,) = place.ended("backup")
    assert b"deep" in end.result
    place.pass_time(HOUR)
    assert place.fired("backup") == [START + HOUR, START + 2 * HOUR]


def test_a_recurring_schedule_calls_its_function_in_its_window(place: Place) -> None:
    scheduler = RecurringScheduler(engine=place.engine)
    schedule = RecurringSchedule(interval_minutes=30, start_time="09:00", end_time="17:00")
    scheduler.add("health-check", schedule, report, overlap="allow", catch_up="all")
    scheduler.start()
    place.pass_time(timedelta(days=1))
    fired = place.fired("health-check")
    assert len(fired) == 17
    assert (fired[0], fired[-1]) == (START + 9 * HOUR, START + 17 * HOUR)


def test_nothing_fires_before_a_scheduler_is_started_or_after_it_is_stopped(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    scheduler.schedule("backup", "0 * * * *", report)
    place.pass_time(HOUR)
    assert place.fired("backup") == []
    scheduler.start()
    scheduler.start()
    assert place.fired("backup") == [START + HOUR]
    scheduler.stop()
    scheduler.stop()
    place.pass_time(HOUR)
    assert place.fired("backup") == [START + HOUR]


def test_running_a_script_again_keeps_what_is_and_doubles_nothing(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "store"))
    for _ in range(3):
        scheduler = CronScheduler(engine=place.engine)
        scheduler.schedule("backup", "0 * * * *", report)
        scheduler.start()
        assert len(scheduler.list()) == 1
        place.ended("backup")
        place.reopen()
        place.pass_time(3 * HOUR)
    assert place.fired("backup") == [START + 3 * HOUR, START + 6 * HOUR]
    place.engine.close()


def test_another_definition_begins_from_now(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    scheduler.schedule("backup", "0 * * * *", report)
    place.pass_time(HOUR + HOUR / 2)
    scheduler.schedule("backup", "0 * * * *", other)
    scheduler.start()
    place.pass_time(HOUR)
    assert place.fired("backup") == [START + 2 * HOUR]


def test_each_kind_of_scheduler_sees_its_own_and_the_manager_sees_all(place: Place) -> None:
    cron, recurring = CronScheduler(engine=place.engine), RecurringScheduler(engine=place.engine)
    manager = ScheduleManager(engine=place.engine)
    cron.schedule("backup", "15 3 * * *", report)
    recurring.add("weekly", RecurringSchedule.weekly(on="monday", at="08:30"), other, queue="mail")
    assert [task.name for task in cron.list()] == ["backup"]
    assert [task.name for task in recurring.list()] == ["weekly"]
    assert [task.name for task in manager.list_tasks()] == ["backup", "weekly"]
    assert cron.cancel("weekly") is False
    assert cron.get("weekly") is None
    assert recurring.cancel("weekly") is True
    assert recurring.cancel("weekly") is False
    assert manager.cancel("backup") is True
    assert manager.list_tasks() == []


def test_a_view_says_what_is_scheduled(place: Place) -> None:
    manager = ScheduleManager("Europe/Berlin", engine=place.engine)
    manager.schedule_cron("backup", "15  3 * * *", report, queue="night", overlap="queue", catch_up="none")
    manager.schedule_recurring("weekly", RecurringSchedule.weekly(on="monday", at="08:30"), other)
    backup, weekly = manager.list_tasks()
    assert (backup.name, backup.kind, backup.expression) == ("backup", "cron", "15 3 * * *")
    assert (backup.timezone, backup.queue) == ("Europe/Berlin", "night")
    assert backup.function.endswith(":report")
    assert backup.next_run is not None
    assert backup.next_run.isoformat() == "2026-01-01T03:15:00+01:00"
    assert (backup.last_run, backup.paused, backup.completed, backup.error) == (None, False, False, "")
    assert (backup.runs, backup.running, backup.waiting) == (0, 0, 0)
    assert (backup.catch_up, backup.overlap) == ("none", "queue")
    assert (weekly.kind, weekly.queue) == ("recurring", None)
    assert "Monday" in weekly.expression


def test_a_schedule_is_in_its_own_zone_else_in_the_managers_else_in_the_engines() -> None:
    place = Place(timezone="Asia/Tokyo")
    manager = ScheduleManager("Europe/Berlin", engine=place.engine)
    assert manager.timezone == "Europe/Berlin"
    assert ScheduleManager(engine=place.engine).timezone == "Asia/Tokyo"
    daily = RecurringSchedule.daily(at="08:00")
    CronScheduler(engine=place.engine).schedule("a", "0 8 * * *", report)
    manager.schedule_recurring("b", daily, report)
    manager.schedule_recurring("c", daily, report, timezone="America/New_York")
    manager.schedule_cron("d", CronExpression("0 8 * * *", timezone="UTC"), report)
    manager.schedule_cron("e", CronExpression("0 8 * * *", timezone="UTC"), report, timezone="UTC")
    zones = [task.timezone for task in manager.list_tasks()]
    assert zones == ["Asia/Tokyo", "Europe/Berlin", "America/New_York", "UTC", "UTC"]
    with pytest.raises(ScheduleError, match="UTC"):
        manager.schedule_cron("f", CronExpression("0 8 * * *", timezone="UTC"), report, timezone="Asia/Tokyo")
    with pytest.raises(TimezoneError):
        ScheduleManager("Mars/Base", engine=place.engine)
    place.engine.close()


def test_h_hashes_with_the_schedules_name_and_nothing_else_does(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    scheduler.schedule("a", "H H * * *", report)
    scheduler.schedule("b", "H H * * *", report)
    a, b = scheduler.list()
    assert a.next_run != b.next_run
    scheduler.schedule("c", "0 0 * mar thu", report)
    known = place.engine.history("schedule:c")
    scheduler.schedule("c", CronExpression("0 0 * mar thu", timezone="UTC"), report)
    assert place.engine.history("schedule:c") == known


def test_time_spent_paused_is_not_caught_up(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("backup", "0 * * * *", report)
    manager.start()
    assert manager.pause("backup") is True
    assert manager.pause("backup") is False
    place.pass_time(10 * HOUR)
    (task,) = manager.list_tasks()
    assert (task.paused, task.next_run) == (True, None)
    assert manager.resume("backup") is True
    assert manager.resume("backup") is False
    place.pass_time(HOUR)
    assert place.fired("backup") == [START + 11 * HOUR]


def test_a_trigger_runs_the_job_and_leaves_the_schedule_alone(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("backup", "0 * * * *", report, ("x",))
    manager.start()
    job_id = manager.trigger("backup")
    (end,) = place.ended("backup")
    assert end.job_id == job_id
    (task,) = manager.list_tasks()
    assert (task.runs, task.last_run, task.next_run) == (0, None, START + HOUR)


def test_a_preview_marks_what_a_gap_or_a_fold_touches(place: Place) -> None:
    manager = ScheduleManager("Europe/Berlin", engine=place.engine)
    manager.schedule_cron("backup", "30 2 28-29 3 *", report)
    manager.pause("backup")
    shown = manager.preview("backup", 2)
    assert [(run.at.isoformat(), run.rule) for run in shown] == [
        ("2026-03-28T02:30:00+01:00", ""),
        ("2026-03-29T03:00:00+02:00", "gap.shift_forward"),
    ]
    assert manager.preview("backup", 0) == []


def test_a_preview_keeps_the_bounds(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    bounds = {"start": START + 2 * HOUR, "end": START + 5 * HOUR}
    manager.schedule_cron("a", "0 * * * *", report, start=bounds["start"], end=bounds["end"])
    assert [run.at for run in manager.preview("a")] == [START + hour * HOUR for hour in (2, 3, 4, 5)]
    manager.schedule_cron("b", "0 * * * *", report, max_runs=2)
    assert len(manager.preview("b")) == 2
    with pytest.raises(InputError):
        manager.preview("a", -1)


def test_a_preview_begins_with_the_run_that_comes_next(place: Place) -> None:
    """One that jitter put off was left out; what was served before the clock was set back was not."""
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("mail", "0 1 * * *", report, jitter=20 * HOUR, queue="mine")
    manager.start()
    place.pass_time(1.5 * HOUR)
    (put_off, *_) = manager.preview("mail", 2)
    assert put_off.at == START + HOUR
    assert put_off.due > START + 1.5 * HOUR
    place.pass_time(20 * HOUR)
    assert place.fired("mail") == [START + HOUR]
    place.clock.jump(-20 * 3_600_000_000 - 3_600_000_000)
    task = manager.get("mail")
    assert task is not None
    assert [run.at for run in manager.preview("mail", 1)] == [task.next_run] == [START + 25 * HOUR]


def test_a_schedule_that_has_ended_is_completed_and_no_error(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("past", "0 * * * *", report, end=START - HOUR)
    (task,) = manager.list_tasks()
    assert (task.completed, task.next_run) == (True, None)


def test_a_name_that_is_not_on_record_is_an_error_but_for_cancel_and_get(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    for ask in (manager.pause, manager.resume, manager.trigger, manager.preview):
        with pytest.raises(UnknownIdError):
            ask("nobody")
    assert manager.get("nobody") is None
    assert manager.cancel("nobody") is False


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": ""}, InputError),
        ({"name": "@mine"}, InputError),
        ({"expression": "nonsense"}, CronError),
        ({"expression": "0 0 30 2 *"}, CronError),
        ({"expression": 5}, InputError),
        ({"func": lambda: None}, FunctionError),
        ({"func": "report"}, InputError),
        ({"timezone": "Mars/Base"}, TimezoneError),
        ({"queue": "@steps"}, InputError),
        ({"catch_up": "some"}, InputError),
        ({"overlap": "often"}, InputError),
        ({"limit": 0}, InputError),
        ({"window": 0}, InputError),
        ({"window": "an hour"}, InputError),
        ({"max_runs": 0}, InputError),
        ({"start": datetime(2026, 1, 1)}, InputError),  # noqa: DTZ001 -- a naive one is what is refused
        ({"start": START, "end": START - HOUR}, InputError),
        ({"priority": "high"}, InputError),
        ({"max_retries": -1}, InputError),
        ({"colour": "red"}, InputError),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_recorded(
    place: Place, given: dict[str, Any], error: type[Exception]
) -> None:
    scheduler = CronScheduler(engine=place.engine)
    wanted: dict[str, Any] = {"name": "backup", "expression": "0 0 * * *", "func": report} | given
    with pytest.raises(error):
        scheduler.schedule(**wanted)
    assert scheduler.list() == []


def test_a_recurring_scheduler_takes_recurring_schedules_only(place: Place) -> None:
    with pytest.raises(InputError, match="RecurringSchedule"):
        RecurringScheduler(engine=place.engine).add("a", CronExpression("0 0 * * *"), report)  # type: ignore[arg-type]


# -- running for ever ----------------------------------------------------------------------------------------


def when_running(scheduler: Starter, act: Any) -> threading.Thread:
    """Do something on another thread as soon as a scheduler runs."""

    def wait() -> None:
        started = threading.Event()
        for _ in range(3000):
            if scheduler.running or started.wait(0.01):
                break
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_run_forever_returns_when_it_is_stopped(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    thread = when_running(scheduler, scheduler.stop)
    scheduler.run_forever()
    thread.join()
    assert not scheduler.running
    assert not place.engine.closed


def test_run_forever_returns_when_the_engine_is_closed(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    thread = when_running(scheduler, place.engine.close)
    scheduler.run_forever()
    thread.join()
    assert not scheduler.running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_closes_the_engine_after_a_signal_and_returns(
    place: Place, number: signal.Signals
) -> None:
    scheduler = CronScheduler(engine=place.engine)
    before = signal.getsignal(signal.SIGTERM)
    thread = when_running(scheduler, lambda: os.kill(os.getpid(), number))
    scheduler.run_forever()
    thread.join()
    assert place.engine.closed
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.no_cover
def test_sigterm_ends_what_a_job_forks_while_run_forever_answers_it(place: Place) -> None:
    """As `multiprocessing.Pool` has its workers end: a job that leaves one would hang."""
    queue = Queue("forks", engine=place.engine)
    JobScheduler(engine=place.engine).start(queue)
    scheduler = CronScheduler(engine=place.engine)
    ends: list[object] = []

    def use() -> None:
        ends.append(queue.result(queue.enqueue(Job("forks", do.terminates_its_children)), 60))
        scheduler.stop()

    thread = when_running(scheduler, use)
    scheduler.run_forever()
    thread.join()
    assert ends == [[-signal.SIGTERM, -signal.SIGTERM]]


def test_run_forever_works_on_any_thread(place: Place) -> None:
    scheduler = CronScheduler(engine=place.engine)
    thread = threading.Thread(target=scheduler.run_forever)
    thread.start()
    when_running(scheduler, scheduler.stop).join()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_starting_on_another_engine_leaves_the_one_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Place()
    scheduler = CronScheduler(engine=place.engine)
    scheduler.start()
    monkeypatch.setattr(scheduler, "_given", second.engine)
    scheduler.start()
    assert scheduler not in place.engine.store.schedulers
    assert scheduler in second.engine.store.schedulers
    second.engine.close()
    assert not scheduler.running


def when(ctx: Any) -> list[str | None]:
    return [moment and moment.isoformat() for moment in (ctx.scheduled_at, ctx.fired_at)]


def test_a_job_knows_for_when_and_when_its_schedule_fired(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("a", "0 * * * *", when)
    manager.start()
    place.pass_time(HOUR * 1.5)
    (end,) = place.ended("a")
    assert decode_value(end.result) == ["2026-01-01T01:00:00+00:00", "2026-01-01T01:30:00+00:00"]
    manager.trigger("a")
    assert decode_value(place.ended("a")[1].result) == [None, "2026-01-01T01:30:00+00:00"]


def test_a_job_of_no_schedule_has_no_such_times(place: Place) -> None:
    queue = Queue(engine=place.engine)
    job_id = queue.enqueue(Job("a", when, job_id="a.1767225600000000"))
    JobScheduler(engine=place.engine).process(queue)
    assert queue.result(job_id) == [None, None]
