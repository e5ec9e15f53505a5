"""Jobs taken by hand: completed, failed, or lost by their taker."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from actors.runtime.clock import VirtualClock
from logistics.errors import (
    InputError,
    JobFailedError,
    LeaseLostError,
    PayloadError,
)
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.support import SECOND


def process(queue: Queue) -> ProcessSummary:
    return JobScheduler().process(queue)


def test_hand_work_is_completed_by_its_taker(queue: Queue) -> None:
    job_id = queue.enqueue(Job("hand", do.add, (1,)))
    job = queue.dequeue()
    assert job is not None
    assert (job.job_id, job.status, job.args) == (job_id, "RUNNING", (1,))
    assert queue.dequeue() is None
    assert process(queue) == (0, 0, 0)
    queue.complete(job, {"rows": [1, 2]})
    assert queue.result(job_id) == {"rows": [1, 2]}


@pytest.mark.parametrize(("error", "text"), [(ValueError("no"), "ValueError: no"), ("no", "no")])
def test_hand_work_that_fails_is_retried_like_any_other(queue: Queue, error: object, text: str) -> None:
    job_id = queue.enqueue(Job("hand", do.add, (1,), max_retries=1, retry_delay=0))
    for status in ("PENDING", "FAILED"):
        job = queue.dequeue()
        assert job is not None
        queue.fail(job, error)
        assert queue.get_status(job_id) == status
    with pytest.raises(JobFailedError, match=text):
        queue.result(job_id)


def test_a_lease_runs_out_and_its_taker_is_told(queue: Queue, clock: VirtualClock) -> None:
    job_id = queue.enqueue(Job("hand", do.add, (1,)))
    late = queue.dequeue(lease=timedelta(seconds=5))
    assert late is not None
    clock.advance(5 * SECOND)
    again = queue.dequeue()
    if again is None:  # the lease was found to have run out only after the command
        again = queue.dequeue()
    assert again is not None
    assert (again.job_id, again.attempts) == (job_id, 2)
    lost = f"the lease on job {job_id} has run out or was settled before; nothing was changed"
    for settle in (queue.complete, queue.fail):
        with pytest.raises(LeaseLostError, match=lost):
            settle(late)
    queue.complete(again, "mine")
    with pytest.raises(LeaseLostError, match=lost):
        queue.complete(again, "mine again")
    assert queue.result(job_id) == "mine"


def test_only_what_was_taken_by_hand_can_be_settled(queue: Queue) -> None:
    job_id = queue.enqueue(Job("hand", do.add))
    for job in (queue.get_job(job_id), Job("other", do.add), None):
        with pytest.raises(InputError, match=r"expected a job that dequeue\(\) returned, got"):
            queue.complete(job)  # type: ignore[arg-type]
    taken = queue.dequeue()
    assert taken is not None
    with pytest.raises(PayloadError, match="result: lock cannot be stored"):
        queue.complete(taken, threading.Lock())
    queue.complete(taken)


def test_hand_work_is_ready_again_after_its_engine_was_closed_uncharged(open_engine: Open) -> None:
    engine = open_engine()
    queue = Queue("work", engine=engine)
    queue.enqueue(Job("hand", do.add))
    assert queue.dequeue() is not None
    engine.close()
    job = Queue("work", engine=open_engine()).dequeue()
    assert job is not None
    assert job.attempts == 1
