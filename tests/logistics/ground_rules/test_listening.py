"""What handlers of events are told, and what they cannot spoil."""

from __future__ import annotations

import functools
import re
import sys
import threading
from typing import Any

import pytest

from logistics import Projection, log_events
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import PATIENCE_S, add


@pytest.mark.parametrize("pattern", ["", None, 7])
def test_a_pattern_is_text(engine: OrchestrationEngine, pattern: Any) -> None:
    with refused("^pattern: expected a tag or a pattern like 'job.*', got "):
        engine.subscribe(pattern, print)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("job.complete", "did you mean 'job.completed'"),
        ("jobs.*", "`logistics schema` describes them all"),
        ("JOB.*", "`logistics schema` describes them all"),
    ],
)
def test_a_pattern_that_no_event_matches_is_a_slip(
    engine: OrchestrationEngine, pattern: str, hint: str
) -> None:
    class Slip(Projection):
        name = "slip"
        events = pattern

    for what, listen in (
        ("pattern", lambda: engine.subscribe(pattern, print)),
        ("pattern", lambda: engine.register_event_handler(pattern, print)),
        ("pattern", lambda: engine.follow("slip", pattern, print)),
        ("pattern", lambda: log_events(engine, pattern)),
        ("events", lambda: engine.project(Slip())),
    ):
        with refused(f"^{what}: no event has a tag like '{re.escape(pattern)}'; {hint}"):
            listen()


@pytest.mark.parametrize("after", [-1, True, 1.0, "1"])
def test_a_position_is_a_whole_number(engine: OrchestrationEngine, after: Any) -> None:
    with refused("^after: expected a position, 0 or more, got "):
        engine.subscribe("job.*", print, after=after)


def test_a_handler_can_be_called(engine: OrchestrationEngine) -> None:
    wrong: Any = "print"
    for register in (engine.subscribe, engine.register_event_handler):
        with refused("^handler: expected a function, got 'print'$"):
            register("job.*", wrong)


class Heard:
    """What handlers were told, in order."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._more = threading.Semaphore(0)

    def say(self, *what: Any) -> None:
        self.calls.append(what)
        self._more.release()

    def wait(self, count: int) -> list[Any]:
        for _ in range(count):
            assert self._more.acquire(timeout=PATIENCE_S)
        return self.calls


def test_handlers_are_called_in_order_of_registration_with_plain_data(
    engine: OrchestrationEngine, queue: Queue
) -> None:
    heard = Heard()
    for name in ("first", "second", "third"):
        engine.register_event_handler("job.*", functools.partial(heard.say, name))
    job_id = queue.enqueue(Job("sum", add))
    calls = heard.wait(3)
    assert [name for name, _, _ in calls] == ["first", "second", "third"]
    _, tag, data = calls[0]
    assert tag == "job.enqueued"
    assert data["spec"][0] == job_id
    assert data["position"] == engine.get_metrics()["events_total"]


def test_a_handler_that_raises_is_logged_and_harms_nobody(
    engine: OrchestrationEngine, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()

    def bad(_tag: str, _data: Any) -> None:
        raise RuntimeError("a handler's own trouble")

    engine.register_event_handler("job.enqueued", bad)
    engine.register_event_handler("job.enqueued", lambda tag, data: heard.say(tag))
    ids = [queue.enqueue(Job("sum", add)), queue.enqueue(Job("sum", add))]
    heard.wait(2)
    assert JobScheduler().process(queue).completed == 2
    logged = [record for record in caplog.records if record.name == "logistics.subscriptions"]
    assert len(logged) == 2
    assert "the handler for 'job.enqueued' failed on job.enqueued at " in logged[0].getMessage()
    assert [vars(record)["entity"] for record in logged] == [f"job:{job_id}" for job_id in ids]


def test_even_a_handler_that_exits_harms_nobody(engine: OrchestrationEngine, queue: Queue) -> None:
    heard = Heard()

    def leave(_event: Any, _position: int) -> None:
        sys.exit("no more")

    engine.subscribe("job.*", leave)
    engine.subscribe("job.*", lambda event, position: heard.say(position))
    queue.enqueue(Job("sum", add))
    queue.enqueue(Job("sum", add))
    assert len(heard.wait(2)) == 2


def test_what_happened_can_be_told_again_from_a_position(engine: OrchestrationEngine, queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(Job("sum", add))
    JobScheduler().process(queue)
    all_of_it, rest = Heard(), Heard()
    engine.subscribe("job.*", lambda event, position: all_of_it.say(type(event).__name__, position), after=0)
    calls = list(all_of_it.wait(9))
    positions = [position for _, position in calls]
    assert positions == sorted(positions)
    engine.subscribe("job.completed", lambda event, position: rest.say(position), after=positions[-2])
    assert rest.wait(1) == [(positions[-1],)]


def test_a_cancelled_subscription_hears_nothing_more(engine: OrchestrationEngine, queue: Queue) -> None:
    gone, there = Heard(), Heard()
    subscription = engine.subscribe("job.enqueued", lambda event, position: gone.say(position))
    engine.subscribe("job.enqueued", lambda event, position: there.say(position))
    queue.enqueue(Job("sum", add))
    there.wait(1)
    subscription.cancel()
    queue.enqueue(Job("sum", add))
    there.wait(1)
    assert len(gone.calls) == 1
