"""What the log says of each firing, skip, shift and catch-up: which rule, what comes next, how late."""

from __future__ import annotations

from typing import Any

import pytest

from actors.clock.zones import tzdata_version
from actors.runtime.messages import Event, Message
from actors.schedule.firing import next_fire
from actors.schedule.jitter import jitter_us
from actors.schedule.messages import (
    ApplySchedules,
    JobTemplate,
    Moved,
    PauseSchedule,
    Policies,
    PutSchedule,
    RemoveSchedule,
    ScheduleDeferred,
    ScheduleFired,
    SchedulePut,
    ScheduleSkipped,
    ZoneRulesChanged,
)
from actors.schedule.spec import CombinedSpec, CronSpec, DaysSpec
from tests.actors.schedule.world import DAY, HOUR, HOURLY, MINUTE, SECOND, START, TARGET, World, at

ZURICH = "Europe/Zurich"
OTHER = JobTemplate("app:other", b"arguments")


def policies_of(world: World, *types: type[Event]) -> list[str]:
    return [event.policy for event in world.full if isinstance(event, types) and hasattr(event, "policy")]


def world_of(**policies: Any) -> World:
    world = World()
    world.put(**policies)
    return world


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_a_firing_that_makes_up_names_the_policy(catch_up: str) -> None:
    world = world_of(catch_up=catch_up, limit=2, overlap="allow")
    world.wake()
    world.pass_time(4 * HOUR + 5 * MINUTE)
    policies = policies_of(world, ScheduleFired)
    assert policies == ["", *([f"catch_up.{catch_up}"] * (len(policies) - 1))]
    assert len(policies) > 1


@pytest.mark.parametrize(
    ("policies", "named"),
    [({"catch_up": "none"}, "catch_up.none"), ({"window_us": MINUTE}, "catch_up.window")],
)
def test_what_is_too_late_is_passed_over_by_a_named_policy(policies: Any, named: str) -> None:
    world = world_of(**policies)
    world.pass_time(2 * HOUR + 30 * MINUTE)
    (skipped,) = world.full[1:]
    assert isinstance(skipped, ScheduleSkipped)
    assert (skipped.reason, skipped.count, skipped.policy) == ("missed", 2, named)


@pytest.mark.parametrize("overlap", ["skip", "queue", "queue_all", "cancel_previous"])
def test_what_an_overlap_does_is_named(overlap: str) -> None:
    world = world_of(overlap=overlap)
    for _ in range(2):
        world.wake()
    if overlap == "skip":
        assert policies_of(world, ScheduleSkipped) == ["overlap.skip"]
    elif overlap == "cancel_previous":
        assert policies_of(world, ScheduleFired) == ["", "overlap.cancel_previous"]
    else:
        assert policies_of(world, ScheduleDeferred) == [f"overlap.{overlap}"]
        world.end_all()
        assert policies_of(world, ScheduleFired) == ["", f"overlap.{overlap}"]


ORDERS = pytest.mark.parametrize(
    ("order", "policy"),
    [
        (PauseSchedule(name="report"), "pause"),
        (RemoveSchedule(name="report"), "remove"),
        (PutSchedule(name="report", schedule_id="other", spec=HOURLY, target=OTHER), "replace"),
        (ApplySchedules(schedules=(), group="file"), "remove"),
    ],
)


@ORDERS
def test_what_waited_when_an_order_came_is_on_record_as_dropped(order: Message, policy: str) -> None:
    world = World()
    put = PutSchedule("report", "s1", HOURLY, TARGET, Policies(overlap="queue_all"))
    world.send(ApplySchedules(schedules=(put,), group="file"))
    for _ in range(3):
        world.wake()
    before = len(world.full)
    world.send(order)
    first, second, *others = world.full[before:]
    for event, hours in ((first, 2), (second, 3)):
        assert isinstance(event, ScheduleSkipped)
        assert (event.upto_us, event.count) == (START + hours * HOUR, 1)
        assert (event.reason, event.policy) == ("dropped", policy)
    assert not any(isinstance(event, ScheduleSkipped) for event in others)
    world.check()
    world.end_all()
    assert len(world.events(ScheduleFired)) == 1


@ORDERS
@pytest.mark.parametrize("jitter_us", [0, 10 * MINUTE])
def test_what_was_due_and_not_served_when_an_order_came_is_on_record_as_missed(
    order: Message, policy: str, jitter_us: int
) -> None:
    world = World()
    put = PutSchedule("report", "s1", HOURLY, TARGET, Policies(jitter_us=jitter_us))
    world.send(ApplySchedules(schedules=(put,), group="file"))
    world.scheduling = False
    world.pass_time(3 * HOUR + 10 * MINUTE)
    world.send(order)
    missed, *others = world.full[2:]
    assert isinstance(missed, ScheduleSkipped)
    assert (missed.upto_us, missed.count, missed.next_us) == (START + 3 * HOUR, 3, START + 4 * HOUR)
    assert (missed.reason, missed.policy) == ("missed", policy)
    assert not any(isinstance(event, ScheduleSkipped) for event in others)
    world.check()
    world.scheduling = True
    world.settle()
    assert not world.jobs


def test_what_cannot_be_told_of_a_schedule_keeps_nobody_from_removing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_of()
    world.scheduling = False
    world.pass_time(3 * HOUR)
    monkeypatch.setattr("actors.schedule.catch_up._following", lambda *_: 1 // 0)
    assert world.send(RemoveSchedule(name="report"))


def test_a_time_that_the_clocks_skipped_is_on_record() -> None:
    world = World(at("2027-03-27T12:00"))
    world.put(spec=CronSpec("0,30 2 * * *", timezone=ZURICH, gap="skip"))
    world.wake()
    skipped, fired = world.full[1:]
    assert isinstance(skipped, ScheduleSkipped)
    assert (skipped.upto_us, skipped.count) == (at("2027-03-28T01:00"), 2)
    assert (skipped.reason, skipped.policy) == ("gap", "gap.skip")
    assert isinstance(fired, ScheduleFired)
    assert fired.scheduled_us == at("2027-03-29T00:00")
    world.check()


def test_interval_jobs_follow_the_wall_clock_and_skip_nothing() -> None:
    world = World(at("2027-03-27T12:00"))
    world.put(spec=CronSpec("*/30 2 * * *", timezone=ZURICH, gap="skip"))
    world.wake()
    assert [type(event) for event in world.full[1:]] == [ScheduleFired]


def test_excluded_days_are_on_record_with_the_next_firing() -> None:
    world = World(at("2027-01-08T12:00"))
    nightly = CronSpec("0 6,18 * * *", timezone="UTC")
    world.put(spec=CombinedSpec("but", (nightly, DaysSpec(weekdays=(5, 6))), "UTC"))
    world.wake()
    world.end_all()
    world.wake()
    kinds = [event for event in world.full if isinstance(event, ScheduleSkipped)]
    assert [(each.upto_us, each.count, each.reason, each.policy) for each in kinds] == [
        (at("2027-01-10T18:00"), 4, "excluded", "exclude")
    ]
    assert world.full[-1].scheduled_us == at("2027-01-11T06:00")  # type: ignore[attr-defined]
    world.check()


def test_a_shift_names_the_rule_of_the_gap() -> None:
    world = World(at("2027-03-27T12:00"))
    world.put(spec=CronSpec("30 2 * * *", timezone=ZURICH, gap="preserve_offset"))
    world.wake()
    assert world.full[-1].rule == "gap.preserve_offset"  # type: ignore[attr-defined]


def test_each_event_tells_what_comes_next() -> None:
    world = world_of(overlap="queue")
    for step in (HOUR, HOUR, 3 * HOUR, DAY):
        world.pass_time(step)
        (*_, last) = world.full
        assert isinstance(last, ScheduleFired | ScheduleDeferred | ScheduleSkipped)
        following = next_fire(HOURLY, world.now_us)
        assert following is not None
        assert last.next_us == following.at_us == world.state.schedules["report"].expected_us
        assert last.tzdata == tzdata_version()


# -- lateness --------------------------------------------------------------------------------------------


def test_lateness_is_told_after_time_and_jitter() -> None:
    world = world_of(jitter_us=10 * MINUTE)
    delay_us = jitter_us("report", START + HOUR, 10 * MINUTE)
    world.pass_time(HOUR + delay_us + 3 * SECOND)
    view = world.view()
    assert (view.late_us, view.late_most_us, view.late_sum_us) == (3 * SECOND,) * 3
    assert view.last_fired_us == world.now_us
    world.end_all()
    world.wake()
    view = world.view()
    assert (view.runs, view.late_us, view.late_most_us, view.late_sum_us) == (2, 0, 3 * SECOND, 3 * SECOND)
    world.check()


# -- another release of the tz database -------------------------------------------------------------------


def put_by(release: str, name: str, next_us: int, spec: Any = HOURLY) -> SchedulePut:
    return SchedulePut(name, f"{name}1", spec, TARGET, Policies(), START, release, next_us)


def test_another_release_of_the_tz_database_lists_what_it_moved_once() -> None:
    world = World()
    world.given(
        put_by("1999z", "kept", START + HOUR),
        put_by("1999z", "moved", START + 2 * HOUR),
        put_by("1999z", "gone", START + HOUR, CronSpec("0 * * * *", timezone="Mars/Olympus")),
    )
    (changed,) = world.settle()
    assert changed == ZoneRulesChanged(
        "1999z",
        tzdata_version(),
        (Moved("moved", START + 2 * HOUR, START + HOUR), Moved("gone", START + HOUR, None)),
        START,
    )
    assert world.settle() == []
    world.check()
    world.wake()
    assert [event.name for event in world.full if isinstance(event, ScheduleFired)] == ["kept", "moved"]
    assert "Mars/Olympus" in world.view("gone").error


def test_the_same_release_and_logs_that_name_none_are_left_alone() -> None:
    world = World().given(put_by("", "old", 0))
    assert world.settle() == []
    other = World()
    other.put()
    assert other.settle() == []


def test_a_release_that_comes_while_no_scheduler_is_started_is_noticed_all_the_same() -> None:
    world = World()
    world.scheduling = False
    world.given(put_by("1999z", "a", START + HOUR))
    (changed,) = world.settle()
    assert isinstance(changed, ZoneRulesChanged)
    assert changed.moved == ()
