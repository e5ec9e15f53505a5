"""Schedules by the second on the real clock: engines side by side, a process that is stopped, one that is starved.

Five engines of 24 seconds each are two minutes of schedules in 24 seconds of waiting: what a second second shows,
another engine with other schedules shows at the same time. `LOGISTICS_TEST_REAL_SECONDS=120` has each of them live
for two whole minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.schedule.messages import ScheduleFired, ScheduleSkipped
from logistics import CronExpression, OrchestrationEngine, RecurringSchedule, ScheduleManager
from logistics.schedule.occurrences import CombinedSchedule
from tests.logistics.orchestration.children import ROOT
from tests.support.scale import scaled

SECOND = 1_000_000
SECONDS = scaled("real_seconds", 24, least=22)
"""In fewer, "a few" may not fire at all."""
ENGINES = 5
PATIENCE_S = 120.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BY_THE_SECOND: dict[str, CronExpression | RecurringSchedule | CombinedSchedule] = {
    "each second": CronExpression("* * * * * *", seconds="first"),
    "every other": CronExpression("*/2 * * * * *", seconds="first", timezone="Europe/Zurich"),
    "every third": CronExpression("1/3 * * * * *", seconds="first", timezone="America/New_York"),
    "a few": CronExpression("0,7,8,9,31-45/5,58 * * * * *", seconds="first", timezone="Asia/Kathmandu"),
    "interval": RecurringSchedule(5 / 60),
    "both": CronExpression("*/4 * * * * *", seconds="first")
    & CronExpression("*/6 * * * * *", seconds="first"),
    "but": CronExpression("*/2 * * * * *", seconds="first")
    - CronExpression("*/10 * * * * *", seconds="first"),
}
EACH: Any = {"overlap": "allow", "catch_up": "all", "limit": 10_000}
SCRIPT = """
import sys, threading
from logistics import CronExpression, CronScheduler, OrchestrationEngine

def tick(name):
    sys.stdout.write(name + "\\n")  # in one piece: several threads tick
    sys.stdout.flush()

def starve(name):
    until = __import__("time").monotonic() + 0.7
    while __import__("time").monotonic() < until:
        sum(range(10_000))

if "starved" in sys.argv:
    sys.setswitchinterval(0.5)  # whoever has the interpreter keeps it
scheduler = CronScheduler(engine=OrchestrationEngine("store"))
every_second = CronExpression("* * * * * *", seconds="first")
for name in sys.argv[1:]:
    if name == "starved":
        scheduler.schedule(name, every_second, starve, (name,), overlap="skip")
    else:
        scheduler.schedule(name, every_second, tick, (name,), catch_up=name, overlap="allow")
scheduler.run_forever()
"""


class Life:
    """An engine with schedules by the second, all missed instants made up for: a busy host must not matter."""

    def __init__(self, folder: Path) -> None:
        self.engine = OrchestrationEngine(folder / "store")
        self.manager = ScheduleManager(engine=self.engine)
        for name, schedule in BY_THE_SECOND.items():
            if isinstance(schedule, RecurringSchedule):
                self.manager.schedule_recurring(name, schedule, abs, (1,), **EACH)
            else:
                self.manager.schedule_cron(name, schedule, abs, (1,), **EACH)
        self._ticks = threading.Semaphore(0)
        self._ends = threading.Semaphore(0)
        self.engine.subscribe("schedule.fired", self._note)
        self.engine.subscribe("job.completed", lambda *_: self._ends.release())
        self.manager.start()

    def _note(self, event: object, _position: int) -> None:
        if isinstance(event, ScheduleFired) and event.name == "each second":
            self._ticks.release()

    def live(self, seconds: int) -> None:
        """Wait until the schedule of each second has fired so many times, and as many jobs have run as were begun."""
        for _ in range(seconds):
            assert self._ticks.acquire(timeout=PATIENCE_S)
        for _ in range(sum(len(self.fired(name)) for name in BY_THE_SECOND)):
            assert self._ends.acquire(timeout=PATIENCE_S)
        self.manager.stop()

    def fired(self, name: str) -> list[ScheduleFired]:
        history = self.engine.history(f"schedule:{name}")
        return [event for _, event in history if isinstance(event, ScheduleFired)]


@pytest.mark.no_cover
def test_two_minutes_of_schedules_by_the_second_fire_each_instant_once_and_never_early(
    tmp_path: Path,
) -> None:
    lives = [Life(tmp_path / str(number)) for number in range(ENGINES)]
    for life in lives:
        life.live(SECONDS)
    for life in lives:
        for name, schedule in BY_THE_SECOND.items():
            fired = life.fired(name)
            instants = [event.scheduled_us for event in fired]
            assert all(event.fired_us >= event.scheduled_us for event in fired), "never early"
            assert not any(event.missed for event in fired)
            first = EPOCH + timedelta(microseconds=instants[0] - 1)
            runs = schedule.next_runs(len(fired), first)
            assert instants == [(run - EPOCH) // timedelta(microseconds=1) for run in runs], name
        assert len(life.fired("each second")) >= SECONDS
        life.engine.close()


@contextmanager
def ticking(folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a schedule of each second by each policy for what was missed."""
    (folder / "ticking.py").write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, "ticking.py", *names],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            yield child
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=60)
        finally:
            child.kill()


def read(child: subprocess.Popen[str], ticks: int) -> None:
    assert child.stdout is not None
    for _ in range(ticks):
        assert child.stdout.readline().strip() in ("all", "latest")


def records(engine: OrchestrationEngine, name: str) -> tuple[list[ScheduleFired], list[ScheduleSkipped]]:
    history = [event for _, event in engine.history(f"schedule:{name}")]
    fired = [event for event in history if isinstance(event, ScheduleFired)]
    return fired, [event for event in history if isinstance(event, ScheduleSkipped)]


def check_told(fired: list[ScheduleFired], skipped: list[ScheduleSkipped]) -> None:
    """Check that each instant fired at most once, in order, and that none is missing in silence."""
    instants = [event.scheduled_us for event in fired]
    assert instants == sorted(set(instants)), "each at most once, in order"
    told = sum(1 + event.missed for event in fired) - fired[0].missed
    told += sum(event.count for event in skipped if instants[0] < event.upto_us <= instants[-1])
    assert told == (instants[-1] - instants[0]) // SECOND + 1, "none in silence"


STOPPED_S = 3.0
"""How long the process stands still: time that has to pass, nothing is waited for."""


def test_f15_nothing_is_lost_or_doubled_while_the_process_stands_still(tmp_path: Path) -> None:
    ticks = scaled("real_ticks", 4)
    with ticking(tmp_path, "all", "latest") as child:
        read(child, ticks)
        child.send_signal(signal.SIGSTOP)
        threading.Event().wait(STOPPED_S)
        child.send_signal(signal.SIGCONT)
        read(child, ticks)
    with OrchestrationEngine(tmp_path / "store") as engine:
        for name in ("all", "latest"):
            fired, skipped = records(engine, name)
            check_told(fired, skipped)
            missed = sum(event.missed for event in fired)
            assert missed >= STOPPED_S - 2 if name == "latest" else missed == 0


@pytest.mark.no_cover
def test_f89_a_job_that_keeps_the_interpreter_to_itself_makes_schedules_late_and_loses_none(
    tmp_path: Path,
) -> None:
    with ticking(tmp_path, "all", "latest", "starved") as child:
        read(child, scaled("starved_ticks", 6))
    with OrchestrationEngine(tmp_path / "store") as engine:
        for name in ("all", "latest", "starved"):
            check_told(*records(engine, name))
        views = ScheduleManager(engine=engine).list_tasks()
        assert max(view.lateness.most for view in views) > timedelta(0)
