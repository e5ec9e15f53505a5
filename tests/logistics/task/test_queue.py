"""The queue as its users see it, in memory and on disk."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import JobCompleted, JobFailed
from actors.queue.specs import JobStatus
from actors.runtime.clock import VirtualClock
from logistics.errors import (
    ConflictingIdError,
    FunctionError,
    InputError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    LeaseLostError,
    PayloadError,
    WouldDeadlockError,
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

ONCE: dict[str, Any] = {"max_retries": 0}
AT_ONCE: dict[str, Any] = {"max_retries": 3, "retry_delay": 0}


def process(queue: Queue) -> ProcessSummary:
    return JobScheduler().process(queue)


def finished(queue: Queue, job: Job) -> Job:
    """The job as it is once all is done."""
    job_id = queue.enqueue(job)
    process(queue)
    ended = queue.get_job(job_id)
    assert ended is not None
    return ended


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


# -- failures ----------------------------------------------------------------------------------------------


def test_a_failing_job_is_tried_again_until_it_succeeds(queue: Queue) -> None:
    job_id = queue.enqueue(Job("flaky", do.fail_until, (3,), **AT_ONCE))
    assert process(queue) == (1, 0, 2)
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.result, job.attempts, job.error) == (3, 3, None)


def test_after_the_last_try_it_is_failed_with_error_and_traceback_until_retried(
    queue: Queue, notes: Notes
) -> None:
    job_id = queue.enqueue(Job("bad", do.fail, ("on purpose",), **AT_ONCE))
    assert process(queue) == (0, 1, 3)
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.attempts, job.error) == ("FAILED", 4, "ValueError: on purpose")
    assert job.traceback is not None
    assert "in fail\n    raise ValueError(text)\nValueError: on purpose" in job.traceback
    with pytest.raises(JobFailedError, match=f"job {job_id} failed: ValueError: on purpose") as caught:
        queue.result(job_id)
    assert (caught.value.job_id, caught.value.error) == (job_id, "ValueError: on purpose")
    assert caught.value.traceback == job.traceback
    queue.retry(job_id)
    assert queue.get_status(job_id) == "PENDING"
    assert process(queue) == (0, 1, 3)
    assert len(notes.lines) == 8


def test_the_delay_before_the_next_try_is_waited_for(queue: Queue, clock: VirtualClock) -> None:
    job_id = queue.enqueue(Job("flaky", do.fail_until, (2,), max_retries=1, retry_delay=10))
    retrying = watched(queue.engine, "job.retrying")
    JobScheduler(engine=queue.engine).start(queue)
    retrying()
    assert queue.get_status(job_id) == "RETRYING"
    assert queue.get_stats()["scheduled_count"] == 1
    pass_time(queue.engine, clock, 10)
    assert queue.result(job_id, timeout=PATIENCE_S) == 2


def watched(engine: OrchestrationEngine, tag: str) -> Callable[[], None]:
    """Return a call that waits for the next event of a kind."""
    happened = threading.Event()
    engine.subscribe(tag, lambda _event, _position: happened.set())

    def wait() -> None:
        assert happened.wait(PATIENCE_S)

    return wait


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (do.raise_system_exit, "SystemExit: 3"),
        (do.raise_keyboard_interrupt, "KeyboardInterrupt: "),
        (do.raise_generator_exit, "GeneratorExit: gone"),
        (do.raise_base_exception, "Unruly: unruly"),
        (do.raise_mute, "Mute: (its text cannot be made)"),
        (do.raise_unpicklable, "Unpicklable: handle"),
        (do.raise_surrogate, "ValueError: bad \\ud800 text"),
        (do.raise_group, "ExceptionGroup: many (2 sub-exceptions)"),
        (do.fail_later, "ValueError: later"),
    ],
)
def test_whatever_a_function_raises_ends_its_own_attempt_only(
    queue: Queue, function: Callable[[], Any], error: str
) -> None:
    bad = queue.enqueue(Job("bad", function, **ONCE))
    good = queue.enqueue(Job("good", do.add, (1, 2)))
    assert process(queue) == (1, 1, 0)
    failed = queue.get_job(bad)
    assert failed is not None
    assert (failed.status, failed.error) == ("FAILED", error)
    assert queue.result(good) == 3


def test_long_errors_and_endless_recursion_are_cut_to_size(queue: Queue) -> None:
    long = finished(queue, Job("long", do.raise_long, **ONCE))
    assert long.error is not None
    assert len(long.error) < 11_000
    deep = finished(queue, Job("deep", do.recurse, **ONCE))
    assert deep.error is not None
    assert deep.error.startswith("RecursionError: ")
    assert len(deep.traceback or "") < 11_000


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (do.return_lock, "PayloadError: result: lock cannot be stored"),
        (do.return_self, "PayloadError: result['loop'][0]: contains itself; plain data is a tree"),
        (do.return_big_int, "PayloadError: result: 18446744073709551616 does not fit into 64 bits"),
        (do.return_surrogate, "PayloadError: result: the text has a lone surrogate"),
        (do.return_much, "PayloadError: result take 2097157 bytes, the limit is 1048576 bytes"),
        (do.return_deep, "PayloadError: result"),
        (do.return_generator, "PayloadError: result: generator cannot be stored"),
    ],
)
def test_a_result_that_cannot_be_stored_fails_its_job(
    queue: Queue, function: Callable[[], Any], error: str
) -> None:
    failed = finished(queue, Job("bad", function, **ONCE))
    assert failed.status == "FAILED"
    assert failed.error is not None
    assert failed.error.startswith(error)


# -- kinds of functions --------------------------------------------------------------------------------------


def test_coroutine_functions_and_methods_of_classes_are_functions(queue: Queue) -> None:
    assert finished(queue, Job("async", do.later, (1, 2))).result == 3
    assert finished(queue, Job("static", do.Holder.static, (1,))).result == 2
    assert finished(queue, Job("class", do.Holder.of_class, (1,))).result == "Holder1"
    assert finished(queue, Job("builtin", sum, ([1, 2],))).result == 3


def test_what_no_name_leads_back_to_is_refused_where_it_is_enqueued(queue: Queue) -> None:
    for function in (lambda: 1, do.Holder().bound, do.Holder, do.Notes().wait_begun):
        with pytest.raises(FunctionError, match="expected a function that can be found by name"):
            queue.enqueue(Job("bad", function))
    assert queue.get_stats()["total_jobs"] == 0


MODULE = "vanishing_module_of_a_test"


@pytest.fixture
def vanishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be taken away and put back."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / f"{MODULE}.py"
    path.write_text("def work() -> str:\n    return 'back again'\n", encoding="utf-8")
    return path


def forget_module() -> None:
    sys.modules.pop(MODULE, None)
    importlib.invalidate_caches()


def test_a_function_that_vanishes_parks_its_jobs_until_it_is_back(open_engine: Open, vanishing: Path) -> None:
    engine = open_engine()
    forget_module()
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("gone", importlib.import_module(MODULE).work, **ONCE))
    other = queue.enqueue(Job("there", do.add, (1, 2)))
    engine.close()
    text = vanishing.read_text(encoding="utf-8")
    vanishing.unlink()
    forget_module()
    for _ in range(3):
        engine = open_engine()
        queue = Queue("work", engine=engine)
        process(queue)
        assert queue.result(other) == 3
        parked = queue.get_job(job_id)
        assert parked is not None
        assert (parked.status, parked.attempts) == ("UNRESOLVED", 0)
        assert parked.error is not None
        assert f"importing '{MODULE}' raised ModuleNotFoundError" in parked.error
        assert queue.get_stats()["unresolved"] == 1
        with pytest.raises(TimeoutError):
            queue.result(job_id, timeout=0)
        engine.close()
    vanishing.write_text(text, encoding="utf-8")
    forget_module()
    queue = Queue("work", engine=open_engine())
    assert process(queue) == (1, 0, 0)
    assert queue.result(job_id) == "back again"
    forget_module()


def test_a_module_that_will_not_be_imported_parks_its_jobs(open_engine: Open, vanishing: Path) -> None:
    engine = open_engine()
    forget_module()
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("gone", importlib.import_module(MODULE).work, **ONCE))
    engine.close()
    vanishing.write_text("raise SystemExit('not today')\n", encoding="utf-8")
    forget_module()
    queue = Queue("work", engine=open_engine())
    process(queue)
    parked = queue.get_job(job_id)
    assert parked is not None
    assert parked.status == "UNRESOLVED"
    assert "SystemExit: not today" in (parked.error or "")
    forget_module()


# -- by hand -------------------------------------------------------------------------------------------------


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


# -- cancelling, pausing, clearing ---------------------------------------------------------------------------


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


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Call something on a thread; return a call that waits for what it came to."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:  # noqa: BLE001 -- raised again below
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Any:
        thread.join(PATIENCE_S)
        (result,) = outcome
        if isinstance(result, Exception):
            raise result
        return result

    return wait


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
    for function in (do.wait_for_another, do.process_another):
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


def test_the_default_engine_inside_a_job_is_the_one_that_runs_it(engine: OrchestrationEngine) -> None:
    queue = Queue("work", engine=engine)
    assert finished(queue, Job("where", do.engine_path)).result == engine.path
    assert finished(queue, Job("close", do.close_default)).result == "closed"
    assert finished(queue, Job("where", do.engine_path)).status == "COMPLETED"


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
