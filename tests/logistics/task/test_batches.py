"""Many jobs in one call, each with an outcome of its own."""

from __future__ import annotations

import pytest

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec, Terms
from actors.runtime.values import encode_call
from logistics import InputError, JobFailedError, group
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import batches as do
from tests.logistics.task.functions import PATIENCE_S, Notes, add


def process(queue: Queue) -> None:
    JobScheduler(engine=queue.engine).process(queue)


def job(func: object, *args: object, **more: object) -> Job:
    options = {"batch": 10, "max_retries": 0, **more}
    return Job("b", func, args, **options)  # type: ignore[arg-type]


def test_one_call_gets_up_to_so_many_and_each_has_its_own_outcome(queue: Queue, notes: Notes) -> None:
    ids = queue.enqueue_many(job(do.double, "x" if n == 3 else n) for n in range(25))
    process(queue)
    assert sorted(notes.lines) == [5, 10, 10]
    assert [queue.result(job_id) for job_id in (ids[0], ids[24])] == [0, 48]
    with pytest.raises(JobFailedError, match="ValueError: no number"):
        queue.result(ids[3])
    stats = queue.get_stats()
    assert (stats["completed"], stats["failed"]) == (24, 1)
    assert [entry.event for entry in queue.get_history(ids[0])] == [
        "job.enqueued",
        "job.started",
        "batch.started",
        "job.completed",
    ]
    read = queue.get_job(ids[0])
    assert read is not None
    assert read.batch == 10


def test_if_the_call_raises_each_is_tried_again_alone_and_one_bad_job_harms_no_other(
    queue: Queue, notes: Notes
) -> None:
    ids = queue.enqueue_many(
        job(do.all_or_none, each, max_retries=1, retry_delay=0) for each in ("good", "bad", "good")
    )
    process(queue)
    assert notes.lines == [3, 1, 1, 1]
    assert [str(queue.get_status(job_id)) for job_id in ids] == ["COMPLETED", "FAILED", "COMPLETED"]


def test_what_is_settled_early_is_on_record_before_the_call_has_ended(queue: Queue, notes: Notes) -> None:
    scheduler = JobScheduler(engine=queue.engine)
    ids = queue.enqueue_many(job(do.settles_some, n) for n in range(4))
    scheduler.start(queue)
    notes.wait_begun()
    assert queue.result(ids[0], timeout=PATIENCE_S) == "early"
    with pytest.raises(JobFailedError, match="RuntimeError: early, too"):
        queue.result(ids[1], timeout=PATIENCE_S)
    assert queue.get_status(ids[2]) == "RUNNING"
    notes.go_on.set()
    assert queue.result(ids[3], timeout=PATIENCE_S) == 0
    scheduler.stop()


def test_a_coroutine_does_a_batch_too(queue: Queue) -> None:
    ids = queue.enqueue_many(job(do.double_later, n) for n in range(3))
    process(queue)
    assert [queue.result(job_id) for job_id in ids] == [0, 2, 4]


def test_what_is_no_outcome_for_each_fails_them_all_and_says_so(queue: Queue) -> None:
    ids = queue.enqueue_many(job(do.answers_wrongly, n) for n in range(2))
    process(queue)
    for job_id in ids:
        with pytest.raises(
            JobFailedError, match=r"a list with an outcome for each of the 2 jobs.*list with 3"
        ):
            queue.result(job_id)


def test_a_result_that_cannot_be_kept_fails_its_own_job_only(queue: Queue) -> None:
    ids = queue.enqueue_many(job(do.cannot_be_kept, each) for each in (True, False))
    process(queue)
    with pytest.raises(JobFailedError, match="PayloadError"):
        queue.result(ids[0])
    assert queue.result(ids[1]) == 1


def test_a_batch_may_end_a_chain_and_get_what_came_before(queue: Queue) -> None:
    ids = queue.enqueue_chain(
        group([Job("a", add, [1, 2]), Job("b", add, [3, 4])]).then(job(do.total, 10), results=True)
    )
    process(queue)
    assert queue.result(ids[-1][0]) == 20


def test_jobs_of_a_batch_whose_function_is_gone_wait_for_it(queue: Queue) -> None:
    gone = [
        JobSpec(job_id, "work", "b", "no.such.module:f", encode_call((1,), {}), terms=Terms(batch=5))
        for job_id in ("one", "two")
    ]
    queue.engine.send(EnqueueJobs(jobs=tuple(gone)))
    process(queue)
    assert [str(queue.get_status(each.job_id)) for each in gone] == ["UNRESOLVED"] * 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch": 0}, "batch: expected"),
        ({"batch": 1001}, "batch: expected"),
        ({"batch": "many"}, "batch: expected"),
        ({"batch": 5, "heartbeat": 1}, "have no heartbeat each"),
    ],
)
def test_what_is_no_batch_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        job(do.double, 1, **options)
