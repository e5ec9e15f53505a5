"""Whoever follows the log and stands before what was compacted: told from the archive, or stopped with a word."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.errors import StoreAccessError, StoreError
from eventstore.log import Log
from logistics import (
    CompactedError,
    Job,
    JobScheduler,
    OrchestrationEngine,
    Projection,
    Queue,
    RecordedEvent,
    Table,
)
from logistics.orchestration.stores import Store
from tests.logistics.retention import functions


class Positions(Projection):
    name = "positions"

    def apply(self, event: RecordedEvent, table: Table) -> None:
        table[str(event.position)] = event.tag


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        queue.enqueue_many([Job("double", functions.double, (n,)) for n in range(30)])
        JobScheduler(engine=engine).process(queue)
        yield engine


def test_they_are_told_from_the_archive(engine: OrchestrationEngine) -> None:
    horizon = engine.compact(0)
    end = engine.get_metrics()["events_total"]
    assert 0 < horizon < end
    told: list[int] = []
    all_told = threading.Event()

    def hear(_event: object, position: int) -> None:
        told.append(position)
        if position == end:
            all_told.set()

    subscription = engine.subscribe("*", hear, after=0)
    assert all_told.wait(60)
    assert told == list(range(1, end + 1))
    assert subscription.error is None
    handled: list[int] = []
    following = engine.follow("handler", "*", lambda _event, position: handled.append(position), after=0)
    following.wait_until(end, 60)
    assert handled == told
    table = engine.project(Positions())
    table.wait_until(end, 60)
    assert sorted(map(int, table)) == told


def test_without_an_archive_they_stop_and_the_others_go_on(
    engine: OrchestrationEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.compact(0, archive=False)
    queue = Queue(engine=engine)
    heard = threading.Event()
    with caplog.at_level(logging.ERROR, "logistics.subscriptions"):
        late = engine.subscribe("*", lambda _event, _position: None, after=0)
        engine.subscribe("job.completed", lambda _event, _position: heard.set())
        for number in range(3):
            queue.enqueue(Job("double", functions.double, (number,)))
        JobScheduler(engine=engine).process(queue)
        assert heard.wait(60)
        assert isinstance(late.error, CompactedError)
        assert late.cancelled
    assert len([each for each in caplog.records if each.name == "logistics.subscriptions"]) == 1
    table = engine.project(Positions())
    with pytest.raises(CompactedError):
        table.wait_until(None, 60)


def test_an_archive_that_cannot_be_read_just_now_is_read_again(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.compact(0)
    end = engine.get_metrics()["events_total"]
    troubles: list[StoreError] = [StoreAccessError("too many open files"), StoreError("the log is reopened")]
    whole_log = vars(Store)["whole_log"].fget

    def with_troubles(store: Store) -> Log:
        if troubles:
            raise troubles.pop()
        log: Log = whole_log(store)
        return log

    monkeypatch.setattr(Store, "whole_log", property(with_troubles))
    all_told = threading.Event()
    told: list[int] = []

    def hear(_event: object, position: int) -> None:
        told.append(position)
        if position == end:
            all_told.set()

    engine.subscribe("*", hear, after=0)
    assert all_told.wait(30)
    assert told == list(range(1, end + 1))
