"""The queue as its users see it, in memory and on disk."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import JobCompleted, JobFailed
from actors.queue.specs import JobStatus
from actors.runtime.clock import VirtualClock
from logistics.errors import (
    ConflictingIdError,
    JobNotFoundError,
    PayloadError,
)
from logistics.inputs import as_datetime
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import SECOND, pass_time


def process(queue: Queue) -> ProcessSummary:
    return JobScheduler().process(queue)


# -- in and out ------------------------------------------------------------------------------------------


def test_a_job_is_done_and_remembered(queue: Queue, clock: VirtualClock) -> None:
    job = Job("sum", do.add, (1,), {"b": 2}, priority=7)
    job_id = queue.enqueue(job)
    assert queue.get_status(job_id) is JobStatus.PENDING
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id, timeout=PATIENCE_S) == 3
    ended = queue.get_job(job_id)
    assert ended is not None
    now = as_datetime(clock.now_us())
    assert (ended.job_id, ended.queue, ended.name, ended.status) == (job_id, "work", "sum", "COMPLETED")
    assert (ended.func, ended.args, ended.kwargs) == (do.add, (1,), {"b": 2})
    assert (ended.priority, ended.max_retries, ended.retry_delay) == (7, 3, 1.0)
    assert (ended.result, ended.error, ended.traceback, ended.attempts) == (3, None, None, 1)
    assert (ended.created_at, ended.started_at, ended.finished_at) == (now, now, now)
    assert job.job_id is None, "what one enqueues is not changed"


def test_one_job_enqueued_twice_makes_two(queue: Queue) -> None:
    job = Job("sum", do.add, (1, 2))
    assert queue.enqueue(job) != queue.enqueue(job)
    assert process(queue) == (2, 0, 0)


def test_one_job_with_an_id_enqueued_twice_makes_one(queue: Queue) -> None:
    for _ in range(2):
        assert queue.enqueue(Job("sum", do.add, (1, 2), job_id="mine")) == "mine"
    assert process(queue) == (1, 0, 0)
    assert queue.enqueue(Job("sum", do.add, (1, 2), job_id="mine")) == "mine"
    assert process(queue) == (0, 0, 0)


def test_an_id_used_for_another_job_is_a_conflict(queue: Queue) -> None:
    queue.enqueue(Job("sum", do.add, (1, 2), job_id="mine"))
    with pytest.raises(ConflictingIdError, match="job id 'mine' is on record for another job"):
        queue.enqueue(Job("sum", do.add, (1, 3), job_id="mine"))
    with pytest.raises(ConflictingIdError):
        queue.enqueue_many([Job("sum", do.add), Job("other", do.add, job_id="mine")])
    assert queue.get_stats()["total_jobs"] == 1


def test_many_jobs_are_one_commit_all_or_none(queue: Queue) -> None:
    journal = queue.engine.store.runtime.journal
    before = journal.commits
    ids = queue.enqueue_many(Job(f"j{n}", do.add, (n, n)) for n in range(100))
    assert journal.commits == before + 1
    with pytest.raises(PayloadError, match=r"args\[0\]: lock cannot be stored"):
        queue.enqueue_many([Job("fine", do.add), Job("not", do.add, (threading.Lock(),))])
    assert queue.enqueue_many([]) == []
    assert process(queue) == (100, 0, 0)
    assert [queue.result(job_id, timeout=PATIENCE_S) for job_id in ids] == [2 * n for n in range(100)]


def test_the_size_of_a_queue_is_what_is_ready(queue: Queue) -> None:
    assert (len(queue), bool(queue), queue.peek()) == (0, True, None)
    queue.enqueue(Job("low", do.add))
    queue.enqueue(Job("high", do.add), priority=1)
    queue.schedule(Job("later", do.add), 60)
    assert (len(queue), queue.size()) == (2, 2)
    peeked = queue.peek()
    assert peeked is not None
    assert peeked.name == "high"
    assert len(queue) == 2, "a look takes nothing"


def test_queues_do_not_see_each_other(engine: OrchestrationEngine) -> None:
    one, two = Queue("one", engine=engine), Queue("two", engine=engine)
    job_id = one.enqueue(Job("sum", do.add))
    assert two.get_job(job_id) is None
    assert two.cancel(job_id) is False
    with pytest.raises(JobNotFoundError, match=f"no job '{job_id}' in queue 'two'"):
        two.get_status(job_id)
    assert process(two) == (0, 0, 0)
    assert one.get_status(job_id) == "PENDING"


# -- order -----------------------------------------------------------------------------------------------


def test_order_is_by_priority_then_age_across_restarts(open_engine: Open, notes: Notes) -> None:
    plan = [("a", 0), ("b", 5), ("c", -5), ("d", 0), ("e", 5), ("f", 1)]
    for number, (name, priority) in enumerate(plan):
        engine = open_engine(workers=1)
        override = None if number % 2 else priority
        own = priority if number % 2 else 0
        Queue("work", engine=engine).enqueue(Job(name, do.note, (name,), priority=own), override)
        engine.close()
    process(Queue("work", engine=open_engine(workers=1)))
    assert notes.lines == ["b", "e", "f", "a", "d", "c"]


# -- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["datetime", "timedelta", "seconds", "another zone"])
def test_a_scheduled_job_starts_when_its_time_has_come(queue: Queue, clock: VirtualClock, how: str) -> None:
    now = as_datetime(clock.now_us())
    when: Any = {
        "datetime": now + timedelta(hours=1),
        "timedelta": timedelta(hours=1),
        "seconds": 3600,
        "another zone": (now + timedelta(hours=1)).astimezone(),
    }[how]
    job_id = queue.schedule(Job("later", do.add, (1, 2)), when)
    assert queue.get_status(job_id) == "SCHEDULED"
    assert process(queue) == (0, 0, 0)
    JobScheduler(engine=queue.engine).start(queue)
    pass_time(queue.engine, clock, 3599)
    assert queue.get_status(job_id) == "SCHEDULED"
    pass_time(queue.engine, clock, 1)
    assert queue.result(job_id, timeout=PATIENCE_S) == 3


def test_a_time_in_the_past_is_now(queue: Queue) -> None:
    job_id = queue.schedule(Job("late", do.add, (1, 2)), datetime(2020, 1, 1, tzinfo=UTC))
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id) == 3


def test_a_job_that_waits_for_its_time_waits_over_a_restart(open_engine: Open, clock: VirtualClock) -> None:
    engine = open_engine()
    job_id = Queue("work", engine=engine).schedule(Job("later", do.add, (1, 2)), 60)
    engine.close()
    clock.advance(60 * SECOND)
    queue = Queue("work", engine=open_engine())
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id) == 3


# -- engines -----------------------------------------------------------------------------------------------------


def test_two_engines_in_one_process_are_strangers(open_engine: Open, tmp_path: Path) -> None:
    queues = [
        Queue("work", engine=open_engine(tmp_path / "one")),
        Queue("work", engine=open_engine(tmp_path / "two")),
        Queue("work", engine=open_engine(":memory:")),
        Queue("work", engine=open_engine(":memory:")),
    ]
    for number, queue in enumerate(queues):
        queue.enqueue_many([Job("sum", do.add, job_id=f"j{n}") for n in range(number + 1)])
    assert [len(queue) for queue in queues] == [1, 2, 3, 4]
    queues[0].engine.close()
    for number, queue in enumerate(queues[1:], 2):
        assert process(queue) == (number, 0, 0)


def test_handles_on_one_store_share_it_until_the_last_is_closed(open_engine: Open) -> None:
    first, second = open_engine(), open_engine()
    job_id = Queue("work", engine=first).enqueue(Job("sum", do.add, (1, 2)))
    first.close()
    first.close()
    queue = Queue("work", engine=second)
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id) == 3


def test_a_queue_in_memory_has_an_engine_of_its_own() -> None:
    one, two = Queue(backend="memory"), Queue(backend="memory")
    with one.engine, two.engine:
        one.enqueue(Job("sum", do.add))
        assert (len(one), len(two)) == (1, 0)
        assert Queue(backend="memory", engine=one.engine).size() == 1


def test_every_event_of_a_job_can_be_heard(queue: Queue) -> None:
    heard: list[tuple[str, str]] = []
    done = threading.Semaphore(0)

    def hear(event: Any, _position: int) -> None:
        heard.append((type(event).__name__, getattr(event, "job_id", "") or event.spec.job_id))
        if isinstance(event, JobCompleted | JobFailed):
            done.release()

    queue.engine.subscribe("job.*", hear, after=0)
    job_id = queue.enqueue(Job("sum", do.add))
    process(queue)
    assert done.acquire(timeout=PATIENCE_S)
    assert heard == [("JobEnqueued", job_id), ("JobStarted", job_id), ("JobCompleted", job_id)]
