"""Jobs on record: listed, told of, counted, and taken up again all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.queue.events import (
    AttemptInterrupted,
    AttemptTimedOut,
    JobCancelled,
    JobEnqueued,
    JobReady,
    JobRetrying,
    JobStarted,
)
from actors.queue.specs import JobLife, JobSpec
from actors.runtime.clock import VirtualClock
from actors.runtime.messages import Event
from logistics import InputError, JobNotFoundError
from logistics.audit import narrowing
from logistics.orchestration import reading
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task import listing
from logistics.task.attempts import attempts_of
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import functions as do

SECOND = 1_000_000


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


def test_few_that_failed_among_many_are_found_without_reading_every_history(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def history(engine: OrchestrationEngine, entity: str) -> list[Event]:
        looked_at.append(entity.removeprefix("job:"))
        return reading.history(engine, entity)

    monkeypatch.setattr(listing, "history", history)
    monkeypatch.setattr(narrowing, "LOOKED_AT", 5)
    first = failed(queue, 2)
    retried, cancelled = failed(queue, 1)[0], queue.enqueue(Job("cancelled", do.add))
    queue.retry(retried)  # it had an event that makes it one of them, and is none any more
    queue.cancel(cancelled)
    many = queue.enqueue_many([Job("good", do.add) for _ in range(20)])
    assert [job.job_id for job in queue.list_jobs(status="FAILED")] == first[::-1]
    assert looked_at == [*many[:-6:-1], retried, *first[::-1]]
    ended = queue.list_jobs(status=["FAILED", "CANCELLED"], after=many[0])
    assert [job.job_id for job in ended] == [cancelled, *first[::-1]]
    looked_at.clear()
    assert [job.job_id for job in queue.list_jobs(1, status="PENDING")] == [many[-1]]
    assert list(queue.list_jobs(status=["FAILED", "COMPLETED"])) != []
    assert len(looked_at) == 1 + 5 + 3


def test_few_that_run_or_wait_among_many_are_asked_for(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def history(engine: OrchestrationEngine, entity: str) -> list[Event]:
        looked_at.append(entity.removeprefix("job:"))
        return reading.history(engine, entity)

    monkeypatch.setattr(listing, "history", history)
    monkeypatch.setattr(narrowing, "LOOKED_AT", 5)
    delayed = [queue.schedule(Job("later", do.add), 60) for _ in range(2)]
    held = queue.dequeue() if queue.enqueue(Job("held", do.add)) else None
    assert held is not None
    assert held.job_id is not None
    elsewhere = Queue("other", engine=queue.engine).schedule(Job("later", do.add), 60)
    many = failed(queue, 20)
    newest = many[:-6:-1]
    for status, wanted in (
        ("RUNNING", [held.job_id]),
        ("SCHEDULED", delayed[::-1]),
        (["SCHEDULED", "RUNNING"], [held.job_id, *delayed[::-1]]),
        ("RETRYING", []),
        ("UNRESOLVED", []),
    ):
        looked_at.clear()
        assert [job.job_id for job in queue.list_jobs(status=status)] == wanted
        assert looked_at == [*newest, *wanted]
    looked_at.clear()
    assert [job.job_id for job in queue.list_jobs(status="SCHEDULED", after=delayed[1])] == [delayed[0]]
    assert elsewhere not in looked_at
    monkeypatch.setattr(listing, "MOST", 1)
    looked_at.clear()
    assert [job.job_id for job in queue.list_jobs(status="SCHEDULED")] == delayed[::-1]
    assert len(looked_at) > len(newest) + 2, "where they are many, most that is looked at is meant"


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


def test_each_attempt_is_accounted_for(queue: Queue, clock: VirtualClock) -> None:
    job_id = queue.enqueue(Job("tries", do.fail_until, [2], max_retries=3, retry_delay=0, executor="thread"))
    clock.advance(5_000_000)
    held = queue.dequeue(lease=60)
    assert held is not None
    [running] = queue.get_attempts(job_id)
    assert (running.number, running.executor, running.outcome, running.ran) == (1, "hand", None, None)
    assert running.waited == timedelta(seconds=5)
    clock.advance(2_000_000)
    queue.fail(held, "not now")
    JobScheduler(engine=queue.engine).process(queue)
    by_hand, failed_once, done = queue.get_attempts(job_id)
    assert (by_hand.outcome, by_hand.ran, by_hand.error) == ("failed", timedelta(seconds=2), "not now")
    assert (failed_once.outcome, failed_once.error) == ("failed", "ValueError: try 1")
    assert (done.number, done.outcome, done.executor, done.error) == (3, "completed", "thread", "")
    assert done.waited == timedelta(0)
    assert done.ended_at is not None
    with pytest.raises(JobNotFoundError):
        queue.get_attempts("none")


def test_the_attempts_of_a_job_tell_why_they_were_cut_short() -> None:
    spec = JobSpec(
        "j", "q", "n", "m:f", b"", due_us=SECOND, life=JobLife(timeout_us=SECOND, executor="process")
    )
    history = [
        JobEnqueued(spec, b"", 0),
        JobReady("j", 2 * SECOND, "due"),
        JobStarted("j", 1, 1, 3 * SECOND),
        AttemptTimedOut("j", 1, 4 * SECOND, SECOND),
        JobRetrying("j", 1, "TimeoutError", "", 4 * SECOND, 6 * SECOND),
        JobReady("j", 6 * SECOND, "due"),
        JobStarted("j", 2, 1, 6 * SECOND),
        AttemptInterrupted("j", 2, 7 * SECOND, True, "process ended"),
        JobStarted("j", 3, 2, 9 * SECOND),
        JobCancelled("j", 3, 9 * SECOND, "cancelled by a caller"),
    ]
    told = [(each.outcome, each.waited.total_seconds(), each.executor) for each in attempts_of(history)]
    assert told == [("timed out", 1, "process"), ("interrupted", 0, "process"), ("cancelled", 2, "process")]
