"""Jobs that are parked, moved, or the last ones of their queue: taken up again, given up, put elsewhere, drained."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial

import pytest

from actors.queue.messages import EnqueueJobs, ListJobs
from actors.queue.specs import JobSpec
from actors.runtime.clock import VirtualClock
from actors.runtime.values import encode_call
from logistics import (
    DuplicateJobError,
    InputError,
    JobCancelledError,
    JobNotFoundError,
    QueueDrainingError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task import listing
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open


def process(queue: Queue) -> None:
    JobScheduler(engine=queue.engine).process(queue)


def failed(queue: Queue, count: int = 1) -> list[str]:
    ids = queue.enqueue_many(Job(f"job {n % 2}", do.fail, max_retries=0) for n in range(count))
    process(queue)
    return ids


def test_a_job_that_failed_can_be_given_up_and_still_be_taken_up_again(queue: Queue) -> None:
    (job_id,) = failed(queue)
    queue.discard(job_id)
    queue.discard(job_id)
    stats = queue.get_stats()
    assert (stats["failed"], stats["cancelled"], stats["total_jobs"]) == (0, 1, 1)
    assert [entry.event for entry in queue.get_history(job_id)][-1] == "job.discarded"
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.error) == ("CANCELLED", "ValueError: no")
    assert job.finished_at is not None
    with pytest.raises(JobCancelledError, match="discarded by a caller"):
        queue.result(job_id)
    queue.retry(job_id)
    assert queue.get_status(job_id) == "PENDING"


def test_to_enqueue_what_is_over_is_refused_with_the_way_to_have_it_done_again(queue: Queue) -> None:
    ids = queue.enqueue_many([Job("good", do.add), Job("bad", do.fail, max_retries=0)])
    good, bad = map(queue.get_job, ids)
    assert good is not None
    assert queue.enqueue(good) == ids[0], "it waits, as it did"
    JobScheduler().process(queue)
    assert queue.enqueue(good) == ids[0], "it was read back before it ended: whoever repeats is safe"
    for job_id, advice in zip(ids, ("a new Job does it", rf"retry\('{ids[1]}'\) takes it up"), strict=True):
        job = queue.get_job(job_id)
        assert job is not None
        with pytest.raises(InputError, match=rf"job {job_id} is [A-Z]+: .* changes nothing; {advice}"):
            queue.enqueue_many([Job("other", do.add), job])
    assert queue.size() == 0
    assert bad is not None
    queue.retry(ids[1])
    assert Queue("elsewhere", backend="memory").enqueue(bad) == ids[1], "another store has not heard of it"


def test_only_what_is_parked_can_be_given_up(queue: Queue) -> None:
    waiting, done = queue.enqueue(Job("waits", do.add)), queue.enqueue(Job("done", do.add, priority=1))
    with pytest.raises(
        InputError, match="is PENDING; only a failed, cancelled or expired job can be discarded"
    ):
        queue.discard(waiting)
    process(queue)
    with pytest.raises(InputError, match="is COMPLETED"):
        queue.discard(done)
    with pytest.raises(JobNotFoundError, match="no job 'none' in queue 'work'"):
        queue.discard("none")


def test_a_job_whose_function_is_gone_can_be_given_up(queue: Queue) -> None:
    gone = JobSpec("gone", "work", "gone", "no.such.module:f", encode_call((), {}))
    queue.engine.send(EnqueueJobs(jobs=(gone,)))
    process(queue)
    assert queue.get_status("gone") == "UNRESOLVED"
    queue.discard("gone")
    assert queue.get_status("gone") == "CANCELLED"


def test_many_are_taken_up_again_a_thousand_at_a_time_and_one_is_told_how_far_it_has_come(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MANY", 4)
    ids = failed(queue, 10)
    for job_id in ids[:3]:
        queue.discard(job_id)
    before = queue.engine.store.runtime.journal.watermark
    told: list[tuple[int, int]] = []
    assert queue.retry_all(progress=lambda *far: told.append(far)) == 7
    assert told == [(4, 7), (7, 7)]
    assert queue.engine.query("queue", ListJobs("work")) == tuple(ids[3:]), "first in, first out"
    assert queue.engine.store.runtime.journal.watermark == before + 7, "nothing else was recorded"
    assert queue.retry_all(status=["CANCELLED", "EXPIRED"], name="job 1") == 1
    assert queue.get_stats()["pending"] == 8


class CutShortError(Exception):
    """The end of the process, in the middle of it."""


def cut_short(_done: int, _total: int) -> None:
    raise CutShortError


def test_what_was_cut_short_goes_on_when_it_is_said_again(
    open_engine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thousand is on record as soon as it was taken up, or moved, and is not meant by the same words any more."""
    monkeypatch.setattr(listing, "MANY", 4)
    with open_engine() as engine:
        ids = failed(Queue("work", engine=engine), 10)
    for say in (Queue.retry_all, partial(Queue.move_all, to="other")):
        with open_engine() as engine, pytest.raises(CutShortError):
            say(Queue("work", engine=engine), progress=cut_short)
        with open_engine() as engine:
            assert say(Queue("work", engine=engine)) == 6
    with open_engine() as engine:
        other = Queue("other", engine=engine)
        assert [job.job_id for job in other.list_jobs()] == ids[::-1]
        assert (other.get_stats()["pending"], Queue("work", engine=engine).get_stats()["failed"]) == (10, 0)


def test_those_with_one_unique_key_are_not_all_taken_up_again(queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(Job("one", do.fail, max_retries=0, unique_key="k"))
        process(queue)
    assert queue.get_stats()["failed"] == 3
    assert queue.retry_all() == 1


def test_a_job_that_waits_is_put_on_another_queue_and_runs_there(queue: Queue) -> None:
    other = Queue("other", engine=queue.engine)
    moved, stays = queue.enqueue(Job("moved", do.add, [1, 2])), queue.enqueue(Job("stays", do.add, [3, 4]))
    queue.move(moved, other)
    assert (len(queue), len(other)) == (1, 1)
    assert queue.get_job(moved) is None
    with pytest.raises(JobNotFoundError, match="in queue 'work'; it is in queue 'other'"):
        queue.result(moved)
    process(other)
    assert other.result(moved) == 3
    assert [job.job_id for job in other.list_jobs()] == [moved]
    assert [job.job_id for job in queue.list_jobs()] == [stays]
    with pytest.raises(InputError, match="it has ended"):
        other.move(moved, queue)


@pytest.mark.parametrize("where", ["work", 7, ""])
def test_a_job_is_not_put_on_what_is_no_other_queue(queue: Queue, where: str) -> None:
    job_id = queue.enqueue(Job("a", do.add))
    with pytest.raises(InputError, match="to: "):
        queue.move(job_id, where)
    with pytest.raises(InputError, match="to: queue 'work' is in another store"):
        queue.move(job_id, Queue("work", backend="memory"))
    assert queue.get_status(job_id) == "PENDING"


def test_all_that_wait_are_put_on_another_queue_in_their_order_with_their_times_and_keys(
    queue: Queue, clock: VirtualClock
) -> None:
    other = Queue("other", engine=queue.engine)
    ids = queue.enqueue_many(Job(f"job {n % 2}", do.add, [n, 0], priority=n // 4) for n in range(6))
    later = queue.schedule(Job("later", do.add), timedelta(hours=1))
    mine = queue.enqueue(Job("mine", do.add, unique_key="k"))
    theirs = other.enqueue(Job("theirs", do.add, unique_key="k"))
    held = queue.dequeue()
    assert held is not None
    assert queue.move_all(other, name="job 0") == 2
    assert queue.move_all(other, status="SCHEDULED") == 1
    assert queue.move_all(other) == 3
    assert queue.get_status(mine) == "PENDING", "another one has its key there"
    assert queue.get_status(str(held.job_id)) == "RUNNING"
    with pytest.raises(DuplicateJobError):
        queue.move(mine, other)
    taken = []
    while (job := other.dequeue()) is not None:
        taken.append(job.job_id)
    assert taken == [ids[5], theirs, ids[0], ids[2], ids[1], ids[3]]
    clock.advance(3600 * 1_000_000)
    queue.engine.store.runtime.nudge("queue")
    assert other.get_status(later) == "PENDING"


def test_moved_and_given_up_jobs_are_where_they_were_after_a_restart(open_engine: object) -> None:
    engine: OrchestrationEngine = open_engine()  # type: ignore[operator]
    queue, other = Queue("work", engine=engine), Queue("other", engine=engine)
    (gone,) = failed(queue)
    queue.discard(gone)
    moved = queue.enqueue(Job("moved", do.fail, max_retries=0))
    queue.move(moved, other)
    process(other)
    other.retry(moved)
    queue.drain(0, refuse_new=True)
    assert (queue.paused, queue.draining) == (False, True)
    engine.close()
    engine = open_engine()  # type: ignore[operator]
    queue, other = Queue("work", engine=engine), Queue("other", engine=engine)
    assert queue.get_status(gone) == "CANCELLED"
    assert other.get_status(moved) == "PENDING"
    assert queue.get_stats()["cancelled"] == 1
    with pytest.raises(QueueDrainingError):
        queue.enqueue(Job("no", do.add))


def test_a_queue_that_is_drained_takes_nothing_on_and_is_waited_for(queue: Queue) -> None:
    first = queue.enqueue(Job("first", do.fail, max_retries=0))
    process(queue)
    last = queue.enqueue(Job("last", do.add, [1, 1]))
    assert not queue.drain(timeout=0, refuse_new=True), "nobody serves it"
    other = Queue("other", engine=queue.engine)
    elsewhere = other.enqueue(Job("elsewhere", do.add))
    for refused in (
        lambda: queue.enqueue(Job("no", do.add)),
        lambda: queue.retry(first),
        lambda: other.move(elsewhere, queue),
    ):
        with pytest.raises(QueueDrainingError, match="takes no more jobs on until it is resumed"):
            refused()
    scheduler = JobScheduler(engine=queue.engine)
    scheduler.start(queue)
    assert queue.drain(timeout=do.PATIENCE_S)
    assert queue.result(last) == 2
    scheduler.stop()
    queue.resume()
    queue.enqueue(Job("again", do.add))


def test_to_read_a_result_nothing_is_imported(queue: Queue) -> None:
    """Nor to ask where a job stands, or to list them: what reads need not have what runs."""
    spec = JobSpec("far", "work", "far", "tests.logistics.task.far_away:f", encode_call((), {}))
    queue.engine.send(EnqueueJobs(jobs=(spec,)))
    job = queue.dequeue()
    assert job is not None
    queue.complete(job, 42)
    assert queue.result("far") == 42
    assert queue.get_status("far") == "COMPLETED"
    assert [each.job_id for each in queue.list_jobs(status="COMPLETED")] == ["far"]
    assert "tests.logistics.task.far_away" not in sys.modules


def test_jobs_are_listed_by_function_key_group_and_time(queue: Queue, clock: VirtualClock) -> None:
    early = queue.enqueue(Job("early", do.add, concurrency_key="k", group="g"))
    noon = queue.get_job(early)
    assert noon is not None
    clock.advance(10_000_000)
    late = queue.enqueue(Job("late", do.fail))
    since = noon.created_at and noon.created_at + timedelta(seconds=5)

    def listed(**wanted: object) -> list[str | None]:
        return [job.job_id for job in queue.list_jobs(**wanted)]  # type: ignore[arg-type]

    assert listed(func=do.fail) == listed(since=since) == [late]
    assert listed(concurrency_key="k") == listed(group="g") == listed(until=since) == [early]
    assert listed(status=["PENDING", "FAILED"]) == [late, early]
    with pytest.raises(InputError, match=r"since: .* has no zone"):
        queue.list_jobs(since=since and since.replace(tzinfo=None))
