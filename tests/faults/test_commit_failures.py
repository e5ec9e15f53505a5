"""Commits that fail under a running engine: nobody hangs, nothing is lost or done twice, it comes back by itself."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

import lmdb
import pytest

from actors.queue.events import JobCompleted, JobEnqueued, JobStarted
from actors.queue.messages import EnqueueJobs, GetStats, Unfinished
from actors.queue.specs import FINAL, JobSpec, RetryPolicy
from actors.runtime.errors import EngineClosedError
from actors.runtime.events import EngineOpened
from actors.runtime.messages import Event
from actors.runtime.values import encode_call
from actors.workflow.messages import CreateProject, GetTotals, StartRun
from actors.workflow.specs import Plan, PlanStep, RunStatus
from eventstore.errors import (
    DiskFullError,
    OutcomeUnknownError,
    ReopenNeededError,
    StoreError,
    StoreFullError,
)
from eventstore.faulty_log import Fault, random_plan
from eventstore.lmdb_errors import commit_error
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.queue import Queue
from tests.faults import tasks
from tests.faults.engines import GATES, PATIENCE_S, eventually, gated_job, insist, sabotaged_engine
from tests.faults.evidence import Evidence, read_lines
from tests.faults.sabotage import FAULTS, Sabotage, SabotagedLmdb, SabotagedMemory
from tests.support.scale import scaled

QUICKLY_S = 5.0
"""Far longer than an answer takes, far shorter than a timeout."""


class Failing(NamedTuple):
    """An engine, how its commits fail, and where its jobs leave their lines."""

    engine: OrchestrationEngine
    sabotage: Sabotage
    fault: Fault
    lines: Path

    def job(self, job_id: str, **options: Any) -> EnqueueJobs:
        return EnqueueJobs(jobs=(tasks.job(job_id, self.lines, **options),))

    def evidence(self) -> Evidence:
        evidence = Evidence(self.engine.store.runtime.log)
        evidence.check_executions(self.lines)
        return evidence

    def settle(self) -> Evidence:
        """Wait until nothing is under way."""
        eventually(lambda: not insist(self.engine, Unfinished(queue="load")))
        eventually(lambda: not insist(self.engine, GetTotals())[RunStatus.RUNNING])
        return self.evidence()


@pytest.fixture(params=FAULTS)
def failing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Failing]:
    """An engine for each way in which a commit fails."""
    log_type, fault = FAULTS[request.param]
    with sabotaged_engine(monkeypatch, log_type, tmp_path) as (engine, sabotage):
        yield Failing(engine, sabotage, fault, tmp_path / "lines")


def test_a_caller_whose_commit_failed_is_told_quickly_and_may_repeat_with_the_same_id(
    failing: Failing,
) -> None:
    failing.sabotage.fail("job.enqueued", failing.fault)
    begun_s = time.monotonic()
    with pytest.raises(OutcomeUnknownError, match="repeat with the same id"):
        failing.engine.send(failing.job("one"))
    assert time.monotonic() - begun_s < QUICKLY_S
    assert insist(failing.engine, failing.job("one")) == ("one",)
    evidence = failing.settle()
    assert len(evidence.all(JobEnqueued)) == len(evidence.all(JobCompleted)) == 1
    assert read_lines(failing.lines) == [("one", 1)]


def test_everybody_who_waits_is_answered_when_a_commit_fails(failing: Failing) -> None:
    ids = [f"job-{number}" for number in range(64)]
    failing.sabotage.fail("job.enqueued", failing.fault, times=3)
    failed: list[str] = []

    def enqueue(job_id: str) -> None:
        try:
            assert failing.engine.send(failing.job(job_id)) == (job_id,)
        except StoreError:
            failed.append(job_id)
            assert insist(failing.engine, failing.job(job_id)) == (job_id,)

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(enqueue, job_id) for job_id in ids]:
            done.result(PATIENCE_S)
    assert failed
    evidence = failing.settle()
    assert sorted(event.spec.job_id for event in evidence.all(JobEnqueued)) == sorted(ids)
    assert len(evidence.all(JobCompleted)) == len(ids)


def test_running_jobs_outlive_a_failed_commit_and_run_once(failing: Failing) -> None:
    gate = f"running-{id(failing)}"
    ids = [f"waiting-{number}" for number in range(4)]
    failing.engine.send(EnqueueJobs(jobs=tuple(gated_job(job_id, failing.lines, gate) for job_id in ids)))
    GATES.wait_for(gate, 4)
    failing.sabotage.fail("job.enqueued", failing.fault)
    with pytest.raises(OutcomeUnknownError):
        failing.engine.send(failing.job("other"))
    insist(failing.engine, GetStats(queue="load"))  # rebuilt by now
    GATES.open(gate)
    queue = Queue("load", engine=failing.engine)
    assert [queue.result(job_id, PATIENCE_S) for job_id in ids] == [gate] * 4
    evidence = failing.settle()
    assert [event.attempt for event in evidence.all(JobStarted) if event.job_id in ids] == [1] * 4


def refused(failing: Failing) -> StoreError:
    """What a query is told while nothing can be written.

    Who comes in the moment between the failure and the end of the intake may still find an actor's mailbox, and is
    told when that is closed.
    """
    while True:
        with pytest.raises(StoreError) as refusal:
            failing.engine.send(GetStats(queue="load"))
        if not isinstance(refusal.value, OutcomeUnknownError):
            return refusal.value


def test_a_job_that_ends_while_nothing_can_be_written_is_recorded_when_it_can(failing: Failing) -> None:
    gate = f"ending-{id(failing)}"
    failing.engine.send(EnqueueJobs(jobs=(gated_job("waiting", failing.lines, gate),)))
    GATES.wait_for(gate)
    result = failing.engine.watch("job:waiting")
    failing.sabotage.reopening.clear()
    failing.sabotage.fail("job.enqueued", failing.fault)
    with pytest.raises(OutcomeUnknownError):
        failing.engine.send(failing.job("other"))
    assert "nothing was changed" in str(refused(failing))
    GATES.open(gate)
    assert not result.wait(0.02)
    failing.sabotage.reopening.set()
    assert isinstance(result.get(PATIENCE_S), JobCompleted)
    assert len([event for event in failing.settle().all(JobStarted) if event.job_id == "waiting"]) == 1


def test_an_error_names_what_is_wrong_with_the_disk(failing: Failing) -> None:
    failing.sabotage.reopening.clear()
    failing.sabotage.fail("job.enqueued", failing.fault)
    with pytest.raises(OutcomeUnknownError, match=r"as planned.*repeat with the same id"):
        failing.engine.send(failing.job("one"))
    refusal = refused(failing)
    assert re.search(r"as planned.*nothing was changed", str(refusal))
    assert refusal.__cause__ is not None
    health = failing.engine.health_check()
    assert not health["healthy"]
    assert "as planned" in health["problem"]
    failing.sabotage.reopening.set()
    insist(failing.engine, failing.job("one"))
    assert failing.engine.health_check()["healthy"]


@pytest.mark.parametrize("tag", ["job.started", "job.retrying", "job.completed"])
def test_a_waiter_gets_its_result_though_a_commit_on_the_way_failed(failing: Failing, tag: str) -> None:
    result = failing.engine.watch("job:one")
    failing.sabotage.fail(tag, failing.fault)
    try:
        failing.engine.send(failing.job("one", failures=1, retry=RetryPolicy(3, 0)))
    except OutcomeUnknownError:
        insist(failing.engine, failing.job("one", failures=1, retry=RetryPolicy(3, 0)))
    assert isinstance(result.get(PATIENCE_S), JobCompleted)
    assert failing.sabotage.done.is_set()
    failing.settle()
    assert read_lines(failing.lines) == [("one", 1), ("one", 2)]


@pytest.mark.parametrize(
    "tag", ["run.created", "job.enqueued", "job.completed", "step.completed", "run.completed"]
)
def test_a_run_goes_on_and_whoever_waits_for_it_is_told(failing: Failing, tag: str) -> None:
    result = failing.engine.watch("run:one")
    failing.sabotage.fail(tag, failing.fault)
    payload = encode_call((str(failing.lines),), {})
    steps = tuple(
        PlanStep(f"s{number}", f"{tasks.__name__}:step", payload, needs, inputs=tasks.CONTEXT)
        for number, needs in enumerate(((), (0,), (1,)))
    )
    insist(failing.engine, StartRun("one", Plan("w", steps), "p", b"\x80", blocking=False))
    assert result.get(PATIENCE_S).run_id == "one"
    assert failing.sabotage.done.is_set()
    evidence = failing.settle()
    assert evidence.history.runs == {"one": "RunCompleted"}
    assert len(read_lines(failing.lines)) == 3


def test_a_subscriber_sees_exactly_what_is_durable_in_order(failing: Failing) -> None:
    log = failing.engine.store.runtime.log
    seen: list[tuple[int, str, int]] = []

    def see(event: Event, position: int) -> None:
        seen.append((position, event.entity, failing.engine.store.runtime.journal.watermark))

    failing.engine.subscribe("*", see, after=0)
    for number in range(20):
        if number % 4 == 1:
            failing.sabotage.fail("job.enqueued", failing.fault)
        insist(failing.engine, failing.job(f"job-{number}"))
    evidence = failing.settle()
    eventually(lambda: len(seen) >= log.head.position)
    assert [entity for _, entity, _ in seen] == [event.entity for event in evidence.events]
    assert [position for position, _, _ in seen] == list(range(1, log.head.position + 1))
    assert all(position <= watermark for position, _, watermark in seen)


def test_an_engine_comes_back_however_often_commits_fail(failing: Failing) -> None:
    """Failures of the disk are nobody's fault: they are not counted as those of an actor are."""
    for number in range(12):
        failing.sabotage.fail("job.enqueued", failing.fault)
        insist(failing.engine, failing.job(f"job-{number}"))
    evidence = failing.settle()
    assert len(evidence.all(JobCompleted)) == 12
    assert len(evidence.all(EngineOpened)) == 13
    assert failing.engine.store.runtime.failed is None


def test_a_command_between_a_failed_commit_and_the_rebuild_is_told_to_try_again(failing: Failing) -> None:
    """The log refuses reads by then, and an actor that reads in it has not been dropped yet.

    If what failed was another actor's, nothing of its own is in flight, and its answer leaves at once (F33).
    """
    failing.engine.send(failing.job("before"))
    failing.settle()
    told: list[StoreError] = []
    noticed, asked = threading.Event(), threading.Event()

    class Hold(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "a commit failed" in record.getMessage():
                noticed.set()
                assert asked.wait(PATIENCE_S)

    def ask() -> None:
        assert noticed.wait(PATIENCE_S)
        try:
            failing.engine.send(failing.job("late"))
        except StoreError as error:
            told.append(error)
        asked.set()

    hold, asking = Hold(), threading.Thread(target=ask)
    logging.getLogger("logistics.journal").addHandler(hold)
    try:
        asking.start()
        failing.sabotage.fail("project.created", failing.fault)  # of which the queue is not told
        with pytest.raises(OutcomeUnknownError):
            failing.engine.send(
                CreateProject(name="one", kind="custom", description="", folder="/nowhere/one")
            )
        asking.join(PATIENCE_S)
    finally:
        logging.getLogger("logistics.journal").removeHandler(hold)
    assert [type(error) for error in told] == [StoreError], told
    assert "nothing was changed" in str(told[0])
    assert "try again" in told[0].remedy.lower()
    assert insist(failing.engine, failing.job("late")) == ("late",)
    failing.settle()


def test_the_barrier_may_fail_too(failing: Failing) -> None:
    failing.sabotage.fail("engine.opened", failing.fault, times=3)
    failing.sabotage.fail("job.enqueued", failing.fault)
    with pytest.raises(OutcomeUnknownError):
        failing.engine.send(failing.job("one"))
    assert insist(failing.engine, failing.job("one")) == ("one",)
    assert len(failing.settle().all(JobCompleted)) == 1


def test_an_engine_that_is_closed_while_it_waits_for_its_disk_closes_at_once(failing: Failing) -> None:
    failing.sabotage.reopening.clear()
    failing.sabotage.fail("job.enqueued", failing.fault)
    with pytest.raises(OutcomeUnknownError):
        failing.engine.send(failing.job("one"))
    result = failing.engine.watch("job:one")
    begun_s = time.monotonic()
    failing.engine.close(0.1)
    assert time.monotonic() - begun_s < QUICKLY_S
    assert result.done


def test_a_store_at_its_largest_size_says_so_and_goes_on_when_it_may_grow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing was written, certainly; only a larger bound helps, here without opening it anew."""
    with sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path) as (engine, _):
        log = engine.store.runtime.log
        assert isinstance(log, SabotagedLmdb)
        log._max_map_size = log._map_size = 256 * 1024
        log._databases.environment.set_mapsize(log._map_size)
        failing = Failing(engine, log.sabotage, Fault.OK, tmp_path / "lines")
        number, told = 0, ""
        while not told:
            number += 1
            try:
                engine.send(failing.job(f"job-{number}"))
            except StoreError as error:
                told = str(error)
        assert "largest size, 262144 bytes" in told
        eventually(lambda: not engine.health_check()["healthy"])
        with pytest.raises(StoreFullError, match="largest size"):
            engine.send(failing.job("refused"))
        log._max_map_size *= 8
        assert insist(engine, failing.job(f"job-{number}")) == (f"job-{number}",)
        evidence = failing.settle()
        assert len(evidence.all(JobCompleted)) == number
        assert "refused" not in evidence.history.jobs


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
def test_callers_are_told_of_a_full_disk_by_the_kind_of_error(
    reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def commit(_log: SabotagedLmdb, _transaction: Any) -> None:
        raise lmdb.Error(f"mdb_txn_commit: {reason}")

    with sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path) as (engine, sabotage):
        failing = Failing(engine, sabotage, Fault.OK, tmp_path / "lines")
        with monkeypatch.context() as full:
            full.setattr(SabotagedLmdb, "_commit", commit)
            with pytest.raises(DiskFullError, match=reason):
                engine.send(failing.job("one"))
            refusal = refused(failing)
            assert isinstance(refusal, StoreFullError)
            assert refusal.remedy.startswith("Free some disk space")
        assert insist(engine, failing.job("one")) == ("one",)


def test_a_commit_that_was_cut_short_on_a_full_disk_is_told_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = lmdb.Error("mdb_txn_commit: Input/output error")
    assert type(commit_error(error, tmp_path)) is OutcomeUnknownError
    assert type(commit_error(error, tmp_path / "gone")) is OutcomeUnknownError
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=1, f_frsize=4096))
    assert type(commit_error(error, tmp_path)) is DiskFullError


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
def test_a_store_whose_files_are_taken_away_says_so_and_goes_on_when_they_are_back(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F33: what is written into a deleted file is gone, so nothing is acknowledged from then on."""
    with sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path) as (engine, sabotage):
        failing = Failing(engine, sabotage, Fault.OK, tmp_path / "lines")
        engine.send(failing.job("before"))
        failing.settle()
        file, elsewhere = tmp_path / "store" / name, tmp_path / name
        shutil.move(file, elsewhere)
        if name == "lock.mdb":
            sabotage.reopening.clear()  # else a missing one is made anew at once, and rightly so
        told: list[StoreError] = []
        numbers = count()

        def refused() -> bool:
            try:
                engine.send(failing.job(f"job-{next(numbers)}"))  # it looks twice a second
            except StoreError as error:
                told.append(error)
            return bool(told)

        eventually(refused)
        assert not isinstance(told[0], ReopenNeededError)
        # It may have been a job's end, not this command, that was to be written into the void.
        assert "deleted or replaced" in caplog.text
        if name == "data.mdb":
            eventually(lambda: "missing or empty" in engine.health_check()["problem"])
            with pytest.raises(StoreError, match="missing or empty"):
                engine.send(failing.job("refused"))
        shutil.move(elsewhere, file)
        sabotage.reopening.set()
        assert insist(engine, failing.job("after")) == ("after",)
        evidence = failing.settle()
        assert {"before", "after"} <= evidence.history.jobs.keys()
        assert "refused" not in evidence.history.jobs


# -- storms --------------------------------------------------------------------------------------------------


def storm(failing: Failing, seed: int) -> None:
    """Let many callers work while commits fail at random, then let the weather clear up and count."""
    random = Random(seed)
    named = {"before": 0.04, "after": 0.04, "survived": 0.02}
    if isinstance(failing.engine.store.runtime.log, SabotagedMemory):
        named["cached"] = 0.04
    plan = random_plan(Random(seed), **named)
    seen: list[int] = []
    failing.engine.subscribe("*", lambda _event, position: seen.append(position), after=0)
    specs = [
        tasks.job(f"job-{number}", failing.lines, failures=number % 3 == 0, retry=RetryPolicy(5, 0))
        for number in range(60)
    ]
    results = {spec.job_id: failing.engine.watch(f"job:{spec.job_id}") for spec in specs}
    failing.sabotage.plan = plan

    def call(mine: list[JobSpec]) -> None:
        for spec in mine:
            assert insist(failing.engine, EnqueueJobs(jobs=(spec,))) == (spec.job_id,)
            if random.random() < 0.3:
                insist(failing.engine, GetStats(queue="load"))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(call, specs[index::6]) for index in range(6)]:
            done.result(2 * PATIENCE_S)
    for job_id, result in results.items():
        assert result.wait(PATIENCE_S), f"nobody told of the end of {job_id}"
    failing.sabotage.plan = lambda: Fault.OK
    evidence = failing.settle()
    assert len(evidence.all(JobCompleted)) == len(specs)
    assert all(job.status in FINAL for job in evidence.history.jobs.values())
    head = failing.engine.store.runtime.log.head.position
    eventually(lambda: len(seen) >= head)
    assert seen == list(range(1, head + 1))


@pytest.mark.parametrize("log_type", [SabotagedMemory, SabotagedLmdb])
@pytest.mark.parametrize("seed", range(scaled("STORMS", 4)))
def test_a_storm_of_failing_commits_loses_nothing_and_repeats_nothing(
    log_type: Callable[..., Any], seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with sabotaged_engine(monkeypatch, log_type, tmp_path) as (engine, sabotage):
        storm(Failing(engine, sabotage, Fault.OK, tmp_path / "lines"), seed)


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(scaled("STORMS", 4)))
def test_closing_in_a_storm_and_opening_again_loses_nothing_and_repeats_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    random = Random(seed)
    lines = tmp_path / "lines"
    acknowledged: set[str] = set()
    pause = threading.Event()

    def call(engine: OrchestrationEngine, name: str, enough: threading.Semaphore) -> None:
        for number in count():
            job_id = f"{name}-{number}"
            try:
                acknowledged.update(engine.send(EnqueueJobs(jobs=(tasks.job(job_id, lines, pause_ms=1),))))
            except EngineClosedError:
                return
            except StoreError:
                pause.wait(0.002)  # four that ask without a break leave the interpreter to nobody else
                continue
            enough.release()

    for life in range(8):
        with (
            ThreadPoolExecutor(4) as pool,
            sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path, workers=2) as (engine, sabotage),
        ):
            sabotage.plan = random_plan(Random(random.random()), before=0.05, after=0.05)
            enough = threading.Semaphore(0)
            callers = [pool.submit(call, engine, f"job-{life}-{index}", enough) for index in range(4)]
            for _ in range(random.randrange(40)):
                assert enough.acquire(timeout=PATIENCE_S)
            engine.close(random.choice((0, 0.01, 1)))
            for done in callers:
                done.result(PATIENCE_S)
        evidence = Evidence.of(tmp_path / "store")
        evidence.check_executions(lines)
        assert acknowledged <= evidence.history.jobs.keys(), "acknowledged and lost"
    with sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path) as (engine, sabotage):
        evidence = Failing(engine, sabotage, Fault.OK, lines).settle()
        assert all(job.status in FINAL for job in evidence.history.jobs.values())
        assert not any(error.startswith("Interrupted") for error in evidence.failed().values())


def test_a_failure_in_one_engine_is_no_matter_of_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """F58: two engines in one process share nothing."""
    with (
        sabotaged_engine(monkeypatch, SabotagedMemory, tmp_path) as (broken, sabotage),
        sabotaged_engine(monkeypatch, SabotagedMemory, tmp_path) as (sound, _),
    ):
        lines = tmp_path / "lines"
        sabotage.reopening.clear()
        sabotage.fail("job.enqueued")
        with pytest.raises(OutcomeUnknownError):
            broken.send(EnqueueJobs(jobs=(tasks.job("one", lines),)))
        for number in range(20):
            assert sound.send(EnqueueJobs(jobs=(tasks.job(f"job-{number}", lines),)))
        broken.close(0)
        eventually(lambda: not sound.send(Unfinished(queue="load")))
        assert len(Evidence(sound.store.runtime.log).all(JobCompleted)) == 20
