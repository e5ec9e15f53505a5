"""Jitter: an instant is served later than it says, by an amount that is always the same."""

from __future__ import annotations

import pytest

from actors.schedule.jitter import jitter_us
from actors.schedule.messages import (
    MAX_JITTER_US,
    CatchUp,
    PauseSchedule,
    ResumeSchedule,
    ScheduleCompleted,
    ScheduleFired,
    ScheduleSkipped,
)
from tests.actors.schedule.world import DAY, HOUR, MINUTE, MINUTELY, START, World


def test_the_delay_of_an_instant_is_fixed_and_differs_between_names_and_instants() -> None:
    delays = {jitter_us(name, at_us, 1_000) for name in "abcdef" for at_us in range(100)}
    assert len(delays) > 300
    assert all(0 <= delay <= 1_000 for delay in delays)
    assert jitter_us("report", START, MAX_JITTER_US) == 62_008_997_607
    assert jitter_us("report", START, 0) == 0


def test_an_instant_is_fired_when_it_is_due_and_keeps_its_own_time() -> None:
    world = World()
    world.put(jitter_us=30 * MINUTE)
    delay_us = jitter_us("report", START + HOUR, 30 * MINUTE)
    assert world.wake_us == START + HOUR + delay_us
    assert world.pass_time(HOUR + delay_us - 1) == []
    (fired,) = world.pass_time(1)
    assert isinstance(fired, ScheduleFired)
    assert (fired.scheduled_us, fired.fired_us) == (START + HOUR, START + HOUR + delay_us)
    world.check()


def test_nothing_is_lost_or_doubled_when_the_jitter_is_longer_than_the_interval() -> None:
    world = World()
    world.put(spec=MINUTELY, jitter_us=10 * MINUTE, overlap="allow", catch_up="all", limit=10_000)
    while world.now_us < START + DAY // 4:
        world.wake()
        world.end_all()
    served = [event.scheduled_us for event in world.events(ScheduleFired) if isinstance(event, ScheduleFired)]
    assert served == [START + number * MINUTE for number in range(1, len(served) + 1)]
    assert len(served) > 340
    world.check()


@pytest.mark.parametrize("catch_up", ["latest", "none"])
def test_instants_that_the_jitter_of_an_earlier_one_held_back_are_neither_missed_nor_late(
    catch_up: CatchUp,
) -> None:
    world = World()
    world.put(spec=MINUTELY, jitter_us=10 * MINUTE, overlap="allow", catch_up=catch_up)
    while world.now_us < START + DAY // 8:
        world.wake()
    fired = [event for event in world.full if isinstance(event, ScheduleFired)]
    assert [event.scheduled_us for event in fired] == [
        START + number * MINUTE for number in range(1, len(fired) + 1)
    ]
    assert len(fired) > 160
    assert {(event.missed, event.policy) for event in fired} == {(0, "")}
    assert not world.events(ScheduleSkipped)
    world.check()


def test_an_instant_that_is_put_off_beyond_a_pause_fires_and_one_that_became_due_in_it_does_not() -> None:
    for pause_at, resume_at, fires in ((0.2, 0.4, True), (0.2, 1.2, False)):
        world = World()
        world.put(jitter_us=50 * MINUTE)
        delay_us = jitter_us("report", START + HOUR, 50 * MINUTE)
        world.pass_time(HOUR + int(delay_us * pause_at))
        world.send(PauseSchedule(name="report"))
        world.pass_time(int(delay_us * (resume_at - pause_at)))
        world.send(ResumeSchedule(name="report"))
        world.wake()
        (fired,) = world.events(ScheduleFired)
        assert isinstance(fired, ScheduleFired)
        assert fired.scheduled_us == START + (1 if fires else 2) * HOUR
        world.check()


def test_no_more_fire_together_than_may() -> None:
    world = World()
    world.put(spec=MINUTELY, jitter_us=10 * MINUTE, overlap="allow", max_runs=20)
    while world.wake_us is not None:
        world.wake()
    assert len(world.events(ScheduleFired)) == 20
    assert world.events(ScheduleCompleted)


def test_after_downtime_one_run_stands_for_all_that_were_due() -> None:
    world = World()
    world.put(spec=MINUTELY, jitter_us=5 * MINUTE)
    (fired,) = world.pass_time(DAY)
    assert isinstance(fired, ScheduleFired)
    assert DAY - 5 * MINUTE <= fired.scheduled_us - START <= DAY
    assert fired.scheduled_us == START + (fired.missed + 1) * MINUTE


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_the_window_of_what_is_caught_up_begins_when_a_put_off_instant_is_due(catch_up: CatchUp) -> None:
    world = World()
    world.put(jitter_us=50 * MINUTE, catch_up=catch_up, window_us=MINUTE)
    world.wake()
    assert len(world.events(ScheduleFired)) == 1
    world.end_all()
    world.pass_time(HOUR)
    assert len(world.events(ScheduleFired, ScheduleSkipped)) == 2
    world.check()


def test_with_catch_up_none_a_put_off_instant_is_on_time() -> None:
    world = World()
    world.put(jitter_us=50 * MINUTE, catch_up="none")
    world.wake()
    assert len(world.events(ScheduleFired)) == 1
