"""Jobs on record: listed, told of, counted, and taken up again all at once."""

from __future__ import annotations

import pytest

from logistics import InputError, JobNotFoundError
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import functions as do


def failed(queue: Queue, count: int) -> list[str]:
    ids = queue.enqueue_many(Job(f"job {n % 2}", do.fail, max_retries=0) for n in range(count))
    JobScheduler(engine=queue.engine).process(queue)
    return ids


def test_jobs_are_listed_from_the_newest_on_with_a_filter_and_a_place_to_go_on_from(queue: Queue) -> None:
    ids = failed(queue, 40)
    good = queue.enqueue(Job("good", do.add))
    Queue("other", engine=queue.engine).enqueue(Job("other", do.add))
    listed = [job.job_id for job in queue.list_jobs()]
    assert listed == [good, *ids[::-1]]
    assert [job.job_id for job in queue.list_jobs(limit=2, status="FAILED", name="job 1")] == [
        ids[39],
        ids[37],
    ]
    assert [job.job_id for job in queue.list_jobs(after=ids[2])] == [ids[1], ids[0]]
    assert list(queue.list_jobs(status="RUNNING")) == []
    with pytest.raises(InputError, match="status: expected one of PENDING"):
        queue.list_jobs(status="DONE")


def test_a_history_tells_what_happened(queue: Queue) -> None:
    (job_id,) = failed(queue, 1)
    entries = queue.get_history(job_id)
    assert [entry.event for entry in entries] == ["job.enqueued", "job.started", "job.failed"]
    assert (entries[-1].attempt, entries[-1].detail) == (1, "ValueError: no")
    assert entries[-1].at is not None
    with pytest.raises(JobNotFoundError):
        queue.get_history("none")


def test_all_that_failed_are_taken_up_again(queue: Queue) -> None:
    failed(queue, 5)
    assert queue.retry_all(name="job 0") == 3
    assert queue.retry_all() == 2
    assert queue.retry_all() == 0
    assert queue.get_stats()["pending"] == 5
    with pytest.raises(
        InputError, match="status: expected one of FAILED, CANCELLED, EXPIRED, got 'COMPLETED'"
    ):
        queue.retry_all(status="COMPLETED")


def test_metrics_are_plain_data(queue: Queue) -> None:
    failed(queue, 2)
    queue.enqueue(Job("add", do.add))
    JobScheduler(engine=queue.engine).process(queue)
    metrics = queue.get_metrics()
    functions = metrics["functions"]
    assert functions["tests.logistics.task.functions:fail"]["failed"] == 2
    assert functions["tests.logistics.task.functions:add"]["completed"] == 1
    assert set(metrics["waits"]) == {"p50", "p90", "p99"}
    assert metrics["completed_per_minute"] == 0.0, "the present minute is not whole"
