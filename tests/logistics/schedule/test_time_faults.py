"""The faults of time by their numbers, on whole engines: F82 to F89; F15 is in `test_real_time`."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tzdata  # type: ignore[import-untyped] # it carries no type information

from actors.clock.messages import ClockJumped, GetClock
from actors.schedule.messages import CATCH_UPS, ScheduleFired, ScheduleRemoved, ScheduleSkipped
from actors.schedule.spec import FOLD_RULES, GAP_RULES
from logistics import CronError, CronExpression, RecurringSchedule
from logistics.schedule.definition import ScheduleDefinition
from logistics.schedule.manager import ScheduleManager
from tests.actors.schedule import oracle
from tests.actors.schedule.two_years import Wanted, Years, expected
from tests.logistics.orchestration import children
from tests.logistics.schedule.place import START, Place

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
US = timedelta(microseconds=1)


def nothing() -> None:
    """The function of a schedule."""


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.engine.close()


def of_type(place: Place, name: str, kind: type[Any]) -> list[Any]:
    return [event for event in place.events(name) if isinstance(event, kind)]


def told(place: Place, name: str) -> int:
    """How many instants the record of a schedule accounts for."""
    count = 0
    for event in place.events(name):
        if isinstance(event, ScheduleFired):
            count += 1 + event.missed
        elif isinstance(event, ScheduleSkipped):
            count += event.count
    return count


def jump(place: Place, by: timedelta) -> None:
    """Set the clock, and have everybody look at it."""
    place.clock.jump(by // US)
    for actor in ("clock", "scheduler"):
        place.engine.store.runtime.nudge(actor)


@pytest.mark.parametrize("back", [HOUR, DAY, START - datetime(1970, 1, 1, tzinfo=UTC)])
def test_f82_a_clock_set_back_fires_nothing_twice_and_is_on_record(place: Place, back: timedelta) -> None:
    manager = ScheduleManager(engine=place.engine)
    manager.schedule_cron("hourly", "0 * * * *", nothing, overlap="allow")
    manager.start()
    for hour in (1, 2, 3):
        place.pass_time(HOUR)
        assert place.fired("hourly")[-1] == START + hour * HOUR
    before = place.fired("hourly")
    jump(place, -back)
    assert manager.get("hourly") is not None
    place.pass_time(back)
    assert place.fired("hourly") == before == [START + hour * HOUR for hour in (1, 2, 3)]
    place.pass_time(HOUR)
    assert place.fired("hourly") == [*before, START + 4 * HOUR]
    place.engine.send(GetClock())
    jumps = [event.by_us for _, event in place.engine.history("clock") if isinstance(event, ClockJumped)]
    assert jumps == [-back // US]


@pytest.mark.parametrize("forward", [HOUR, 10 * 365 * DAY])
def test_f83_a_clock_set_forward_is_downtime_however_far(place: Place, forward: timedelta) -> None:
    manager = ScheduleManager(engine=place.engine)
    for policy in CATCH_UPS:
        manager.schedule_cron(policy, "30 * * * *", nothing, overlap="allow", catch_up=policy, limit=5)
    manager.start()
    jump(place, forward)
    hours = forward // HOUR
    assert [len(place.fired(name)) for name in ("latest", "none", "all")] == [1, 0, min(5, hours)]
    assert [told(place, name) for name in ("latest", "none", "all")] == [hours, hours, hours]
    (once,) = of_type(place, "latest", ScheduleFired)
    assert (once.policy, once.missed) == ("catch_up.latest", hours - 1)


@pytest.mark.parametrize("zone", ["Europe/Zurich", "Africa/Cairo", "Australia/Lord_Howe"])
def test_f84_an_engine_serves_a_gap_and_a_fold_by_each_rule(place: Place, zone: str) -> None:
    """A year of a nightly job: in Cairo clocks are changed at midnight, on Lord Howe by half an hour."""
    years = Years(2026, 1)
    night = oracle.Expression(
        "15 0,2 * * *",
        lambda _: True,
        lambda minute: minute == 15,
        lambda hour: hour in (0, 2),
        lambda _: True,
        False,
    )
    manager = ScheduleManager(engine=place.engine)
    rules = [*zip(GAP_RULES, FOLD_RULES, strict=True)]
    for gap, fold in rules:
        nightly = CronExpression(night.text, timezone=zone, gap=gap, fold=fold)
        manager.schedule_cron(gap, nightly, nothing, overlap="allow", catch_up="all", limit=1000)
    manager.start()
    place.pass_time(365 * DAY)
    for gap, fold in rules:
        minutes = expected(Wanted(night, years).table(), zone, years, (gap, fold)).among(
            years.start + 1, years.end
        )
        found = of_type(place, gap, ScheduleFired)
        assert [(event.scheduled_us // 60_000_000, event.rule) for event in found] == list(minutes)


RULES_CHANGE = """
import sys
from datetime import UTC, datetime, timedelta
from actors.schedule.messages import ZoneRulesChanged
from logistics import OrchestrationEngine, ScheduleManager
from logistics.testing import VirtualClock, pass_time

def work(): ...

add = sys.argv[1] == "add"
now = datetime(2026, 1, 1, 0 if add else 9, tzinfo=UTC)
with OrchestrationEngine("store", clock=VirtualClock(now)) as engine:
    manager = ScheduleManager(engine=engine)
    if add:
        manager.schedule_once("once", now + timedelta(days=9), work, timezone="Europe/Zagreb")
        for zone in ("Europe/Zurich", "Europe/Zagreb", "Asia/Tokyo"):
            manager.schedule_cron(zone, "30 9 * * *", work, timezone=zone)
    manager.start()
    for view in manager.list_tasks():
        print(view.name, view.next_run and view.next_run.astimezone(UTC).isoformat(), view.error)
    for _, event in engine.history("schedules"):
        if isinstance(event, ZoneRulesChanged):
            print("moved", event.before, event.after, sorted(moved.name for moved in event.moved))
    if add:
        pass_time(engine, timedelta(hours=9))
    print("fired", manager.firings("Europe/Zagreb")[0].ended.isoformat())
"""


def test_f85_a_newer_tzdata_moves_what_is_to_come_lists_it_and_a_lost_zone_stops_itself_only(
    tmp_path: Path,
) -> None:
    """Between two runs of a program the package is replaced: Zurich gets London's time, Zagreb is gone.

    Once a schedule in such a zone had run, no schedule could be listed.
    """
    other = tmp_path / "packages" / "tzdata"
    shutil.copytree(Path(tzdata.__file__).parent, other, ignore=shutil.ignore_patterns("__pycache__"))
    text = (other / "__init__.py").read_text()
    (other / "__init__.py").write_text(f'{text}\nIANA_VERSION = "2099z"\n')
    shutil.copy(other / "zoneinfo/Europe/London", other / "zoneinfo/Europe/Zurich")
    (other / "zoneinfo/Europe/Zagreb").unlink()
    listing = (other / "zones").read_text().replace("Europe/Zagreb\n", "")
    (other / "zones").write_text(listing)
    (tmp_path / "program.py").write_text(RULES_CHANGE)
    before = children.run(["program.py", "add"], tmp_path)
    assert before.returncode == 0, before.stderr
    assert "Europe/Zurich 2026-01-01T08:30:00+00:00" in before.stdout
    after = children.run(["program.py", "again"], tmp_path, PYTHONPATH=f"{other.parent}:{children.ROOT}")
    assert after.returncode == 0, after.stderr
    lines = after.stdout.splitlines()
    assert lines[0].startswith("Asia/Tokyo 2026-01-01T00:30:00+00:00") or "Asia/Tokyo" in lines[0]
    assert any(line.startswith("Europe/Zurich 2026-01-01T09:30:00+00:00") for line in lines), after.stdout
    (lost,) = [line for line in lines if line.startswith("Europe/Zagreb")]
    assert "no timezone 'Europe/Zagreb'" in lost
    (moved,) = [line for line in lines if line.startswith("moved")]
    assert "fired 2026-01-01T09:30:00+01:00" in before.stdout
    assert "fired 2026-01-01T08:30:00+00:00" in lines, "shown in UTC, since its own time is not known"
    assert moved == f"moved {tzdata.IANA_VERSION} 2099z ['Europe/Zagreb', 'Europe/Zurich']"


@pytest.mark.parametrize(
    "make",
    [
        lambda manager: manager.schedule_cron("a", "0 0 30 2 *", nothing),
        lambda manager: manager.schedule_cron("a", "* * * * * *", nothing),
        lambda manager: manager.schedule_cron("a", f"{'1,' * 2000}1 * * * *", nothing),
        lambda manager: manager.schedule_recurring(
            "a", RecurringSchedule.yearly(month="feb", day=30, month_end="skip"), nothing
        ),
        lambda manager: manager.schedule_many(
            [ScheduleDefinition("b", "0 * * * *", nothing), ScheduleDefinition("a", "0 0 31 4 *", nothing)]
        ),
    ],
)
def test_f86_what_can_never_fire_is_refused_and_nothing_recorded(
    place: Place, make: Callable[[ScheduleManager], object]
) -> None:
    manager = ScheduleManager(engine=place.engine)
    with pytest.raises(ValueError, match=r"never fire|five fields|at most 2000 characters") as refused:
        make(manager)
    assert isinstance(refused.value, CronError) or "can never fire" in str(refused.value)
    assert manager.list_tasks() == []


ORDERS: dict[str, Callable[[ScheduleManager], object]] = {
    "cancel": lambda manager: manager.cancel("hourly"),
    "pause": lambda manager: manager.pause("hourly"),
    "replace": lambda manager: manager.schedule_cron("hourly", "0 */2 * * *", nothing),
}


@pytest.mark.parametrize("order", ORDERS)
def test_f87_an_order_at_the_instant_of_a_firing_comes_before_or_after_it(place: Place, order: str) -> None:
    """Time and the order race on two threads; the log knows which of them came first."""
    manager = ScheduleManager(engine=place.engine)
    manager.start()
    for _ in range(20):
        manager.schedule_cron("hourly", "0 * * * *", nothing, overlap="allow")
        before = len(place.fired("hourly"))
        go = threading.Barrier(2)

        def give_order(go: threading.Barrier = go) -> None:
            go.wait()
            ORDERS[order](manager)

        thread = threading.Thread(target=give_order)
        thread.start()
        go.wait()
        place.pass_time(HOUR)
        thread.join()
        if order != "replace":
            place.pass_time(HOUR)
        events = place.events("hourly")
        new = [event for event in events if isinstance(event, ScheduleFired)][before:]
        assert len(new) <= 1 + (order == "replace")
        if order == "cancel":
            tail = [event for event in events if isinstance(event, ScheduleRemoved | ScheduleFired)]
            assert isinstance(tail[-1], ScheduleRemoved), "nothing fires once it is gone"
        manager.cancel("hourly")
        place.pass_time(HOUR)
    instants = [event.job_id for event in place.events("hourly") if isinstance(event, ScheduleFired)]
    assert len(set(instants)) == len(instants)


def test_f88_a_thousand_schedules_of_one_second_all_fire_in_order_and_tell_how_late(place: Place) -> None:
    manager = ScheduleManager(engine=place.engine)
    names = [f"s{number:04}" for number in range(1_000)]
    manager.schedule_many(ScheduleDefinition(name, "0 * * * *", nothing) for name in reversed(names))
    manager.start()
    place.pass_time(HOUR + 2 * SECOND)
    assert place.fired("s0500") == [START + HOUR]
    views = manager.list_tasks()
    past = [each for name in names for each in place.engine.history(f"schedule:{name}")]
    fired = sorted(past, key=lambda each: each[0])
    assert [event.name for _, event in fired if isinstance(event, ScheduleFired)] == names
    assert {view.last_run for view in views} == {START + HOUR}
    assert {view.lateness.last for view in views} == {2 * SECOND}
