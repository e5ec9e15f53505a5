"""The faults of time, by their numbers in the catalogue: nothing is lost, nothing doubled, and all is said."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.clock.zones import names
from actors.schedule.errors import CronError
from actors.schedule.firing import next_fire, ready
from actors.schedule.messages import (
    Moved,
    PauseSchedule,
    Policies,
    RemoveSchedule,
    ScheduleFired,
    SchedulePut,
    ScheduleSkipped,
    ZoneRulesChanged,
)
from actors.schedule.spec import CronSpec
from tests.actors.schedule.world import DAY, HOUR, HOURLY, MINUTE, MINUTELY, SECOND, START, TARGET, World

YEAR = 365 * DAY


def served(world: World) -> list[int]:
    return [event.scheduled_us for event in world.full if isinstance(event, ScheduleFired)]


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_f15_a_process_that_stood_still_makes_up_by_policy_and_says_so(overlap: str) -> None:
    world = World()
    world.put(spec=MINUTELY, overlap=overlap, catch_up="all", limit=5)
    world.wake()
    world.pass_time(60 * MINUTE)
    fired = [event for event in world.full if isinstance(event, ScheduleFired)]
    skipped = sum(event.count for event in world.full if isinstance(event, ScheduleSkipped))
    assert len(fired) + sum(event.missed for event in fired) + skipped == 61
    world.check()


@pytest.mark.parametrize("back_us", [HOUR, DAY, START])
def test_f82_a_clock_that_goes_back_fires_nothing_twice(back_us: int) -> None:
    world = World()
    world.put(overlap="allow")
    for _ in range(3):
        world.wake()
    before = served(world)
    world.now_us -= back_us
    world.settle()
    assert world.wake_us == before[-1] + HOUR
    world.wake()
    assert max(Counter(served(world)).values()) == 1


@pytest.mark.parametrize("forward_us", [HOUR, 10 * YEAR])
def test_f83_a_clock_that_goes_forward_is_downtime_however_far(forward_us: int) -> None:
    world = World()
    world.put(spec=MINUTELY)
    world.pass_time(forward_us)
    (fired,) = [event for event in world.full if isinstance(event, ScheduleFired)]
    assert fired.missed == forward_us // MINUTE - 1
    assert fired.policy == "catch_up.latest"


@pytest.mark.no_cover
def test_f84_a_nightly_job_runs_once_a_day_in_every_zone() -> None:
    begin = START
    for zone in names():
        spec = CronSpec("30 2 * * *", timezone=zone)
        at_us, count = begin, 0
        while (found := next_fire(spec, at_us)) is not None and found.at_us <= begin + YEAR:
            assert 22 * HOUR <= found.at_us - at_us <= 26 * HOUR or count == 0, zone
            at_us, count = found.at_us, count + 1
        assert count in (364, 365, 366), zone


def test_f85_changed_zone_rules_move_what_is_to_come_and_are_listed() -> None:
    world = World()
    world.given(SchedulePut("a", "a1", HOURLY, TARGET, Policies(), START, "1999z", START + 2 * HOUR))
    (changed,) = world.settle()
    assert isinstance(changed, ZoneRulesChanged)
    assert changed.moved == (Moved("a", START + 2 * HOUR, START + HOUR),)


@pytest.mark.parametrize(
    "text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * * * * *", f"{'1,' * 2000}1 * * * *"]
)
def test_f86_what_can_never_fire_is_refused_at_once(text: str) -> None:
    with pytest.raises(CronError):
        ready(CronSpec(text, timezone="UTC"))


@pytest.mark.parametrize("order", [RemoveSchedule(name="report"), PauseSchedule(name="report")])
@pytest.mark.parametrize("fires_first", [True, False])
def test_f87_an_order_at_the_very_instant_comes_before_or_after_it(
    order: RemoveSchedule | PauseSchedule, *, fires_first: bool
) -> None:
    world = World()
    world.put()
    world.now_us += HOUR
    if fires_first:
        world.settle()
    world.send(order)
    world.settle()
    assert served(world) == ([START + HOUR] if fires_first else [])
    world.check()


def test_f88_a_thousand_schedules_of_one_second_all_fire_in_order_of_their_names() -> None:
    world = World()
    for number in range(1_000):
        world.put(f"s{number:04}")
    world.pass_time(HOUR + 2 * SECOND)
    fired = [event for event in world.full if isinstance(event, ScheduleFired)]
    assert [event.name for event in fired] == [f"s{number:04}" for number in range(1_000)]
    assert world.view("s0500").late_us == 2 * SECOND


def test_f89_a_scheduler_that_gets_no_turn_loses_nothing_and_tells_how_late_it_was() -> None:
    world = World()
    world.put(spec=MINUTELY, overlap="allow", catch_up="all")
    for starved_us in (MINUTE, 90 * SECOND, 5 * MINUTE, SECOND, 30 * SECOND):
        world.pass_time(starved_us)
    upto = (world.now_us - START) // MINUTE
    assert served(world) == [START + number * MINUTE for number in range(1, upto + 1)]
    assert world.view().late_most_us > MINUTE
