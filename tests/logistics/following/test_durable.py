"""Subscriptions that remember: at least once, in order, tried again, parked, and nobody else waits."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.errors import InputError
from eventstore.errors import ReopenNeededError
from eventstore.records import Stored
from logistics import Job, OrchestrationEngine, Queue
from logistics.following import durable
from logistics.messages import JobEnqueued
from tests.logistics.audit import functions

PATIENCE_S = 30


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "FIRST_PAUSE_S", 0.0)


def enqueue(engine: OrchestrationEngine, *names: str) -> None:
    for name in names:
        Queue("q", engine=engine).enqueue(Job(name, functions.one, job_id=name))


class Heard:
    """A handler that keeps what it got, and fails where it is told to."""

    def __init__(self, *failing: str, times: int = 10**6) -> None:
        self.ids: list[str] = []
        self.failing = set(failing)
        self.left = times

    def __call__(self, event: JobEnqueued, position: int) -> None:
        assert position > 0
        if event.spec.job_id in self.failing and self.left:
            self.left -= 1
            raise ZeroDivisionError("the handler")
        self.ids.append(event.spec.job_id)


def test_it_goes_on_where_it_was_also_with_what_happened_meanwhile(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        enqueue(engine, "before")
        first = Heard()
        engine.follow("mail", "job.enqueued", first)
        enqueue(engine, "a", "b")
        engine.follow("all", "job.enqueued", everything := Heard(), after=0).wait_until(timeout=PATIENCE_S)
        engine.store.followers["subscription mail"].wait_until(timeout=PATIENCE_S)
    assert first.ids == ["a", "b"]
    assert everything.ids == ["before", "a", "b"]
    with OrchestrationEngine(tmp_path / "s") as engine:
        enqueue(engine, "c")
        second = Heard()
        mail = engine.follow("mail", "job.enqueued", second, after=0)
        mail.wait_until(timeout=PATIENCE_S)
        assert second.ids == ["c"]
        mail.forget()
        third = Heard()
        engine.follow("mail", "job.enqueued", third, after=0).wait_until(timeout=PATIENCE_S)
        assert third.ids == ["before", "a", "b", "c"]


def test_what_fails_is_tried_again_then_parked_and_can_be_taken_up(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        heard, soon = Heard("b"), Heard("b", times=2)
        mail = engine.follow("mail", "job.enqueued", heard, attempts=3)
        lucky = engine.follow("lucky", "job.enqueued", soon, attempts=3)
        enqueue(engine, "a", "b", "c")
        for each in (mail, lucky):
            each.wait_until(timeout=PATIENCE_S)
        assert (soon.ids, lucky.parked()) == (["a", "b", "c"], [])
        assert heard.ids == ["a", "c"]
        assert heard.left == 10**6 - 3
        (parked,) = mail.parked()
        assert (parked.entity, parked.tag) == ("job:b", "job.enqueued")
        assert parked.error == "ZeroDivisionError: the handler"
        assert mail.retry_parked() == 0
    with OrchestrationEngine(tmp_path / "s") as engine:
        again = Heard()
        mail = engine.follow("mail", "job.enqueued", again)
        assert [each.entity for each in mail.parked()] == ["job:b"]
        assert mail.retry_parked() == 1
        assert (again.ids, mail.parked()) == (["b"], [])


def test_what_is_parked_waits_for_the_engine_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with OrchestrationEngine(":memory:") as engine:
        mail = engine.follow("mail", "job.enqueued", Heard("b", times=1), attempts=1)
        enqueue(engine, "a", "b")
        mail.wait_until(timeout=PATIENCE_S)
        log = engine.store.runtime.log
        at, failures = log.at, [ReopenNeededError("a commit has failed")]

        def look(position: int) -> Stored | None:
            if failures:
                raise failures.pop()
            return at(position)

        monkeypatch.setattr(log, "at", look)
        assert mail.retry_parked() == 1
        assert not failures


def test_a_handler_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        entered, go_on = threading.Event(), threading.Event()

        def hang(_event: Any, _position: int) -> None:
            entered.set()
            assert go_on.wait(PATIENCE_S)

        slow = engine.follow("slow", "job.enqueued", hang)
        enqueue(engine, "a")
        assert entered.wait(PATIENCE_S)
        heard = Heard()
        engine.follow("other", "job.enqueued", heard, after=0).wait_until(timeout=PATIENCE_S)
        enqueue(engine, "b")
        assert slow.position < engine.as_of().position
        go_on.set()
        slow.wait_until(timeout=PATIENCE_S)
        assert heard.ids[0] == "a"


def test_cloud_events_are_plain_json_with_a_source_and_an_id_that_stay(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        got: list[dict[str, Any]] = []
        heard = threading.Event()

        def hear(event: dict[str, Any]) -> None:
            got.append(event)
            heard.set()

        engine.subscribe("job.enqueued", hear, cloud_events=True)
        follower = engine.follow("bus", "job.enqueued", got.append, cloud_events=True)
        enqueue(engine, "a")
        follower.wait_until(timeout=PATIENCE_S)
        assert heard.wait(PATIENCE_S)
        engine.close()
    one, other = got
    assert one == other
    assert json.dumps(one)
    assert {key: one[key] for key in ("specversion", "type", "subject", "datacontenttype")} == {
        "specversion": "1.0",
        "type": "logistics.job.enqueued",
        "subject": "job:a",
        "datacontenttype": "application/json",
    }
    assert one["source"].startswith("urn:logistics:")
    assert one["time"].endswith("Z")
    assert one["id"].isdecimal()
    assert one["cause"].startswith("command:")
    assert one["data"]["spec"][0] == "a"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("", "*", print), "name"),
        (("n", "", print), "pattern"),
        (("n", "*", "no function"), "handler"),
        (("n", "*", print, {"after": -1}), "after"),
        (("n", "*", print, {"attempts": 0}), "attempts"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: Any, text: str) -> None:
    more = arguments[3] if len(arguments) > 3 else {}
    with OrchestrationEngine(":memory:") as engine:
        with pytest.raises(InputError, match=text):
            engine.follow(*arguments[:3], **more)
        engine.follow("taken", "*", lambda _event, _position: None)
        with pytest.raises(InputError, match="stop it first"):
            engine.follow("taken", "*", lambda _event, _position: None)
