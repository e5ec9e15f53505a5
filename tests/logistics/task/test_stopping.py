"""Jobs cancelled and cleared, queues paused, and what counts say of them."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.specs import JobStatus
from logistics.errors import (
    JobCancelledError,
)
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import in_thread, watched

ONCE: dict[str, Any] = {"max_retries": 0}


def process(queue: Queue) -> ProcessSummary:
    return JobScheduler().process(queue)


def test_a_waiting_job_can_be_cancelled_once(queue: Queue) -> None:
    job_id = queue.enqueue(Job("sum", do.add))
    assert queue.cancel(job_id) is True
    assert queue.cancel(job_id) is False
    assert queue.cancel("never") is False
    assert process(queue) == (0, 0, 0)
    with pytest.raises(JobCancelledError, match=f"job {job_id} was cancelled"):
        queue.result(job_id)
    assert queue.get_status(job_id) == "CANCELLED"
    queue.retry(job_id)
    assert process(queue) == (1, 0, 0)


def test_what_a_cancelled_function_still_returns_is_refused(queue: Queue, notes: Notes) -> None:
    refused = watched(queue.engine, "attempt.refused")
    job_id = queue.enqueue(Job("slow", do.gated))
    JobScheduler(engine=queue.engine).start(queue)
    notes.wait_begun()
    waiter = in_thread(lambda: queue.result(job_id, timeout=PATIENCE_S))
    assert queue.cancel(job_id) is True
    with pytest.raises(JobCancelledError):
        waiter()
    notes.go_on.set()
    refused()
    assert queue.get_status(job_id) == "CANCELLED"


def test_a_job_that_no_worker_has_taken_yet_is_not_run_once_cancelled(
    open_engine: Open, notes: Notes
) -> None:
    queue = Queue("work", engine=open_engine(":memory:", workers=1))
    process_first = queue.enqueue(Job("first", do.note, ("first",)))
    process(queue)
    assert queue.result(process_first) == "first"
    queue.enqueue(Job("slow", do.gated, ("slow",)))
    behind = queue.enqueue(Job("behind", do.note, ("behind",)))
    JobScheduler(engine=queue.engine).start(queue)
    notes.wait_begun()
    assert queue.cancel(behind) is True
    notes.go_on.set()
    process(queue)
    assert notes.lines == ["first", "slow"]


def test_a_paused_queue_starts_nothing_until_resumed_also_over_a_restart(open_engine: Open) -> None:
    engine = open_engine()
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("sum", do.add, (1, 2)))
    queue.pause()
    queue.pause()
    assert process(queue) == (0, 0, 0)
    engine.close()
    queue = Queue("work", engine=open_engine())
    assert process(queue) == (0, 0, 0)
    assert queue.dequeue() is None
    assert len(queue) == 1
    assert (queue.paused, queue.draining) == (True, False)
    queue.resume()
    assert not queue.paused
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id) == 3


def test_clearing_cancels_what_has_not_begun(queue: Queue) -> None:
    jobs = [queue.enqueue(Job("sum", do.add)), queue.schedule(Job("later", do.add), 60)]
    taken = queue.enqueue(Job("hand", do.add), priority=9)
    hand = queue.dequeue()
    assert hand is not None
    assert queue.clear() == 2
    assert queue.clear() == 0
    assert [queue.get_status(job_id) for job_id in jobs] == ["CANCELLED", "CANCELLED"]
    queue.complete(hand, 1)
    assert queue.result(taken) == 1


def test_counts_say_where_all_jobs_stand(queue: Queue) -> None:
    empty = {"queue_length": 0, "scheduled_count": 0, "total_jobs": 0}
    empty |= {status.lower(): 0 for status in JobStatus}
    assert queue.get_stats() == empty
    queue.enqueue(Job("good", do.add))
    queue.enqueue(Job("bad", do.fail, **ONCE))
    process(queue)
    queue.cancel(queue.enqueue(Job("gone", do.add)))
    queue.schedule(Job("later", do.add), 60)
    queue.enqueue(Job("hand", do.add))
    queue.dequeue()
    queue.enqueue(Job("ready", do.add))
    assert queue.get_stats() == empty | {
        "queue_length": 1,
        "scheduled_count": 1,
        "total_jobs": 6,
        "pending": 1,
        "scheduled": 1,
        "running": 1,
        "completed": 1,
        "failed": 1,
        "cancelled": 1,
    }


def test_a_coroutine_that_is_cut_off_by_closing_tidies_up_behind_it(open_engine: Open, notes: Notes) -> None:
    engine = open_engine(":memory:")
    queue = Queue("work", engine=engine)
    queue.enqueue(Job("tidy", do.tidy_later))
    JobScheduler(engine=engine).start(queue)
    notes.wait_begun()
    engine.close(grace=0)
    assert notes.lines == ["tidied"]
