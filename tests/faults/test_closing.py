"""Closing under load: everybody is answered, nothing is written behind the end, nothing is left (F51, F52, F57)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import AttemptInterrupted, AttemptRefused, JobCompleted, JobEnqueued, JobStarted
from actors.queue.messages import EnqueueJobs, GetStats
from actors.runtime import engine as engine_module
from actors.runtime.effects import AttemptFinished
from actors.runtime.engine import Runtime
from actors.runtime.errors import BusyError, EngineClosedError
from actors.runtime.events import EngineClosed
from actors.runtime.reply import Reply
from eventstore.errors import OutcomeUnknownError, StoreError
from eventstore.memory_log import MemoryLog
from logistics.orchestration import stores
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job_scheduler import JobScheduler
from logistics.whereabouts import MEMORY
from tests.faults import tasks
from tests.faults.engines import GATES, PATIENCE_S, eventually, gated_job, insist, sabotaged_engine
from tests.faults.evidence import Evidence
from tests.faults.sabotage import SabotagedLmdb, SabotagedMemory
from tests.support.scale import scaled


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Hold every closing to leaving no thread behind."""
    before = set(threading.enumerate())
    yield
    eventually(lambda: set(threading.enumerate()) <= before)


def job(job_id: str, lines: Path) -> EnqueueJobs:
    return EnqueueJobs(jobs=(tasks.job(job_id, lines),))


class ReadableLog(MemoryLog):
    """A log in memory that a test may read when it is closed."""

    def close(self) -> None:
        """Stay open."""


def send_until_closed(runtime: Runtime, name: str, lines: Path, replies: list[tuple[str, Reply]]) -> None:
    """Send commands without waiting for answers until the engine takes no more."""
    number = 0
    while True:
        job_id = f"{name}-{number}"
        try:
            replies.append((job_id, runtime.send("queue", job(job_id, lines))))
        except EngineClosedError:
            return
        except (BusyError, StoreError):
            continue
        number += 1


@pytest.mark.parametrize(
    "round_",
    [pytest.param(n, marks=[pytest.mark.no_cover] if n else []) for n in range(scaled("CLOSINGS", 10))],
)
def test_commands_that_race_a_closing_are_all_answered(
    round_: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """F51. Thousands of them; those answered with success are in the log, and only they may count on it."""
    log = ReadableLog()
    monkeypatch.setattr(stores, "MemoryLog", lambda: log)
    engine = OrchestrationEngine(MEMORY, workers=2)
    runtime = engine.store.runtime
    replies: list[list[tuple[str, Reply]]] = [[] for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for number, mine in enumerate(replies):
            pool.submit(send_until_closed, runtime, f"caller{number}", tmp_path / "lines", mine)
        eventually(lambda: sum(map(len, replies)) > 100 * (round_ + 1))
        engine.close(0.1)
    said = [each for mine in replies for each in mine]
    unanswered = [job_id for job_id, reply in said if not reply.wait(PATIENCE_S)]
    assert unanswered == []
    evidence = Evidence(log)
    recorded = {event.spec.job_id for event in evidence.all(JobEnqueued)}
    for job_id, reply in said:
        try:
            assert reply.get(0) == (job_id,)
        except (OutcomeUnknownError, EngineClosedError):
            continue
        assert job_id in recorded, "answered and not there"
    assert isinstance(evidence.events[-1], EngineClosed), "nothing is written behind the end"
    assert len(evidence.all(EngineClosed)) == 1


@pytest.mark.no_cover
def test_thousands_of_commands_in_the_mailbox_are_carried_out_or_refused_at_closing(tmp_path: Path) -> None:
    """F57, on disk."""
    number = scaled("QUEUED", 5_000)
    engine = OrchestrationEngine(tmp_path / "store", workers=2)
    runtime = engine.store.runtime
    said: list[tuple[str, Reply]] = []
    while len(said) < number:
        job_id = f"job-{len(said)}"
        try:
            said.append((job_id, runtime.send("queue", job(job_id, tmp_path / "lines"))))
        except BusyError:
            continue
    engine.close(5)
    assert all(reply.done for _, reply in said), "when it is closed, nobody waits"
    recorded = {event.spec.job_id for event in Evidence.of(tmp_path / "store").all(JobEnqueued)}
    acknowledged = set()
    for _, reply in said:
        try:
            acknowledged.update(reply.get(0))
        except (OutcomeUnknownError, EngineClosedError):
            continue
    assert acknowledged <= recorded


@pytest.mark.no_cover
def test_thousands_of_jobs_wait_for_the_next_opening(tmp_path: Path) -> None:
    number = scaled("QUEUED", 5_000)
    specs = tuple(tasks.job(f"job-{index}", tmp_path / "lines") for index in range(number))
    with OrchestrationEngine(tmp_path / "store", workers=2) as engine:
        scheduler = JobScheduler(engine=engine)
        scheduler.start("load")
        engine.send(EnqueueJobs(jobs=specs))
    evidence = Evidence.of(tmp_path / "store")
    evidence.check_executions(tmp_path / "lines")
    assert not [job_id for job_id, each in evidence.history.jobs.items() if each.open]
    assert not any(event.charged for event in evidence.all(AttemptInterrupted)), "at nobody's charge"
    assert evidence.states["queue"].jobs.keys() | {event.job_id for event in evidence.all(JobCompleted)} == {
        spec.job_id for spec in specs
    }


def test_too_much_that_waits_to_be_written_is_refused_and_the_rest_is_carried_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """F52: the bound is for callers; what the engine says to itself is never refused.

    F27: nor does anybody hang behind a disk that takes its time.
    """
    monkeypatch.setattr(engine_module, "BACKLOG_LIMIT", 20)
    stuck, go_on = threading.Event(), threading.Event()
    with sabotaged_engine(monkeypatch, SabotagedMemory, tmp_path) as (engine, sabotage):
        runtime = engine.store.runtime
        gate = f"busy-{id(engine)}"
        engine.send(EnqueueJobs(jobs=(gated_job("running", tmp_path / "lines", gate),)))
        GATES.wait_for(gate)
        plan = sabotage.plan

        def stick() -> Any:
            stuck.set()
            assert go_on.wait(PATIENCE_S)
            return plan()

        sabotage.plan = stick
        said: list[tuple[str, Reply]] = []

        def refused() -> bool:
            job_id = f"job-{len(said)}"
            before = runtime.backlog("queue")
            try:
                said.append((job_id, runtime.send("queue", job(job_id, tmp_path / "lines"))))
            except BusyError:
                return True
            # One by one: in a mailbox that waits for the disk, or as an item of its own.
            eventually(lambda: runtime.backlog("queue") > before or not stuck.is_set() or said[-1][1].done)
            return False

        eventually(refused)
        GATES.open(gate)  # its completion is taken all the same
        go_on.set()
        sabotage.plan = plan
        assert [reply.get(PATIENCE_S) for _, reply in said] == [(job_id,) for job_id, _ in said]
        eventually(lambda: insist(engine, GetStats(queue="load")).by_status["COMPLETED"] == len(said) + 1)
        completed = {event.job_id for event in Evidence(runtime.log).all(JobCompleted)}
        assert completed == {"running", *(job_id for job_id, _ in said)}
        assert f"job-{len(said)}" not in completed, "what is refused is not taken"


def test_an_engine_that_is_being_closed_takes_no_commands_even_when_it_is_rebuilt_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with sabotaged_engine(monkeypatch, SabotagedMemory, tmp_path) as (engine, sabotage):
        runtime = engine.store.runtime
        lines = tmp_path / "lines"
        first, second = (f"{name}-{id(engine)}" for name in ("first", "second"))
        engine.send(EnqueueJobs(jobs=(gated_job("first", lines, first), gated_job("second", lines, second))))
        GATES.wait_for(first)
        GATES.wait_for(second)
        closing = threading.Thread(target=engine.close, args=(PATIENCE_S,))
        closing.start()
        eventually(lambda: not runtime.accepting)
        sabotage.fail("job.completed")
        generation = runtime.journal.generation
        GATES.open(first)
        eventually(lambda: runtime.journal.generation > generation and _has_actors(runtime))
        with pytest.raises(EngineClosedError):
            runtime.send("queue", GetStats(queue="load"))
        GATES.open(second)
        closing.join(PATIENCE_S)
        assert not closing.is_alive()


def _has_actors(runtime: Runtime) -> bool:
    return bool(runtime.directory._refs)


@pytest.mark.parametrize("log_type", [SabotagedMemory, SabotagedLmdb])
def test_a_rebuild_that_a_closing_overtakes_leaves_no_actors(
    log_type: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built, go_on = threading.Event(), threading.Event()
    with sabotaged_engine(monkeypatch, log_type, tmp_path) as (engine, sabotage):
        runtime = engine.store.runtime
        build = runtime.build

        def build_slowly() -> Any:
            refs = build()
            built.set()
            assert go_on.wait(PATIENCE_S)
            return refs

        monkeypatch.setattr(runtime, "build", build_slowly)
        sabotage.fail("job.enqueued")
        with pytest.raises(OutcomeUnknownError):
            engine.send(job("one", tmp_path / "lines"))
        assert built.wait(PATIENCE_S)
        closing = threading.Thread(target=engine.close, args=(0,))
        closing.start()
        eventually(runtime._closing.is_set)
        go_on.set()
        closing.join(PATIENCE_S)
        assert not closing.is_alive()
        assert not runtime.accepting
        with pytest.raises(EngineClosedError):
            runtime.send("queue", GetStats(queue="load"))


def test_a_result_that_came_within_the_grace_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The function has ended, and its worker is just about to say so, when the closing stops waiting."""
    told = threading.Event()
    never = threading.Event()
    with OrchestrationEngine(tmp_path / "store", workers=1) as engine:
        runtime = engine.store.runtime
        deliver = runtime.report

        def deliver_late(end: AttemptFinished, cause: str) -> None:
            told.set()
            never.wait(0.2)  # longer than it takes the closing to go on, if it does
            deliver(end, cause)

        monkeypatch.setattr(runtime, "report", deliver_late)
        scheduler = JobScheduler(engine=engine)
        scheduler.start("load")
        engine.send(job("one", tmp_path / "lines"))
        assert told.wait(PATIENCE_S)
    evidence = Evidence.of(tmp_path / "store")
    assert [event.job_id for event in evidence.all(JobCompleted)] == ["one"]
    assert evidence.all(AttemptInterrupted, AttemptRefused) == []
    assert len(evidence.all(JobStarted)) == 1


def test_closing_from_many_threads_at_once_is_closing_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(scaled("CLOSINGS", 10)):
        log = ReadableLog()
        monkeypatch.setattr(stores, "MemoryLog", lambda log=log: log)
        engine = OrchestrationEngine(MEMORY)
        engine.send(job("one", tmp_path / "lines"))
        runtime = engine.store.runtime
        barrier = threading.Barrier(4)

        def close(runtime: Runtime = runtime, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            runtime.close(0.1)

        threads = [threading.Thread(target=close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(Evidence(log).all(EngineClosed)) == 1, number
        engine.close()


def test_a_store_that_is_being_closed_is_opened_anew_once_it_is_closed(tmp_path: Path) -> None:
    """Whoever opens it gets an engine that works, never one that is on its way out."""
    path, lines = tmp_path / "store", tmp_path / "lines"
    gate = f"reopened-{id(path)}"
    engine = OrchestrationEngine(path, workers=1)
    JobScheduler(engine=engine).start("load")
    engine.send(EnqueueJobs(jobs=(gated_job("running", lines, gate),)))
    GATES.wait_for(gate)
    closing = threading.Thread(target=engine.close, args=(PATIENCE_S,))
    closing.start()
    eventually(lambda: not engine._store.runtime.accepting)
    threading.Timer(0.05, GATES.open, args=(gate,)).start()
    with OrchestrationEngine(path, workers=2) as again:
        assert again.send(job("one", lines)) == ("one",)
    closing.join(PATIENCE_S)
    evidence = Evidence.of(path)
    assert [event.job_id for event in evidence.all(JobCompleted)] == ["running"]
    assert len(evidence.all(EngineClosed)) == 2


def test_many_threads_open_and_close_one_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    stop = threading.Event()
    problems: list[BaseException] = []

    def open_and_close(name: str) -> None:
        number = 0
        while not stop.is_set():
            try:
                with OrchestrationEngine(path, workers=1) as engine:
                    engine.send(job(f"{name}-{number}", tmp_path / "lines"))
            except BaseException as problem:  # noqa: BLE001 -- told below
                problems.append(problem)
                stop.set()
            number += 1
            if number == scaled("REOPENINGS", 25):
                return

    threads = [threading.Thread(target=open_and_close, args=(f"thread{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert problems == []
    assert len(Evidence.of(path).all(JobEnqueued)) == 4 * scaled("REOPENINGS", 25)
