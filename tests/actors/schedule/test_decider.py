"""The rules of the scheduler, as given events, when something happens, then events."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from actors.clock.zones import tzdata_version
from actors.queue.messages import JobEnded
from actors.queue.specs import FIRINGS, JobSpec, RetryPolicy
from actors.runtime.errors import ConflictingIdError, InputError, InternalError, UnknownIdError
from actors.runtime.messages import Decision, Message, Nudge
from actors.schedule.catch_up import ON_TIME_US
from actors.schedule.errors import CronError, ScheduleError
from actors.schedule.messages import (
    GetSchedules,
    JobTemplate,
    PauseSchedule,
    Policies,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    ScheduleClosed,
    ScheduleCompleted,
    ScheduleDeferred,
    ScheduleFired,
    SchedulePaused,
    SchedulePut,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSkipped,
    ScheduleTriggered,
    TriggerSchedule,
)
from actors.schedule.spec import CombinedSpec, CronSpec, DaysSpec, Holidays, IntervalSpec
from tests.actors.schedule.world import (
    DAY,
    HOUR,
    HOURLY,
    MINUTE,
    MINUTELY,
    RULES,
    SECOND,
    START,
    TARGET,
    World,
    at,
    folded,
)

TZDATA = tzdata_version()
PUT = SchedulePut("report", "s1", HOURLY, TARGET, Policies(), START)


def fired(scheduled_us: int, fired_us: int | None = None, **more: Any) -> ScheduleFired:
    late = scheduled_us if fired_us is None else fired_us
    job_id = f"{more.pop('schedule_id', 's1')}.{scheduled_us}"
    return ScheduleFired("report", scheduled_us, late, job_id, more.pop("rule", ""), TZDATA, **more)


def skipped(upto_us: int, count: int, reason: str, at_us: int) -> ScheduleSkipped:
    return ScheduleSkipped("report", upto_us, count, reason, at_us, TZDATA)


def given(*events: Any, now_us: int) -> World:
    world = World(now_us).given(*events)
    world.check()
    return world


def refused(world: World, message: Message, error: type[Exception]) -> None:
    image = world.state.dump()
    with pytest.raises(error):
        RULES.decide(world.state, message, world.context)
    assert world.state.dump() == image


# -- definitions -----------------------------------------------------------------------------------------


def test_a_new_schedule_begins_from_now() -> None:
    world = World(START)
    put = PutSchedule(name="report", schedule_id="s1", spec=HOURLY, target=TARGET)
    assert world.send(put) == "s1"
    assert world.log == [PUT]
    assert world.wake_us == START + HOUR
    world.check()


def test_an_equal_definition_changes_nothing_and_keeps_its_incarnation() -> None:
    world = given(PUT, fired(START + HOUR), now_us=START + HOUR)
    put = PutSchedule(name="report", schedule_id="s2", spec=HOURLY, target=TARGET)
    assert world.send(put) == "s1"
    assert len(world.log) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"spec": CronSpec("0 * * * *", timezone="Europe/Berlin")},
        {"target": JobTemplate("app:report", b"others")},
        {"policies": Policies(catch_up="none")},
    ],
)
def test_any_other_definition_is_another_incarnation_that_begins_from_now(change: dict[str, Any]) -> None:
    now_us = START + 3 * HOUR + MINUTE
    world = given(PUT, fired(START + HOUR), now_us=now_us)
    world.scheduling = False
    wanted = {"spec": HOURLY, "target": TARGET, "policies": Policies()} | change
    assert world.send(PutSchedule(name="report", schedule_id="s2", **wanted)) == "s2"
    world.scheduling = True
    assert world.settle() == []
    assert world.wake_us == START + 4 * HOUR
    assert world.view().runs == 0
    world.check()


def test_an_incarnations_id_cannot_be_used_for_another_definition() -> None:
    world = given(PUT, fired(START + HOUR), now_us=START + HOUR)
    other = PutSchedule(name="report", schedule_id="s1", spec=MINUTELY, target=TARGET)
    refused(world, other, ConflictingIdError)
    another = JobTemplate("app:other", b"")
    world.send(PutSchedule(name="report", schedule_id="s2", spec=HOURLY, target=another))
    refused(world, other, ConflictingIdError)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"spec": CronSpec("0 0 30 2 *", timezone="UTC")}, CronError),
        ({"spec": CronSpec("not cron", timezone="UTC")}, CronError),
        ({"spec": CronSpec("0 * * * *")}, ScheduleError),
        ({"spec": IntervalSpec("many", timezone="UTC")}, InputError),  # type: ignore[arg-type]
        ({"policies": Policies(catch_up="some")}, InputError),  # type: ignore[arg-type]
        ({"policies": Policies(overlap="often")}, InputError),  # type: ignore[arg-type]
        ({"policies": Policies(limit=0)}, InputError),
        ({"policies": Policies(limit=1_000_000)}, InputError),
        ({"policies": Policies(window_us=0)}, InputError),
        ({"policies": Policies(max_runs=0)}, InputError),
        ({"policies": Policies(start_us=2, end_us=1)}, InputError),
        ({"target": JobTemplate("app:report", "text")}, InputError),  # type: ignore[arg-type]
    ],
)
def test_a_definition_that_could_not_be_served_or_read_back_is_refused(
    change: dict[str, Any], error: type[Exception]
) -> None:
    wanted = {"spec": HOURLY, "target": TARGET, "policies": Policies()} | change
    refused(World(), PutSchedule(name="report", schedule_id="s1", **wanted), error)


def test_removing_says_whether_there_was_one() -> None:
    world = given(PUT, now_us=START)
    assert world.send(RemoveSchedule(name="report")) is True
    assert world.send(RemoveSchedule(name="report")) is False
    assert world.log == [PUT, ScheduleRemoved("report", START)]
    assert world.wake_us is None
    assert world.send(GetSchedules()) == ()
    world.check()


def test_what_is_not_on_record_is_an_error_but_for_remove() -> None:
    for message in (
        PauseSchedule(name="other"),
        ResumeSchedule(name="other"),
        TriggerSchedule(name="other", trigger_id="t1"),
    ):
        refused(given(PUT, now_us=START), message, UnknownIdError)
    refused(World(), Nudge(), InternalError)


# -- firing ------------------------------------------------------------------------------------------------


def test_a_due_instant_fires_and_its_job_is_enqueued() -> None:
    world = given(PUT, now_us=START + HOUR)
    assert world.settle() == [fired(START + HOUR)]
    (job,) = world.jobs.values()
    assert job == JobSpec(
        job_id=f"s1.{START + HOUR}",
        queue=FIRINGS,
        name="report",
        function="app:report",
        payload=b"arguments",
        owner="schedule:report",
    )
    assert world.wake_us == START + 2 * HOUR
    world.check()


def test_the_job_is_what_the_target_says() -> None:
    world = World()
    world.put(target=JobTemplate("app:sync", b"x", "reports", 7, RetryPolicy(1, 2, 3)))
    world.wake()
    (job,) = world.jobs.values()
    assert (job.function, job.payload, job.queue) == ("app:sync", b"x", "reports")
    assert (job.priority, job.retry) == (7, RetryPolicy(1, 2, 3))


def test_nothing_fires_while_no_scheduler_is_started() -> None:
    world = given(PUT, now_us=START + HOUR)
    world.scheduling = False
    assert world.settle() == []
    assert world.wake_us is None
    world.scheduling = True
    assert world.settle() == [fired(START + HOUR)]


def test_looking_again_fires_nothing_again() -> None:
    world = given(PUT, now_us=START + HOUR)
    assert len(world.settle()) == 1
    assert world.settle() == []
    assert world.restart() == [f"s1.{START + HOUR}"]
    assert world.settle() == []


@pytest.mark.no_cover
def test_a_year_of_an_hourly_schedule_fires_each_hour_once() -> None:
    world = World(at("2026-01-01T00:00+01:00"))
    world.put(spec=CronSpec("0 * * * *", timezone="Europe/Berlin"))
    for _ in range(365 * 24):
        (event,) = world.wake()
        assert isinstance(event, ScheduleFired)
        assert event.scheduled_us == event.fired_us == world.now_us
        world.end(event.job_id)
    instants = [event.scheduled_us for event in world.events(ScheduleFired)]  # type: ignore[attr-defined]
    assert instants == list(range(instants[0], instants[0] + 365 * DAY, HOUR))
    assert instants[-1] == at("2027-01-01T00:00+01:00")
    world.check()


def test_an_event_names_the_rule_that_touched_its_firing() -> None:
    world = World(at("2026-03-28T12:00"))
    world.put(spec=CronSpec("30 2 * * *", timezone="Europe/Berlin"))
    (event,) = world.wake()
    assert event == fired(at("2026-03-29T01:00"), rule="gap.shift_forward")


def test_schedules_of_the_same_second_fire_in_order_of_their_names() -> None:
    world = World()
    names = [f"n{index:03}" for index in range(300)]
    for name in reversed(names):
        world.put(name)
    events = world.wake()
    assert [event.name for event in events] == names  # type: ignore[attr-defined]
    assert len(world.jobs) == 300
    world.check()


def test_a_schedule_that_cannot_be_computed_any_more_stops_no_other() -> None:
    lost = SchedulePut("lost", "s0", CronSpec("0 * * * *", timezone="Mars/Base"), TARGET, Policies(), START)
    world = given(lost, PUT, now_us=START + HOUR)
    assert world.settle() == [fired(START + HOUR)]
    assert "Mars/Base" in world.view("lost").error
    assert world.view("lost").next_us is None
    assert not world.view("lost").completed
    world.put("lost")
    assert world.view("lost").error == ""
    assert world.view("lost").next_us == START + 2 * HOUR


# -- catching up ---------------------------------------------------------------------------------------------


def test_latest_fires_once_for_all_that_was_missed() -> None:
    world = World()
    world.put()
    assert world.pass_time(5 * HOUR + MINUTE) == [fired(START + 5 * HOUR, world.now_us, missed=4)]
    assert world.wake_us == START + 6 * HOUR
    world.check()


def test_latest_fires_one_instant_however_late_it_is() -> None:
    world = World()
    world.put(spec=CronSpec("0 0 1 1 *", timezone="UTC"))
    assert world.pass_time(700 * DAY) == [fired(at("2027-01-01T00:00"), world.now_us)]


def test_none_fires_what_is_hardly_late_and_passes_over_the_rest() -> None:
    world = World()
    world.put(catch_up="none")
    assert world.pass_time(HOUR + ON_TIME_US) == [fired(START + HOUR, world.now_us)]
    world.end_all()
    assert world.pass_time(HOUR + 1) == [skipped(START + 2 * HOUR, 1, "missed", world.now_us)]
    assert world.pass_time(5 * HOUR) == [skipped(START + 7 * HOUR, 5, "missed", world.now_us)]
    assert world.wake() == [fired(START + 8 * HOUR)]
    world.end_all()
    assert world.pass_time(3 * HOUR) == [fired(START + 11 * HOUR, missed=2)]
    world.check()


def test_all_fires_each_that_was_missed_in_order() -> None:
    world = World()
    world.put(catch_up="all", overlap="allow")
    events = world.pass_time(4 * HOUR)
    assert events == [fired(START + hour * HOUR, world.now_us) for hour in (1, 2, 3, 4)]
    world.check()


def test_all_keeps_the_newest_and_counts_the_dropped() -> None:
    world = World()
    world.put(catch_up="all", overlap="allow", limit=3)
    events = world.pass_time(10 * HOUR)
    assert events == [
        fired(START + 8 * HOUR, world.now_us, missed=7),
        fired(START + 9 * HOUR, world.now_us),
        fired(START + 10 * HOUR, world.now_us),
    ]


def test_nothing_older_than_the_window_is_caught_up() -> None:
    world = World()
    world.put(catch_up="all", overlap="allow", window_us=2 * HOUR)
    assert world.pass_time(10 * HOUR + MINUTE) == [
        fired(START + 9 * HOUR, world.now_us, missed=8),
        fired(START + 10 * HOUR, world.now_us),
    ]
    world.put("daily", spec=CronSpec("0 0 * * *", timezone="UTC"), window_us=2 * HOUR)
    world.send(RemoveSchedule(name="report"))
    (event,) = world.pass_time(DAY)
    assert (event.name, event.reason, event.count) == ("daily", "missed", 1)  # type: ignore[attr-defined]


def test_ten_years_of_downtime_cost_a_moment() -> None:
    world = World()
    world.put(spec=MINUTELY)
    (event,) = world.pass_time(3652 * DAY)
    assert event == fired(START + 3652 * DAY, missed=3652 * 24 * 60 - 1)


# -- jumps of the clock --------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_fires_nothing_again() -> None:
    world = World()
    world.put()
    world.wake()
    world.end_all()
    world.now_us -= 3 * HOUR
    assert world.settle() == []
    assert world.wake_us == START + 2 * HOUR
    for _ in range(3):
        assert world.pass_time(HOUR) == []
    assert world.wake() == [fired(START + 2 * HOUR)]


def test_a_clock_that_is_set_forward_is_downtime() -> None:
    world = World()
    world.put()
    assert world.pass_time(100 * DAY) == [fired(START + 100 * DAY, missed=100 * 24 - 1)]


# -- overlaps ------------------------------------------------------------------------------------------------


def test_skip_passes_over_what_is_due_while_the_job_has_not_ended() -> None:
    world = World()
    world.put()
    world.wake()
    assert world.wake() == [skipped(START + 2 * HOUR, 1, "overlap", world.now_us)]
    assert world.pass_time(2 * HOUR) == [skipped(START + 4 * HOUR, 2, "overlap", world.now_us)]
    world.end(f"s1.{START + HOUR}", "FAILED")
    assert world.log[-1] == ScheduleClosed("report", f"s1.{START + HOUR}", "FAILED", world.now_us)
    assert world.wake() == [fired(START + 5 * HOUR)]
    world.check()


def test_allow_fires_all_the_same() -> None:
    world = World()
    world.put(overlap="allow")
    assert [*world.wake(), *world.wake()] == [fired(START + HOUR), fired(START + 2 * HOUR)]
    assert world.view().open == 2


def test_queue_keeps_one_waiting_and_fires_it_when_the_job_has_ended() -> None:
    world = World()
    world.put(overlap="queue")
    world.wake()
    assert world.wake() == [ScheduleDeferred("report", START + 2 * HOUR, world.now_us, "", TZDATA)]
    assert world.wake() == [skipped(START + 3 * HOUR, 1, "overlap", world.now_us)]
    assert world.view().waiting == 1
    world.check()
    world.now_us += MINUTE
    world.end(f"s1.{START + HOUR}")
    assert world.log[-1] == fired(START + 2 * HOUR, world.now_us)
    assert world.view().waiting == 0
    assert world.wake_us == START + 4 * HOUR
    world.check()


def test_what_waits_fires_also_after_a_restart() -> None:
    world = World()
    world.put(overlap="queue")
    world.wake()
    world.wake()
    world.scheduling = False
    world.end_all()
    assert world.restart() == []
    assert world.settle() == []
    world.scheduling = True
    assert world.settle() == [fired(START + 2 * HOUR, world.now_us)]


def test_queue_all_keeps_as_many_waiting_as_the_limit_and_in_order() -> None:
    world = World()
    world.put(overlap="queue_all", catch_up="all", limit=3)
    world.pass_time(3 * HOUR)
    world.pass_time(2 * HOUR)
    assert [type(event) for event in world.log[1:]] == [
        ScheduleFired,
        ScheduleDeferred,
        ScheduleDeferred,
        ScheduleDeferred,
        ScheduleSkipped,
    ]
    world.check()
    for hour in (1, 2, 3, 4):
        (job_id,) = world.state.firings
        assert job_id == f"s1.{START + hour * HOUR}"
        world.end(job_id)
        world.check()
    assert world.state.firings == {}


def test_cancel_previous_fires_and_has_the_jobs_before_it_cancelled_until_they_are() -> None:
    world = World()
    world.put(overlap="cancel_previous")
    world.wake()
    first, second, third = (f"s1.{START + hour * HOUR}" for hour in (1, 2, 3))
    assert world.wake() == [fired(START + 2 * HOUR, replaces=(first,))]
    assert world.cancelled == [first]
    world.restart()
    assert world.cancelled == [first, first]
    assert world.wake() == [fired(START + 3 * HOUR, replaces=(second,))]
    world.end(first, "CANCELLED")
    world.end(second, "CANCELLED")
    assert list(world.state.firings) == [third]
    world.check()


def test_an_instant_waits_for_triggered_jobs_too() -> None:
    world = World()
    world.put()
    world.send(TriggerSchedule(name="report", trigger_id="t1"))
    assert world.wake() == [skipped(START + HOUR, 1, "overlap", world.now_us)]


def test_a_new_incarnation_does_not_wait_for_jobs_of_the_one_before() -> None:
    world = World()
    world.put()
    world.wake()
    world.put(target=JobTemplate("app:renamed", b""))
    assert world.wake() == [fired(START + 2 * HOUR, schedule_id="s2")]
    assert world.view().open == 1
    assert len(world.state.firings) == 2
    world.check()


# -- open firings --------------------------------------------------------------------------------------------


def test_what_is_owed_is_every_open_job_as_it_was_when_it_fired() -> None:
    world = World()
    world.put()
    world.wake()
    before = world.jobs[f"s1.{START + HOUR}"]
    world.put(target=JobTemplate("app:other", b"others", "elsewhere"))
    world.wake()
    world.send(RemoveSchedule(name="report"))
    world.check()
    assert world.restart() == [f"s1.{START + HOUR}", f"s2.{START + 2 * HOUR}"]
    assert world.jobs[f"s1.{START + HOUR}"] == before
    world.end_all()
    assert world.restart() == []
    world.check()


def test_the_end_of_a_job_is_recorded_once() -> None:
    world = World()
    world.put()
    world.wake()
    ended = JobEnded(job_id=f"s1.{START + HOUR}", status="COMPLETED", error="", attempts=1, ended_us=7)
    world.send(ended)
    world.send(ended)
    world.send(JobEnded(job_id="unknown", status="COMPLETED", error="", attempts=1, ended_us=7))
    assert world.events(ScheduleClosed) == [ScheduleClosed("report", ended.job_id, "COMPLETED", 7)]


# -- pausing -------------------------------------------------------------------------------------------------


def test_time_spent_paused_is_not_caught_up() -> None:
    world = World()
    world.put()
    assert world.send(PauseSchedule(name="report")) is True
    assert world.send(PauseSchedule(name="report")) is False
    assert world.wake_us is None
    assert world.pass_time(10 * HOUR + MINUTE) == []
    assert world.send(ResumeSchedule(name="report")) is True
    assert world.send(ResumeSchedule(name="report")) is False
    assert world.log[1:] == [
        SchedulePaused("report", START),
        ScheduleResumed("report", world.now_us, world.now_us),
    ]
    assert world.wake() == [fired(START + 11 * HOUR)]
    world.check()


def test_resuming_under_a_clock_that_was_set_back_fires_nothing_again() -> None:
    world = World()
    world.put(overlap="allow")
    world.wake()
    world.send(PauseSchedule(name="report"))
    world.now_us -= DAY
    world.send(ResumeSchedule(name="report"))
    assert world.wake() == [fired(START + 2 * HOUR)]


def test_pausing_drops_what_waits() -> None:
    world = World()
    world.put(overlap="queue")
    world.wake()
    world.wake()
    world.send(PauseSchedule(name="report"))
    world.end_all()
    world.send(ResumeSchedule(name="report"))
    assert world.events(ScheduleFired) == [fired(START + HOUR)]
    world.check()


def test_a_paused_name_stays_paused_when_it_is_replaced() -> None:
    world = World()
    world.put()
    world.send(PauseSchedule(name="report"))
    world.put(spec=MINUTELY)
    assert world.view().paused
    assert world.pass_time(DAY) == []
    world.check()


# -- triggering ----------------------------------------------------------------------------------------------


def test_a_trigger_enqueues_the_job_and_moves_no_cursor() -> None:
    world = given(PUT, now_us=START + MINUTE)
    assert world.send(TriggerSchedule(name="report", trigger_id="t1")) == "t1"
    assert world.log[-1] == ScheduleTriggered("report", "t1", START + MINUTE)
    assert world.jobs["t1"].function == "app:report"
    assert world.jobs["t1"].owner == "schedule:report"
    assert world.wake_us == START + HOUR
    assert world.restart() == ["t1"]
    world.check()


def test_a_trigger_works_also_while_paused_and_while_nothing_is_started() -> None:
    world = given(PUT, SchedulePaused("report", START), now_us=START)
    world.scheduling = False
    assert world.send(TriggerSchedule(name="report", trigger_id="t1")) == "t1"
    assert list(world.jobs) == ["t1"]


def test_a_repeated_trigger_enqueues_nothing_again() -> None:
    trigger = TriggerSchedule(name="report", trigger_id="t1")
    world = given(PUT, now_us=START)
    world.send(trigger)
    assert world.send(trigger) == "t1"  # its job runs
    world.end("t1")
    assert world.send(trigger) == "t1"  # its end is not durable yet
    world.state.forget(world.state.take_retired())
    assert list(RULES.lookups(world.state, trigger)) == ["job:t1"]
    world.remember("t1")
    assert world.send(trigger) == "t1"  # the log knows it
    world.send(RemoveSchedule(name="report"))
    assert world.send(trigger) == "t1"
    assert len(world.events(ScheduleTriggered)) == 1


def test_a_trigger_cannot_take_the_id_of_something_else() -> None:
    world = given(PUT, SchedulePut("other", "s2", HOURLY, TARGET, Policies(), START), now_us=START)
    world.send(TriggerSchedule(name="other", trigger_id="t1"))
    refused(world, TriggerSchedule(name="report", trigger_id="t1"), ConflictingIdError)
    world.end("t1")
    world.state.forget(world.state.take_retired())
    world.remember("t1")
    refused(world, TriggerSchedule(name="report", trigger_id="t1"), ConflictingIdError)


# -- bounds --------------------------------------------------------------------------------------------------


def test_a_schedule_fires_only_between_its_start_and_its_end() -> None:
    world = World()
    world.put(start_us=START + 2 * HOUR, end_us=START + 3 * HOUR)
    assert world.wake() == [fired(START + 2 * HOUR)]
    world.end_all()
    assert world.wake() == [fired(START + 3 * HOUR), ScheduleCompleted("report", START + 3 * HOUR)]
    assert world.wake_us is None
    assert world.view().completed
    world.check()


def test_a_schedule_whose_end_has_passed_is_completed_at_once_and_no_error() -> None:
    world = World()
    world.put(end_us=START - 1)
    assert world.log[-1] == ScheduleCompleted("report", START)
    assert world.pass_time(DAY) == []


def test_what_was_missed_before_the_end_is_caught_up_after_it() -> None:
    world = World()
    world.put(end_us=START + 3 * HOUR)
    assert world.pass_time(DAY)[0] == fired(START + 3 * HOUR, world.now_us, missed=2)


def test_a_schedule_fires_at_most_as_often_as_it_may() -> None:
    world = World()
    world.put(max_runs=3, catch_up="all", overlap="allow")
    world.wake()
    events = world.pass_time(9 * HOUR)
    assert events == [
        fired(START + 9 * HOUR, world.now_us, missed=7),
        fired(START + 10 * HOUR, world.now_us),
        ScheduleCompleted("report", world.now_us),
    ]
    assert world.view().runs == 3


def test_what_waits_counts_as_a_run_and_fires_before_the_schedule_is_completed() -> None:
    world = World()
    world.put(max_runs=2, overlap="queue")
    world.wake()
    world.wake()
    assert world.wake_us is None
    assert not world.view().completed
    world.end_all()
    assert world.log[-2:] == [
        fired(START + 2 * HOUR, world.now_us),
        ScheduleCompleted("report", world.now_us),
    ]


# -- questions -----------------------------------------------------------------------------------------------


def test_a_view_tells_what_is_and_what_comes() -> None:
    world = World()
    world.put(overlap="queue")
    world.put("other", spec=IntervalSpec(600, timezone="UTC"))
    for _ in range(12):
        world.wake()
    view = world.view()
    assert (view.name, view.schedule_id, view.kind, view.spec) == ("report", "s1", "cron", HOURLY)
    assert (view.target, view.policies) == (TARGET, Policies(overlap="queue"))
    assert (view.paused, view.completed, view.error) == (False, False, "")
    assert (view.next_us, view.last_us) == (START + 3 * HOUR, START + HOUR)
    assert (view.runs, view.open, view.waiting) == (1, 1, 1)
    assert world.view("other").kind == "recurring"
    both = world.send(GetSchedules())
    assert [view.name for view in both] == ["other", "report"]
    assert world.send(GetSchedules(names=("nobody",))) == ()


def test_a_view_shows_no_instant_that_is_past() -> None:
    world = World()
    world.put()
    world.scheduling = False
    world.pass_time(7 * HOUR + SECOND)
    assert world.view().next_us == START + 8 * HOUR
    world.now_us = START + 8 * HOUR
    assert world.view().next_us == START + 8 * HOUR


def test_what_is_recorded_is_recorded_under_the_schedules_name() -> None:
    world = given(PUT, now_us=START + HOUR)
    world.settle()
    assert {event.entity for event in world.log} == {"schedule:report"}


def test_a_decision_changes_nothing_by_itself() -> None:
    world = given(PUT, now_us=START + HOUR)
    image = world.state.dump()
    decision: Decision = next(RULES.settle(world.state, world.context))
    assert decision.events
    assert world.state.dump() == image
    assert folded(world.log).dump() == image


JULY = CronSpec("* * * 7 *", "UTC")
UNTOLD = CombinedSpec(
    "all",
    tuple(CombinedSpec("any", (JULY, CronSpec(f"{minute} * * * *", "UTC")), "UTC") for minute in (0, 30)),
    "UTC",
)
"""Parts that meet in July alone, and come by turns otherwise: of what comes after July nothing can be told."""


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are given up after fewer times in a row."""
    monkeypatch.setattr("actors.schedule.combined.MOST_CANDIDATES", 300)


@pytest.mark.usefixtures("short_search")
def test_the_last_instant_before_what_cannot_be_told_fires_and_others_go_on() -> None:
    world = World(at("2026-07-31T23:58:30"))
    world.put(spec=UNTOLD)
    world.put("other", MINUTELY)
    world.now_us = at("2026-07-31T23:59")
    fired = [event.name for event in world.settle() if isinstance(event, ScheduleFired)]
    assert sorted(fired) == ["other", "report"]
    assert "times in a row" in world.view().error
    world.check()


@pytest.mark.usefixtures("short_search")
def test_a_downtime_into_what_cannot_be_told_stops_no_scheduler() -> None:
    """The next instant, which the event of a firing tells, was asked for where nobody expected an error."""
    world = World(at("2026-07-31T23:55:30"))
    world.put(spec=UNTOLD)
    world.scheduling = False
    world.now_us = at("2026-08-01T00:05")
    assert "times in a row" in world.view().error  # shown without a scheduler, too
    world.scheduling = True
    (fired,) = world.settle()
    assert isinstance(fired, ScheduleFired)
    assert (fired.scheduled_us, fired.missed) == (at("2026-07-31T23:59"), 3)
    world.check()


def test_a_schedule_that_keeps_to_dates_is_completed_behind_the_last_of_them() -> None:
    world = World(at("2026-12-30T12:30"))
    world.put(spec=CombinedSpec("all", (HOURLY, DaysSpec(dates=("2026-12-30",))), "UTC"))
    world.pass_time(DAY)
    (fired,) = world.events(ScheduleFired)
    assert isinstance(fired, ScheduleFired)
    assert fired.missed == 10
    assert (world.view().completed, world.view().error) == (True, "")


class Raising:
    """A package of holidays that fails for some years."""

    def country_holidays(self, country: str, *, years: int, **_: object) -> dict[date, str]:
        if years < 2027:
            return {}
        raise KeyError(country)


def test_holidays_that_cannot_be_told_stop_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the next year were asked for by the event of a firing, and what the package raised ended the actor."""
    monkeypatch.setattr("actors.schedule.holiday_calendar._package", Raising)
    world = World(at("2026-12-31T22:30"))
    world.put(spec=CombinedSpec("but", (HOURLY, DaysSpec(holidays=(Holidays("X9"),))), "UTC"))
    world.put("other", HOURLY, overlap="allow")
    world.pass_time(HOUR)
    assert len(world.events(ScheduleFired)) == 2
    assert "holidays: X9 of 2027 cannot be told: KeyError('X9')" in world.view().error
    world.pass_time(HOUR)
    assert len(world.events(ScheduleFired)) == 3
    world.restart()
    world.check()


def test_what_was_left_out_is_counted_as_far_as_what_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long time what was missed is counted up to a bound, and all beyond was told as left out."""
    monkeypatch.setattr("actors.schedule.missed.MOST_DAYS", 5)
    world = World(at("2026-01-01T00:00"))  # a Thursday
    world.put(spec=CombinedSpec("but", (MINUTELY, DaysSpec(weekdays=(6,))), "UTC"))
    world.pass_time(14 * DAY)
    (skipped,) = world.events(ScheduleSkipped)
    assert isinstance(skipped, ScheduleSkipped)
    assert (skipped.reason, skipped.count) == ("excluded", 24 * 60)
