"""Results: read again, waited for, awaited, and asked for inside of a job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from logistics.errors import (
    InputError,
    JobFailedError,
    JobNotFoundError,
    WouldDeadlockError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import in_thread

ONCE: dict[str, Any] = {"max_retries": 0}


def process(queue: Queue) -> ProcessSummary:
    return JobScheduler().process(queue)


def finished(queue: Queue, job: Job) -> Job:
    """The job as it is once all is done."""
    job_id = queue.enqueue(job)
    process(queue)
    ended = queue.get_job(job_id)
    assert ended is not None
    return ended


# -- results -------------------------------------------------------------------------------------------------


def test_a_result_can_be_read_again_after_a_restart(open_engine: Open) -> None:
    engine = open_engine()
    queue = Queue("work", engine=engine)
    good = queue.enqueue(Job("good", do.add, (1, 2)))
    bad = queue.enqueue(Job("bad", do.fail, ("no",), **ONCE))
    process(queue)
    engine.close()
    queue = Queue("work", engine=open_engine())
    assert queue.result(good) == 3
    with pytest.raises(JobFailedError, match="ValueError: no"):
        queue.result(bad)
    assert queue.get_stats()["total_jobs"] == 2


def test_unknown_ids_raise_or_are_none(queue: Queue) -> None:
    assert queue.get_job("never") is None
    for ask in (queue.get_status, queue.result, queue.retry):
        with pytest.raises(JobNotFoundError, match="no job 'never' in queue 'work'"):
            ask("never")
    with pytest.raises(InputError, match="job_id: expected text, got 7"):
        queue.get_job(7)  # type: ignore[arg-type]


def test_waiting_has_an_end_and_says_what_it_waited_for(queue: Queue) -> None:
    job_id = queue.enqueue(Job("sum", do.add))
    text = f"job {job_id} has not ended within 0.001 s; it is PENDING: queue 'work' is not started: no JobScheduler"
    with pytest.raises(TimeoutError, match=text):
        queue.result(job_id, timeout=0.001)
    with pytest.raises(TimeoutError):
        queue.result(job_id, timeout=0)


def test_a_result_can_be_awaited(queue: Queue) -> None:
    async def both() -> tuple[Any, Any]:
        scheduler = JobScheduler(engine=queue.engine)
        good = queue.enqueue(Job("good", do.later, (1, 2)))
        bad = queue.enqueue(Job("bad", do.fail_later, **ONCE))
        scheduler.start(queue)
        return await asyncio.gather(queue.future(good), queue.future(bad), return_exceptions=True)

    good, bad = asyncio.run(both())
    assert good == 3
    assert isinstance(bad, JobFailedError)


def test_many_may_wait_for_one_result(queue: Queue, notes: Notes) -> None:
    job_id = queue.enqueue(Job("slow", do.gated, ("here",)))
    JobScheduler(engine=queue.engine).start(queue)
    waiters = [in_thread(lambda: queue.result(job_id, timeout=PATIENCE_S)) for _ in range(5)]
    notes.wait_begun()
    notes.go_on.set()
    assert [wait() for wait in waiters] == ["here"] * 5


def test_a_job_that_cannot_be_retried_says_so(queue: Queue) -> None:
    job_id = queue.enqueue(Job("sum", do.add))
    with pytest.raises(
        InputError, match=f"job '{job_id}' is PENDING; only a failed, cancelled or expired job"
    ):
        queue.retry(job_id)
    process(queue)
    with pytest.raises(
        InputError, match=f"job '{job_id}' is COMPLETED; only a failed, cancelled or expired job"
    ):
        queue.retry(job_id)


# -- inside a job ----------------------------------------------------------------------------------------------


def test_waiting_inside_a_job_is_refused_when_no_worker_would_be_left(open_engine: Open) -> None:
    queue = Queue("work", engine=open_engine(":memory:", workers=1))
    for function in (do.wait_for_another, do.process_another, do.await_another):
        job = Job("outer", function, ("inner",), **ONCE)
        failed = finished(queue, job)
        assert failed.error is not None
        assert failed.error.startswith(f"{WouldDeadlockError.__name__}: all 1 workers would be waiting")
        assert "raise workers=" in failed.error


def test_waiting_inside_a_job_works_while_a_worker_is_left(open_engine: Open) -> None:
    engine = open_engine(":memory:", workers=2)
    JobScheduler(engine=engine).start("inner")
    queue = Queue("work", engine=engine)
    assert finished(queue, Job("outer", do.wait_for_another, ("inner",), **ONCE)).result == 3
    assert finished(queue, Job("outer", do.process_another, ("other",), **ONCE)).result == 1
    assert finished(queue, Job("outer", do.await_another, ("inner",), **ONCE)).result == 9


def test_an_async_job_that_would_stop_the_event_loop_is_told_what_to_await(open_engine: Open) -> None:
    queue = Queue("work", engine=open_engine(":memory:", workers=4))
    for function in (do.block_the_loop, do.process_on_the_loop):
        failed = finished(queue, Job("outer", function, ("inner",), **ONCE))
        assert failed.error is not None
        assert failed.error.startswith(
            f"{WouldDeadlockError.__name__}: to wait here would stop the event loop"
        )
        assert "`await queue.future(job_id)`" in failed.error


def test_an_async_job_cannot_await_its_own_end(open_engine: Open) -> None:
    queue = Queue("work", engine=open_engine(":memory:"))
    failed = finished(queue, Job("outer", do.await_itself, ("work",), job_id="me", **ONCE))
    assert failed.error == f"{WouldDeadlockError.__name__}: job me would wait for its own end"


def test_the_default_engine_inside_a_job_is_the_one_that_runs_it(engine: OrchestrationEngine) -> None:
    queue = Queue("work", engine=engine)
    assert finished(queue, Job("where", do.engine_path)).result == engine.path
    assert finished(queue, Job("close", do.close_default)).result == "closed"
    assert finished(queue, Job("where", do.engine_path)).status == "COMPLETED"
