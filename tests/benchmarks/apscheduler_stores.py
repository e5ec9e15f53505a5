"""The peer APScheduler: its cron trigger, its store in memory and the one on SQLite."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from tests.benchmarks import measure, tasks
from tests.benchmarks.cron_walk import rates
from tests.benchmarks.model import Case
from tests.benchmarks.w5_schedules import EVERY
from tests.benchmarks.w6_next_run import ZONE

TICK = timedelta(microseconds=1)


def add_and_fire(store: Any, count: int) -> Mapping[str, float]:
    """Add cron schedules one at a time, there being no other way; have a fifth of them due and wait for all."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone="UTC")
    scheduler.start(paused=True)

    def add() -> None:
        for number in range(count):
            trigger = CronTrigger(minute=number % 60, hour=5, timezone="UTC")
            scheduler.add_job(tasks.step, trigger, id=str(number), misfire_grace_time=None, max_instances=1)

    added = measure.rate(count, add)
    due = datetime.now(scheduler.timezone) - TICK
    for number in range(0, count, EVERY):
        scheduler.modify_job(str(number), next_run_time=due)
    fired = threading.Semaphore(0)
    scheduler.add_listener(lambda _: fired.release(), EVENT_JOB_EXECUTED)
    number_due = len(range(0, count, EVERY))

    def tick() -> None:
        scheduler.resume()
        for _ in range(number_due):
            fired.acquire()

    rate = measure.rate(number_due, tick)
    scheduler.shutdown()
    return {"added_per_s": added, "fired_per_s": rate}


def in_memory(count: int, _folder: Path) -> Mapping[str, float]:
    return add_and_fire(MemoryJobStore(), count)


def firings(text: str, begin: datetime) -> Iterator[datetime]:
    trigger = CronTrigger.from_crontab(text, timezone=ZONE)
    at = begin
    while True:
        at = trigger.get_next_fire_time(at, at + TICK)
        yield at


def next_runs(count: int, _folder: Path) -> Mapping[str, float]:
    return rates(firings, count)


CASES: Mapping[str, Case] = MappingProxyType({"W5": in_memory, "W6": next_runs})
