"""Waiting in asyncio, and waits that would never end."""

from __future__ import annotations

import asyncio

import pytest

from logistics import (
    Job,
    JobFailedError,
    JobNotFoundError,
    JobScheduler,
    OrchestrationEngine,
    Queue,
    WorkflowManager,
)


def one() -> int:
    return 1


def fail() -> None:
    msg = "no"
    raise ValueError(msg)


def wait_for_itself(name: str) -> str:
    queue = Queue(name)
    try:
        queue.result("me")
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return "waited"


def process_its_own_queue(name: str) -> str:
    try:
        JobScheduler().process(Queue(name))
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return "processed"


def test_a_wait_that_is_given_up_leaves_nothing_behind() -> None:
    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.future(job_id), 0.05)

    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        job_id = queue.enqueue(Job("never", one))
        asyncio.run(impatient())
        assert engine.store.runtime.watch._waiting == {}


def test_many_may_wait_for_jobs_and_runs_at_once() -> None:
    async def gather() -> list[object]:
        JobScheduler(engine=engine).start("default")
        runs = [manager.start("w") for _ in range(20)]
        answers = await asyncio.gather(
            *(queue.future(job_id) for job_id in ids), *(_run(run) for run in runs)
        )
        return list(answers)

    async def _run(run: object) -> object:
        return (await run).output  # type: ignore[misc]

    with OrchestrationEngine(":memory:") as engine:
        queue, manager = Queue(engine=engine), WorkflowManager(engine)
        manager.create("w").add_step("one", one)
        ids = queue.enqueue_many([Job("one", one) for _ in range(50)])
        assert asyncio.run(gather()) == [1] * 70


def test_errors_are_raised_where_somebody_awaits() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        job_id = queue.enqueue(Job("fail", fail, max_retries=0))
        JobScheduler(engine=engine).process(queue)
        with pytest.raises(JobFailedError, match="ValueError: no"):
            asyncio.run(queue.future(job_id))
        with pytest.raises(JobNotFoundError):
            asyncio.run(queue.future("none"))


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (wait_for_itself, "WouldDeadlockError: job me would wait for its own end"),
        (process_its_own_queue, "WouldDeadlockError: a job of queue 'q' would wait until that queue is idle"),
    ],
)
def test_a_job_that_would_wait_for_itself_is_told_so(function: object, text: str) -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue("q", engine=engine)
        job_id = queue.enqueue(Job("self", function, ("q",), job_id="me"))  # type: ignore[arg-type]
        JobScheduler(engine=engine).process(queue)
        assert queue.result(job_id, timeout=10).startswith(text)


def test_a_job_that_was_moved_is_told_so_of_the_queue_where_it_is_now() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue, other = Queue("q", engine=engine), Queue("other", engine=engine)
        job_id = queue.enqueue(Job("self", process_its_own_queue, ("other",)))
        queue.move(job_id, other)
        JobScheduler(engine=engine).process(other)
        assert other.result(job_id, timeout=10).startswith(
            "WouldDeadlockError: a job of queue 'other' would wait"
        )


def test_a_step_with_long_names_can_be_looked_at_on_its_queue() -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager, queue = WorkflowManager(engine), Queue("q", engine=engine)
        manager.create("w" * 150).add_step("s" * 150, one, queue="q")
        run = manager.start("w" * 150)
        job = queue.peek()
        assert job is not None
        assert job.name == f"{'w' * 150}.{'s' * 150}"
        assert run.cancel()


def test_hand_work_may_fail_with_any_text() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        job_id = queue.enqueue(Job("one", one, max_retries=0))
        job = queue.dequeue()
        assert job is not None
        queue.fail(job, "a lone \ud800 and " + "x" * 20_000)
        with pytest.raises(JobFailedError, match=r"a lone .ud800 and x"):
            queue.result(job_id)
