"""Actors whose rules raise: the sender is told, the others go on, and what cannot be healed ends loudly (F48–F50)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.queue.decider import QueueRules
from actors.queue.events import JobCompleted, JobEnqueued
from actors.queue.messages import EnqueueJobs, GetJob, GetStats, PauseQueue
from actors.queue.specs import JobSpec
from actors.queue.state import QueueState
from actors.runtime.engine import MAX_REBUILDS
from actors.runtime.errors import EngineClosedError, InternalError
from actors.runtime.mailbox import Mailbox
from actors.runtime.messages import Letter
from actors.runtime.reply import Reply
from eventstore.errors import OutcomeUnknownError, ReplayError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.faults import tasks
from tests.faults.engines import PATIENCE_S, insist, sabotaged_engine
from tests.faults.evidence import Evidence
from tests.faults.sabotage import SabotagedMemory

POISON = "poison"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OrchestrationEngine]:
    with sabotaged_engine(monkeypatch, SabotagedMemory, tmp_path) as (opened, _):
        yield opened


def job(job_id: str, lines: Path) -> EnqueueJobs:
    return EnqueueJobs(jobs=(tasks.job(job_id, lines),))


def make_poisonous(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException) -> None:
    """Have a method raise whenever it is about the job named poison."""
    original: Callable[..., Any] = getattr(owner, name)

    def poisoned(self: Any, *given: Any) -> Any:
        if any(POISON in repr(each) for each in given if isinstance(each, EnqueueJobs | JobSpec)):
            raise error
        return original(self, *given)

    monkeypatch.setattr(owner, name, poisoned)


def test_a_rule_that_raises_is_answered_and_changes_nothing(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_poisonous(monkeypatch, QueueRules, "decide", ZeroDivisionError("planned"))
    for _ in range(3 * MAX_REBUILDS):
        with pytest.raises(InternalError, match="ZeroDivisionError"):
            engine.send(job(POISON, tmp_path / "lines"))
    assert engine.send(GetJob(job_id=POISON)) is None
    assert engine.store.runtime.journal.generation == 0, "nobody was rebuilt"
    assert engine.send(job("sound", tmp_path / "lines")) == ("sound",)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("planned"), SystemExit(1), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize(("owner", "name"), [(QueueState, "_admit"), (QueueRules, "decide")])
def test_an_actor_that_cannot_go_on_is_rebuilt_and_no_other_stops(
    *,
    engine: OrchestrationEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException,
    owner: Any,
    name: str,
) -> None:
    """F49, F50. In Pykka's own hands a SystemExit would stop every actor of the process."""

    class Bystander(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: Any) -> Any:
            return message

    bystander = Bystander.start()
    try:
        make_poisonous(monkeypatch, owner, name, error)
        begun_s = time.monotonic()
        with pytest.raises((OutcomeUnknownError, InternalError)):
            engine.send(job(POISON, tmp_path / "lines"))
        assert insist(engine, job("sound", tmp_path / "lines")) == ("sound",)
        assert time.monotonic() - begun_s < PATIENCE_S
        assert Queue("load", engine=engine).result("sound", PATIENCE_S) == 1
        assert bystander.ask("there?", timeout=PATIENCE_S) == "there?"
        assert POISON not in Evidence(engine.store.runtime.log).history.jobs
    finally:
        bystander.stop()


def test_an_actor_that_failed_answers_nothing_more_from_a_state_that_is_half_changed(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Until the journal has heard of the failure the actor is still there, and its mailbox still served."""
    runtime = engine.store.runtime
    make_poisonous(monkeypatch, QueueState, "_admit", ZeroDivisionError("planned"))
    monkeypatch.setattr(runtime.journal, "fail_from", lambda *_failure: None)
    both = EnqueueJobs(jobs=(tasks.job("sound", tmp_path / "lines"), tasks.job(POISON, tmp_path / "lines")))
    with pytest.raises(OutcomeUnknownError):
        engine.send(both)
    with pytest.raises(OutcomeUnknownError):
        engine.send(GetJob(job_id="sound"))
    with pytest.raises(OutcomeUnknownError):
        engine.send(PauseQueue(queue="load"))
    monkeypatch.undo()
    runtime.journal.fail_from(runtime.journal.generation, ZeroDivisionError("planned"))
    assert insist(engine, GetJob(job_id="sound")) is None


def test_an_actor_that_fails_more_than_five_times_a_minute_ends_the_engine_loudly(
    engine: OrchestrationEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = tmp_path / "lines"
    engine.send(EnqueueJobs(jobs=(tasks.job("paused", lines, queue="unserved"),)))
    make_poisonous(monkeypatch, QueueState, "_admit", ZeroDivisionError("planned"))
    result = engine.watch("job:never")
    for number in range(MAX_REBUILDS + 1):
        assert engine.store.runtime.failed is None
        with pytest.raises(OutcomeUnknownError):
            engine.send(job(POISON, lines))
        if number < MAX_REBUILDS:
            insist(engine, GetStats(queue="load"))
    with pytest.raises(EngineClosedError, match="gave up"):
        result.get(PATIENCE_S)
    with pytest.raises(EngineClosedError, match="planned") as raised:
        engine.send(GetStats(queue="load"))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert not engine.health_check()["healthy"]
    assert any(record.levelname == "CRITICAL" for record in caplog.records)
    begun_s = time.monotonic()
    engine.close(0.1)
    assert time.monotonic() - begun_s < PATIENCE_S


def test_a_record_that_no_rebuild_gets_over_ends_the_engine_loudly(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """F19: what is in the log stays there; trying again for ever would fill the log with openings."""
    lines = tmp_path / "lines"
    engine.send(job(POISON, lines))

    def poisoned(_self: QueueState, event: JobEnqueued) -> None:
        raise ZeroDivisionError(f"planned, at {event.spec.job_id}")

    monkeypatch.setattr(QueueState, "_was_enqueued", poisoned)
    log = engine.store.runtime.log
    assert isinstance(log, SabotagedMemory)
    log.sabotage.fail("queue.paused")
    with pytest.raises(OutcomeUnknownError):
        engine.send(PauseQueue(queue="load"))
    with pytest.raises(EngineClosedError):
        engine.watch("job:never").get(PATIENCE_S)
    failed = engine.store.runtime.failed
    assert isinstance(failed, ReplayError)
    assert isinstance(failed.__cause__, ZeroDivisionError)
    with pytest.raises(EngineClosedError, match="planned"):
        engine.send(GetStats(queue="load"))


def test_a_mailbox_keeps_nothing_for_a_loop_that_has_ended() -> None:
    """F51: Pykka empties the inbox of an actor that has stopped, and knows of no letters to answer."""

    class Envelope:
        message = Letter(GetStats(queue=""), reply=Reply())
        reply_to = None

    mailbox = Mailbox()
    mailbox.close()
    mailbox._queue.put(Envelope)  # a sender has got this far, and has not looked whether it is closed
    assert mailbox.empty(), "else Pykka takes it, and drops it"


class UnprintableError(Exception):
    """An exception that ends whoever wants to read it."""

    def __str__(self) -> str:
        raise SystemExit(3)


def unprintable() -> None:
    """Fail in a way that cannot be told."""
    raise UnprintableError


def leave() -> None:
    """Try to end the process."""
    raise SystemExit(3)


def interrupt() -> None:
    """Pretend that somebody pressed Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("function", [unprintable, leave, interrupt])
def test_nothing_that_a_function_raises_costs_more_than_its_attempt(
    function: Callable[[], None], tmp_path: Path
) -> None:
    with OrchestrationEngine(tmp_path / "store", workers=1) as engine:
        queue = Queue("load", engine=engine)
        bad = queue.enqueue(Job("bad", function, max_retries=1, retry_delay=0))
        good = queue.enqueue_many([Job("good", abs, (-number,)) for number in range(8)])
        summary = JobScheduler(engine=engine).process(queue)
        assert (summary.completed, summary.failed, summary.retried) == (8, 1, 1)
        assert [queue.result(job_id) for job_id in good] == list(range(8))
        failed = queue.get_job(bad)
        assert failed is not None
        assert failed.attempts == 2
        evidence = Evidence(engine.store.runtime.log)
        assert len(evidence.all(JobCompleted)) == 8
