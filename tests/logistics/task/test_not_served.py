"""Whoever waits for what nobody does is told so, once, and waits on: it may be done later."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from actors.runtime.clock import VirtualClock
from logistics.audit.words import Why
from logistics.orchestration import awaiting
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task import waiting
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import in_thread


class Told(logging.Handler):
    """What was logged, and an event that says that something was."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self.some = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.some.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What those are told who have little patience."""
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.001)
    monkeypatch.setattr(awaiting, "LOOK_S", 0.001)
    logger, handler = logging.getLogger("logistics.queue"), Told()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def future(queue: Queue, job_id: str) -> object:
    return await queue.future(job_id)


async def end_of(run: WorkflowRun) -> object:
    return (await run).output


def advice(queue: str) -> str:
    return (
        f"queue {queue!r} is not started: no JobScheduler processes it; call JobScheduler().start({queue!r})"
    )


@pytest.mark.parametrize(
    "wait", [Queue.result, lambda *job: asyncio.run(future(*job))], ids=["result", "future"]
)
def test_whoever_waits_for_a_job_of_a_queue_that_nobody_serves_is_told_once_and_waits_on(
    queue: Queue, told: Told, wait: Callable[[Queue, str], object]
) -> None:
    job_id = queue.enqueue(Job("add", do.add, (1, 2)))
    waits = in_thread(lambda: wait(queue, job_id))
    assert told.some.wait(PATIENCE_S)
    JobScheduler(engine=queue.engine).process(queue)
    assert waits() == 3
    assert told.texts == [f"job {job_id} is waited for, but {advice(queue.name)}"]


@pytest.mark.parametrize(
    "wait", [lambda run: run.result().output, lambda run: asyncio.run(end_of(run))], ids=["result", "await"]
)
def test_whoever_waits_for_a_run_is_told_which_queues_of_its_steps_and_of_their_runs_nobody_serves(
    engine: OrchestrationEngine, told: Told, wait: Callable[[WorkflowRun], object]
) -> None:
    manager = WorkflowManager(engine)
    manager.create("inner").add_step("deep", do.add, args=(1, 2), queue="deep")
    outer = manager.create("outer").add_workflow("inner", "inner", depends_on=[])
    outer.add_step("wide", do.add, args=(3, 4), queue="wide", depends_on=[])
    outer.add_step("too", do.add, args=(3, 4), queue="wide", depends_on=[])
    run = manager.start("outer")
    while len(engine.why(f"run:{run.run_id}").reasons) < 3 or not list(manager.list_runs(name="inner")):
        pass  # the inner run is on its way
    waits = in_thread(lambda: wait(run))
    assert told.some.wait(PATIENCE_S)
    scheduler = JobScheduler(engine=engine)
    scheduler.start("deep", "wide")
    assert waits()
    scheduler.stop()
    named = f"run {run.run_id} of workflow 'outer' is waited for, but "
    assert sorted(told.texts) == [named + advice("deep"), named + advice("wide")]


def test_whoever_waits_for_a_time_that_a_clock_for_tests_does_not_come_to_is_told_so(
    engine: OrchestrationEngine, clock: VirtualClock, queue: Queue, told: Told
) -> None:
    scheduler = JobScheduler(engine=engine)
    scheduler.start(queue.name)
    job_id = queue.schedule(Job("add", do.add, (1, 2)), timedelta(minutes=1))
    waits = in_thread(lambda: queue.result(job_id))
    assert told.some.wait(PATIENCE_S)
    clock.advance(60_000_000)
    assert waits() == 3
    scheduler.stop()
    text = f"job {job_id} is waited for, but delayed until "
    assert [each for each in told.texts if each.startswith(text) and "pass_time" in each]


def test_nobody_is_told_who_waits_for_a_job_that_takes_its_time(
    queue: Queue, told: Told, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    why = OrchestrationEngine.why

    def ask(self: OrchestrationEngine, subject: str) -> Why:
        found = why(self, subject)
        asked.set()
        return found

    monkeypatch.setattr(OrchestrationEngine, "why", ask)
    scheduler = JobScheduler(engine=queue.engine)
    scheduler.start(queue.name)
    job_id = queue.enqueue(Job("gated", do.gated))
    notes.wait_begun()
    waits = in_thread(lambda: queue.result(job_id))
    assert asked.wait(PATIENCE_S)
    notes.go_on.set()
    waits()
    scheduler.stop()
    assert told.texts == []


def test_whoever_waits_for_runs_that_wait_for_each_other_for_a_time_waits_on(
    engine: OrchestrationEngine, told: Told
) -> None:
    manager = WorkflowManager(engine)
    manager.create("w").add_wait("go").add_wait("other", run="{{params.run}}", timeout=3600)
    for run_id, other in ("ab", "ba"):
        engine.send(manager.start_command("w", run_id, run=other))
    runs = [run for run_id in "ab" if (run := manager.get_run(run_id))]
    for run in runs:
        run.signal("go", None)
    while any(engine.why(f"run:{run_id}").reasons[0].code != "step_awaits_run" for run_id in "ab"):
        pass  # the runs that they wait for are being found out
    awaiting.warn_if_not_served(engine, "run:a", "run a")
    assert told.texts == []
    assert runs[0].cancel()
    assert "run a is CANCELLED" in str(runs[1].result(PATIENCE_S).error)
