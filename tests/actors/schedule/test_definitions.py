"""Groups of schedules, all or nothing; past instants made up."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.events import JobEnqueued
from actors.runtime.errors import ForgottenIdError, InputError, UnknownIdError
from actors.runtime.messages import Known
from actors.schedule.errors import ScheduleError
from actors.schedule.messages import (
    MAX_BACKFILL,
    ApplySchedules,
    Backfilled,
    BackfillSchedule,
    PutSchedule,
    RemoveSchedule,
    ScheduleBackfilled,
    ScheduleFired,
    SchedulePut,
)
from actors.schedule.spec import CombinedSpec, CronSpec
from tests.actors.schedule.world import DAY, HOUR, HOURLY, MINUTE, MINUTELY, RULES, START, TARGET, World, at


def put(name: str, number: int = 1, spec: Any = HOURLY) -> PutSchedule:
    return PutSchedule(name=name, schedule_id=f"{name}{number}", spec=spec, target=TARGET)


def applied(world: World, *puts: PutSchedule, group: str = "file", dry_run: bool = False) -> dict[str, str]:
    changes = world.send(ApplySchedules(schedules=puts, group=group, dry_run=dry_run))
    world.check()
    return {each.name: each.change for each in changes}


def test_a_group_is_created_changed_and_shrunk() -> None:
    world = World()
    assert applied(world, put("b"), put("a")) == {"a": "created", "b": "created"}
    assert applied(world, put("a", 2, MINUTELY), put("c")) == {
        "a": "changed",
        "b": "removed",
        "c": "created",
    }
    assert set(world.state.schedules) == {"a", "c"}
    before = len(world.log)
    assert applied(world, put("c", 3), put("a", 3, MINUTELY)) == {"a": "unchanged", "c": "unchanged"}
    assert len(world.log) == before
    assert applied(world) == {"a": "removed", "c": "removed"}
    assert not world.state.groups


def test_a_dry_run_says_the_same_and_does_nothing() -> None:
    world = World()
    applied(world, put("a"), put("b"))
    before = list(world.log)
    said = applied(world, put("b", 2, MINUTELY), put("c"), dry_run=True)
    assert said == {"a": "removed", "b": "changed", "c": "created"}
    assert world.log == before
    assert applied(world, put("b", 2, MINUTELY), put("c")) == said


def test_schedules_of_nobody_are_left_alone_and_taken_in() -> None:
    world = World()
    world.put("mine")
    world.put("shared")
    assert applied(world, put("shared")) == {"shared": "unchanged"}
    assert applied(world) == {"shared": "removed"}
    assert set(world.state.schedules) == {"mine"}


def test_a_name_that_was_removed_is_free_for_another_group_and_for_nobody() -> None:
    """The first group still had it: it shut the second one out, and removed what was no more its own."""
    world = World()
    applied(world, put("a"), put("b"), put("c"), group="one")
    for name in ("a", "b"):
        assert world.send(RemoveSchedule(name=name))
        world.check()
    assert applied(world, put("a", 2), group="two") == {"a": "created"}
    assert applied(world, put("a", 3), group="two") == {"a": "unchanged"}
    world.put("b")
    assert applied(world, put("c", 2), group="one") == {"c": "unchanged"}
    assert set(world.state.schedules) == {"a", "b", "c"}
    assert world.send(RemoveSchedule(name="a"))
    assert set(world.state.groups) == {"one"}


def test_without_a_group_nothing_is_removed() -> None:
    world = World()
    assert applied(world, put("a"), put("b"), group="") == {"a": "created", "b": "created"}
    assert applied(world, put("c"), group="") == {"c": "created"}
    assert set(world.state.schedules) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("puts", "error"),
    [
        ((put("c"), put("c", 2)), InputError),
        ((put("c"), put("theirs", 2, MINUTELY)), InputError),
        ((put("c"), put("d", 1, CombinedSpec("but", (HOURLY, HOURLY), "UTC"))), ScheduleError),
    ],
)
def test_all_or_nothing(puts: tuple[PutSchedule, ...], error: type[Exception]) -> None:
    world = World()
    applied(world, put("theirs"), group="other")
    image = world.state.dump()
    with pytest.raises(error):
        RULES.decide(world.state, ApplySchedules(schedules=puts, group="file"), world.context)
    assert world.state.dump() == image


# -- backfill --------------------------------------------------------------------------------------------


def backfilled(world: World, from_us: int, to_us: int, *, dry_run: bool = False) -> list[int]:
    message = BackfillSchedule(name="report", from_us=from_us, to_us=to_us, dry_run=dry_run)
    asked = RULES.lookups(world.state, message)
    world.known = {
        f"job:{job_id}": Known((JobEnqueued(spec, b"", world.now_us),))
        for job_id, spec in world.jobs.items()
        if f"job:{job_id}" in asked
    }
    found = world.send(message)
    assert all(isinstance(each, Backfilled) for each in found)
    world.check()
    return [each.scheduled_us for each in found]


def test_what_may_have_fired_and_been_forgotten_is_not_made_up() -> None:
    world = World()
    world.put()
    hours = [START - 3 * HOUR, START - 2 * HOUR, START - HOUR]
    world.horizon_us = hours[1]
    with pytest.raises(ForgottenIdError, match="expected a range that begins later"):
        backfilled(world, hours[0], hours[-1])
    assert not world.jobs
    assert backfilled(world, hours[1] + 1, hours[-1]) == [hours[-1]]


def test_of_a_schedule_younger_than_the_horizon_nothing_was_forgotten() -> None:
    world = World()
    world.put(schedule_id=f"{START + 1:013x}{0:011x}")
    world.horizon_us = START
    assert backfilled(world, START - HOUR, START) == [START - HOUR, START]


def test_a_past_range_is_made_up_once() -> None:
    world = World()
    world.put()
    hours = [START - 3 * HOUR, START - 2 * HOUR, START - HOUR]
    assert backfilled(world, hours[0], hours[-1], dry_run=True) == hours
    assert not world.jobs
    assert backfilled(world, hours[0], hours[-1]) == hours
    assert [int(job_id.rpartition(".")[2]) for job_id in world.jobs] == hours
    world.end_all()
    world.state.forget(world.state.take_retired())
    assert backfilled(world, hours[0] - HOUR, START) == [hours[0] - HOUR, START]
    assert world.restart() == [f"s1.{hours[0] - HOUR}", f"s1.{START}"]


def test_what_has_fired_is_left_out_and_the_cursor_stays() -> None:
    world = World()
    world.put(overlap="allow")
    world.pass_time(HOUR)
    assert backfilled(world, START, START + HOUR) == [START]
    world.pass_time(HOUR)
    served = [event.scheduled_us for event in world.log if isinstance(event, ScheduleFired)]
    assert served == [START + HOUR, START + 2 * HOUR]
    assert world.view().runs == 2
    assert world.view().open == 3


def test_what_was_made_up_before_its_turn_is_named_until_it_is_served() -> None:
    """By that name its job is kept: catch-up asks for the same one."""
    world = World()
    world.put(catch_up="all", overlap="queue_all")
    world.scheduling = False
    world.pass_time(2 * HOUR)
    assert backfilled(world, START, START + 2 * HOUR) == [START, START + HOUR, START + 2 * HOUR]
    named = [f"s1.{START + HOUR}", f"s1.{START + 2 * HOUR}"]
    assert world.state.dump()["made_up"] == [("report", named)]
    world.scheduling = True
    world.settle()
    assert world.view().waiting == 2
    assert world.state.dump()["made_up"] == [("report", named)]
    world.check()
    world.end_all()
    assert world.state.dump()["made_up"] == [("report", named[1:])]
    world.end_all()
    assert "made_up" not in world.state.dump()
    assert len(world.jobs) == 3


def test_an_instant_that_waits_is_left_out() -> None:
    world = World()
    world.put(overlap="queue")
    world.pass_time(HOUR)
    world.pass_time(HOUR)
    assert backfilled(world, START, START + 2 * HOUR) == [START]


def test_rules_of_gaps_and_folds_are_kept() -> None:
    world = World(at("2027-04-01T00:00"))
    world.put(spec=CronSpec("30 2 * * *", timezone="Europe/Zurich"))
    backfilled(world, at("2027-03-27T00:00"), at("2027-03-29T12:00"))
    (event,) = world.events(ScheduleBackfilled)
    assert isinstance(event, ScheduleBackfilled)
    assert [rule for _, rule in event.instants] == ["", "gap.shift_forward", ""]


@pytest.mark.parametrize(
    ("name", "from_us", "to_us", "error"),
    [
        ("unknown", START - HOUR, START, UnknownIdError),
        ("report", START, START - HOUR, InputError),
        ("report", START, START + HOUR, InputError),
        ("report", START - MAX_BACKFILL * HOUR, START, InputError),
    ],
)
def test_what_cannot_be_made_up_is_refused(
    name: str, from_us: int, to_us: int, error: type[Exception]
) -> None:
    world = World()
    world.put()
    message = BackfillSchedule(name=name, from_us=from_us, to_us=to_us)
    with pytest.raises(error):
        _ = RULES.lookups(world.state, message), world.send(message)
    assert len(world.log) == 1


def test_as_many_as_there_may_be_are_made_up() -> None:
    world = World()
    world.put(spec=MINUTELY)
    assert len(backfilled(world, START - (MAX_BACKFILL - 1) * MINUTE, START)) == MAX_BACKFILL
    assert len(world.events(SchedulePut)) == 1
    assert min(int(job_id.rpartition(".")[2]) for job_id in world.jobs) > START - DAY
