"""The library eventsourcing on SQLite: an aggregate for each job, saved many in a commit and one by one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from tests.benchmarks.model import Case
from tests.benchmarks.w12_event_store import ALONE, PER_COMMIT


class Job(Aggregate):
    """A job as ours is: enqueued, started, completed."""

    @event("Enqueued")
    def __init__(self, queue: str, name: str, function: str, args: list[Any], at_us: int) -> None:
        self.queue = queue
        self.name = name
        self.function = function
        self.args = args
        self.enqueued_us = at_us
        self.status = "PENDING"
        self.result: Any = None

    @event("Started")
    def start(self, attempt: int, at_us: int) -> None:
        self.attempt = attempt
        self.started_us = at_us
        self.status = "RUNNING"

    @event("Completed")
    def complete(self, attempt: int, result: Any, at_us: int, run_us: int) -> None:
        self.attempt = attempt
        self.result = result
        self.ended_us = at_us
        self.run_us = run_us
        self.status = "COMPLETED"


def append_and_fold(count: int, folder: Path) -> Mapping[str, float]:
    """Save jobs in large commits, then some of them event by event; fold all in one pass over the notifications."""
    many = _application(folder / "many.db")
    begin = time.perf_counter()
    for first in range(0, count, PER_COMMIT // 3):
        many.save(*(_done(number) for number in range(first, min(first + PER_COMMIT // 3, count))))
    append_s = time.perf_counter() - begin
    lone = _application(folder / "few.db")
    few = max(1, count // ALONE)
    begin = time.perf_counter()
    for number in range(few):
        job = _enqueued(number)
        lone.save(job)
        job.start(1, number)
        lone.save(job)
        job.complete(1, None, number, 1)
        lone.save(job)
    lone_s = time.perf_counter() - begin
    again = _application(folder / "many.db")
    begin = time.perf_counter()
    found = _folded(again)
    replay_s = time.perf_counter() - begin
    assert len(found) == count
    assert all(job.status == "COMPLETED" for job in found.values())
    return {
        "append_per_s": 3 * count / append_s,
        "lone_per_s": 3 * few / lone_s,
        "replay_per_s": 3 * count / replay_s,
    }


def _application(path: Path) -> Any:
    return Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})


def _enqueued(number: int) -> Job:
    return Job("default", "a no-op job", "tests.benchmarks.tasks:noop", [number], number)


def _done(number: int) -> Job:
    job = _enqueued(number)
    job.start(1, number)
    job.complete(1, None, number, 1)
    return job


def _folded(application: Any) -> dict[UUID, Any]:
    """Return every job, in one pass over the notifications: looking each up would cost several times as much."""
    found: dict[UUID, Any] = {}
    start = 1
    while batch := application.recorder.select_notifications(start=start, limit=1_000):
        for notification in batch:
            change = application.mapper.to_domain_event(notification)
            found[change.originator_id] = change.mutate(found.get(change.originator_id))
        start = batch[-1].id + 1
    return found


CASES: Mapping[str, Case] = MappingProxyType({"W12": append_and_fold})
