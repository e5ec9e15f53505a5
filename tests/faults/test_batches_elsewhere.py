"""Many jobs in one call of a process or a pool: who dies, hangs or is cancelled there costs nobody else anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import AttemptInterrupted, AttemptRefused, JobFailed, JobRetrying, JobStarted
from actors.runtime.clock import VirtualClock
from logistics import Job, JobCancelledError, JobFailedError, JobScheduler, OrchestrationEngine, Queue
from tests.faults import batches as do
from tests.faults import jobs
from tests.faults.test_executor_contract import events, until
from tests.faults.test_running_jobs import PATIENCE_S, appears
from tests.logistics.task.support import pass_time

pytestmark = pytest.mark.usefixtures("plain_children")


@pytest.fixture(params=["process", "loky"])
def way(request: pytest.FixtureRequest) -> str:
    """Where batches are done."""
    found: str = request.param
    return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(way: str, clock: VirtualClock) -> Iterator[Queue]:
    yield from served(way, clock, workers=1)


def served(way: str, clock: VirtualClock, **more: Any) -> Iterator[Queue]:
    with OrchestrationEngine(":memory:", executor=way, clock=clock, **more) as engine:
        scheduler = JobScheduler(engine=engine)
        scheduler.start("work")
        yield Queue("work", engine=engine)
        scheduler.stop()
        engine.close(0)


def enqueue(queue: Queue, func: Callable[..., Any], *values: Any, **more: Any) -> list[str]:
    """Put jobs on the queue that are done in one call."""
    options = {"batch": 10, "max_retries": 0, **more}
    return queue.enqueue_many(Job(func.__name__, func, [value], **options) for value in values)


def results(queue: Queue, ids: list[str]) -> list[Any]:
    return [queue.result(job_id, PATIENCE_S) for job_id in ids]


def goes_on(queue: Queue) -> bool:
    """Whether the only worker takes the next job."""
    return bool(queue.result(queue.enqueue(Job("next", jobs.add, [1, 2])), PATIENCE_S) == 3)


@pytest.mark.parametrize("func", [do.doubles, do.doubles_later])
def test_one_call_elsewhere_gets_many_jobs_and_each_has_its_own_outcome(
    queue: Queue, func: Callable[..., Any]
) -> None:
    ids = enqueue(queue, func, 1, "bad", 3, "handle", "5")
    for job_id, text in ((ids[1], "ValueError: no number"), (ids[3], "PayloadError: .*lock")):
        with pytest.raises(JobFailedError, match=text):
            queue.result(job_id, PATIENCE_S)
    first, *others = results(queue, [ids[0], ids[2], ids[4]])
    assert first == [2, first[1], 5, 1, True]
    assert first[1] != os.getpid()
    assert others == [[6, *first[1:]], ["55", *first[1:]]]


def test_a_job_of_a_batch_may_say_otherwise(queue: Queue) -> None:
    (job_id,) = enqueue(queue, do.doubles, 1, executor="thread")
    assert queue.result(job_id, PATIENCE_S)[1] == os.getpid()


def test_if_the_call_raises_elsewhere_those_that_were_not_told_of_have_failed(queue: Queue) -> None:
    told, *others = enqueue(queue, do.raises, 1, 2, 3)
    assert queue.result(told, PATIENCE_S) == "told"
    for job_id in others:
        with pytest.raises(JobFailedError, match="ValueError: for the others") as raised:
            queue.result(job_id, PATIENCE_S)
        assert "in raises" in str(raised.value.traceback)


@pytest.mark.parametrize(
    ("way", "how"),
    [("process", "exit"), ("process", "kill"), ("process", "crash"), ("loky", "kill")],
    indirect=["way"],
)
def test_f68_a_worker_that_dies_in_the_middle_costs_each_of_its_batch_one_attempt(
    queue: Queue, how: str
) -> None:
    told, failed, *others = enqueue(queue, do.dies, *[how] * 5, max_retries=1, retry_delay=0)
    assert results(queue, [told, failed, *others]) == ["told", *["done"] * 4]
    assert len(events(queue, told, JobStarted)) == 1, "it was on record before"
    (event,) = events(queue, failed, JobRetrying)
    assert event.error == "RuntimeError: told, too"
    for job_id in others:
        assert len(events(queue, job_id, JobStarted)) == 2
        (event,) = events(queue, job_id, JobRetrying)
        assert event.error.startswith("WorkerDied: ")
    assert goes_on(queue)


def test_f68_after_its_tries_each_has_failed(queue: Queue) -> None:
    ids = enqueue(queue, do.dies, *["kill"] * 4)
    for job_id in ids[2:]:
        with pytest.raises(JobFailedError, match="WorkerDied"):
            queue.result(job_id, PATIENCE_S)
        assert len(events(queue, job_id, JobFailed)) == 1


@pytest.fixture
def loky_queue(clock: VirtualClock) -> Iterator[Queue]:
    yield from served("loky", clock, workers=2)


def test_f68_a_batch_in_a_pool_that_another_job_breaks_is_given_back_as_a_whole(
    loky_queue: Queue, tmp_path: Path
) -> None:
    innocent = enqueue(loky_queue, do.waits, str(tmp_path), str(tmp_path))
    appears(tmp_path / "begun")
    killer = loky_queue.enqueue(Job("killer", jobs.killed, max_retries=0))
    until(lambda: all(len(events(loky_queue, each, AttemptInterrupted)) == 1 for each in innocent))
    (tmp_path / "go").touch()
    assert results(loky_queue, innocent) == ["went", "went"]
    with pytest.raises(JobFailedError, match="WorkerDied"):
        loky_queue.result(killer, PATIENCE_S)
    cut = [event for job_id in innocent for event in events(loky_queue, job_id, AttemptInterrupted)]
    assert [event.charged for event in cut] == [False, False]


def test_f73_one_of_a_batch_that_is_cancelled_is_told_and_the_others_go_on(
    queue: Queue, tmp_path: Path
) -> None:
    ids = enqueue(queue, do.waits, *[str(tmp_path)] * 3)
    appears(tmp_path / "begun")
    for number in (0, 2):
        assert queue.cancel(ids[number])
        appears(tmp_path / f"told-{number}")
    assert not (tmp_path / "told-1").exists()
    (tmp_path / "go").touch()
    assert queue.result(ids[1], PATIENCE_S) == "went"
    for number in (0, 2):
        with pytest.raises(JobCancelledError):
            queue.result(ids[number])
    assert goes_on(queue)


def test_f73_a_batch_that_nobody_waits_for_any_more_gives_its_worker_back(
    queue: Queue, tmp_path: Path
) -> None:
    ids = enqueue(queue, do.waits, *[str(tmp_path)] * 3)
    appears(tmp_path / "begun")
    for job_id in ids:
        assert queue.cancel(job_id)
    assert goes_on(queue), "its process was ended, or there is another pool"
    until(lambda: all(len(events(queue, each, AttemptRefused)) == 1 for each in ids))


def test_f73_a_batch_that_takes_too_long_is_given_up_as_a_whole(
    queue: Queue, clock: VirtualClock, tmp_path: Path
) -> None:
    ids = enqueue(queue, do.waits, *[str(tmp_path)] * 2, timeout=5)
    appears(tmp_path / "begun")
    pass_time(queue.engine, clock, 5)
    for job_id in ids:
        with pytest.raises(JobFailedError, match="TimeoutError: attempt 1 did not end within 5 s"):
            queue.result(job_id, PATIENCE_S)
    assert goes_on(queue)


def test_an_engine_that_closes_charges_nobody_of_a_batch(
    way: str, clock: VirtualClock, tmp_path: Path
) -> None:
    with OrchestrationEngine(tmp_path / "store", workers=1, executor=way, clock=clock) as engine:
        queue = Queue("work", engine=engine)
        JobScheduler(engine=engine).start("work")
        ids = enqueue(queue, do.waits, *[str(tmp_path)] * 2)
        appears(tmp_path / "begun")
        engine.close(0)
    (tmp_path / "go").touch()
    with OrchestrationEngine(tmp_path / "store", executor=way, clock=clock) as engine:
        queue = Queue("work", engine=engine)
        JobScheduler(engine=engine).process(queue)
        assert results(queue, ids) == ["went", "went"]
        assert [job.attempts for job in map(queue.get_job, ids) if job is not None] == [1, 1]


def test_what_a_batch_prints_is_kept_once_with_its_jobs(clock: VirtualClock) -> None:
    for queue in served("process", clock, workers=1):
        ids = enqueue(queue, do.prints, *"abcd")
        results(queue, ids)
        printed = [queue.get_output(job_id) for job_id in ids]
        assert printed[0].startswith("for a\n")
        assert printed[3] == "", "the third came with the end of the call, too"
        assert "".join(printed) == "for a\nfor b\nfor c\nfor d\n"


def test_what_a_batch_prints_for_jobs_of_several_subjects_is_not_kept(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """Else what was printed of one of them would outlive the erasure of that one with a job of another's."""
    with OrchestrationEngine(tmp_path / "store", workers=1, executor="process", clock=clock) as engine:
        queue = Queue("work", engine=engine)
        for subjects, kept in ((("anna", None, "ben", "ben"), False), (("anna",) * 4, True)):
            ids = queue.enqueue_many(
                Job("prints", do.prints, ["secret"], batch=10, subject=subject) for subject in subjects
            )
            JobScheduler(engine=engine).process(queue)
            printed = "".join(queue.get_output(job_id) for job_id in ids)
            assert ("secret" in printed, "was not kept" in printed) == (kept, not kept)


def test_a_process_is_replaced_after_so_many_jobs_in_batches_too(clock: VirtualClock) -> None:
    for queue in served("process", clock, workers=1, max_tasks_per_child=4):
        pids = [results(queue, enqueue(queue, do.doubles, *values))[0][1] for values in ("ab", "abc", "ab")]
        assert pids[0] == pids[1] != pids[2]
