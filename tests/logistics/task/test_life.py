"""Jobs against the clock: timeouts, expiry, and functions that are told to stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import pytest

from actors.clock.messages import GetNextWake
from actors.queue.events import AttemptRefused, AttemptTimedOut
from actors.runtime.clock import VirtualClock
from logistics import (
    AttemptContext,
    InputError,
    Job,
    JobCancelledError,
    JobExpiredError,
    JobFailedError,
    JobScheduler,
    JobStatus,
    OrchestrationEngine,
    Queue,
    ResultExpiredError,
    Retry,
    Snooze,
)
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Current, Notes
from tests.logistics.task.support import pass_time


def until_cancelled(ctx: AttemptContext) -> str:
    """Work on until nobody wants it any more."""
    notes = Current.notes
    notes.begun.release()
    while not ctx.cancelled:
        notes.go_on.wait(0.001)
    notes.lines.append("stopped")
    notes.begun.release()
    return "too late"


@pytest.fixture
def scheduler(engine: OrchestrationEngine) -> JobScheduler:
    return JobScheduler(engine=engine)


def test_f73_a_job_that_never_ends_is_given_up_and_its_worker_made_up_for(
    open_engine: Open, clock: VirtualClock, notes: Notes
) -> None:
    engine = open_engine(workers=1)
    queue = Queue("work", engine=engine)
    scheduler = JobScheduler(engine=engine)
    hangs = queue.enqueue(Job("hangs", do.gated, ("late",), timeout=30, max_retries=0))
    next_one = queue.enqueue(Job("next", do.add, (1, 2)))
    scheduler.start("work")
    notes.wait_begun()
    assert queue.get_status(next_one) is JobStatus.PENDING
    pass_time(engine, clock, 30)
    with pytest.raises(JobFailedError, match="TimeoutError: attempt 1 did not end within 30 s"):
        queue.result(hangs, PATIENCE_S)
    assert queue.result(next_one, PATIENCE_S) == 3
    assert engine.get_metrics()["workers_abandoned"] == 1
    assert [type(event) for _, event in engine.history(f"job:{hangs}")].count(AttemptTimedOut) == 1
    refused: SimpleQueue[Any] = SimpleQueue()
    engine.subscribe("attempt.refused", lambda event, _position: refused.put(event))
    notes.go_on.set()
    event = refused.get(timeout=PATIENCE_S)
    assert isinstance(event, AttemptRefused)
    assert (event.job_id, event.attempt, event.outcome) == (hangs, 1, "ok")
    assert engine.get_metrics()["workers_abandoned"] == 0


def test_a_function_sees_that_its_job_was_cancelled(
    queue: Queue, scheduler: JobScheduler, notes: Notes
) -> None:
    job_id = queue.enqueue(Job("works", until_cancelled))
    scheduler.start("work")
    notes.wait_begun()
    assert queue.cancel(job_id)
    notes.wait_begun()
    scheduler.stop()
    assert notes.lines == ["stopped"]
    with pytest.raises(JobCancelledError):
        queue.result(job_id)


def test_a_function_sees_that_it_has_taken_too_long(
    queue: Queue, scheduler: JobScheduler, notes: Notes, clock: VirtualClock
) -> None:
    job_id = queue.enqueue(Job("works", until_cancelled, timeout=timedelta(seconds=5), max_retries=0))
    scheduler.start("work")
    notes.wait_begun()
    pass_time(queue.engine, clock, 5)
    notes.wait_begun()
    scheduler.stop()
    with pytest.raises(JobFailedError, match="TimeoutError"):
        queue.result(job_id, PATIENCE_S)


def test_a_job_that_is_in_time_is_not_bothered(queue: Queue, scheduler: JobScheduler) -> None:
    job_id = queue.enqueue(Job("sum", do.add, (1, 2), timeout=5, expires=60))
    scheduler.process(queue)
    assert queue.result(job_id) == 3


@pytest.mark.parametrize("relative", [True, False])
def test_a_job_that_nobody_starts_in_time_expires(
    queue: Queue, clock: VirtualClock, scheduler: JobScheduler, *, relative: bool
) -> None:
    at = datetime.fromtimestamp(clock.now_us() / 1e6, UTC) + timedelta(seconds=60)
    job_id = queue.enqueue(Job("news", do.note, ("old",), expires=60 if relative else at))
    found = queue.get_job(job_id)
    assert found is not None
    assert found.expires == at
    pass_time(queue.engine, clock, 60)
    with pytest.raises(JobExpiredError, match=f"job {job_id} was not started in time"):
        queue.result(job_id, PATIENCE_S)
    scheduler.process(queue)
    assert queue.get_status(job_id) is JobStatus.EXPIRED
    assert queue.get_stats()["expired"] == 1
    assert Current.notes.lines == []
    with pytest.raises(JobExpiredError):
        queue.result(job_id)
    queue.retry(job_id)
    scheduler.process(queue)
    assert queue.result(job_id) == "old"


def test_a_job_expires_while_nobody_has_the_store_open(open_engine: Open, clock: VirtualClock) -> None:
    engine = open_engine()
    job_id = Queue("work", engine=engine).enqueue(Job("news", do.note, ("old",), expires=60))
    engine.close()
    clock.advance(61_000_000)
    again = Queue("work", engine=open_engine())
    with pytest.raises(JobExpiredError):
        again.result(job_id, PATIENCE_S)


def test_a_job_says_how_long_it_may_live(queue: Queue) -> None:
    job = queue.get_job(queue.enqueue(Job("sum", do.add, timeout=2.5)))
    assert job is not None
    assert (job.timeout, job.expires) == (2.5, None)


@pytest.mark.parametrize("bad", [0, -1, "5", float("nan"), True])
def test_a_life_that_makes_no_sense_is_refused(bad: object) -> None:
    with pytest.raises(InputError, match="timeout: expected"):
        Job("sum", do.add, timeout=bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expires: expected"):
        Job("sum", do.add, expires=bad)  # type: ignore[arg-type]


def test_an_expiry_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="has no zone"):
        Job("sum", do.add, expires=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_job_that_would_expire_before_its_time_is_refused(queue: Queue) -> None:
    with pytest.raises(InputError, match="would expire before"):
        queue.schedule(Job("news", do.note, ("old",), expires=60), 60)
    assert queue.get_stats()["total_jobs"] == 0


# -- progress and signs of life --------------------------------------------------------------------------


def reports(ctx: AttemptContext) -> str:
    notes = Current.notes
    ctx.progress(3, total=10, message="rows")
    notes.begun.release()
    assert notes.go_on.wait(PATIENCE_S)
    ctx.heartbeat()
    return "done"


def test_progress_is_seen_by_others_at_once_and_gone_when_it_is_over(
    queue: Queue, scheduler: JobScheduler, notes: Notes
) -> None:
    job_id = queue.enqueue(Job("reports", reports))
    scheduler.start("work")
    notes.wait_begun()
    job = queue.get_job(job_id)
    assert job is not None
    assert job.progress is not None
    assert (job.progress.done, job.progress.total, job.progress.message) == (3, 10, "rows")
    notes.go_on.set()
    assert queue.result(job_id, PATIENCE_S) == "done"
    scheduler.stop()
    job = queue.get_job(job_id)
    assert job is not None
    assert job.progress is None


def test_a_job_that_falls_silent_is_given_up(
    queue: Queue, scheduler: JobScheduler, notes: Notes, clock: VirtualClock
) -> None:
    job_id = queue.enqueue(Job("silent", reports, heartbeat=10, max_retries=0))
    scheduler.start("work")
    notes.wait_begun()
    pass_time(queue.engine, clock, 10)
    with pytest.raises(JobFailedError, match="gave no sign of life for 10 s"):
        queue.result(job_id, PATIENCE_S)
    notes.go_on.set()
    scheduler.stop()


def test_a_job_that_falls_silent_after_the_clock_was_set_back_is_given_up_at_its_time(
    queue: Queue, scheduler: JobScheduler, notes: Notes, clock: VirtualClock
) -> None:
    runtime = queue.engine.store.runtime
    job_id = queue.enqueue(Job("silent", reports, heartbeat=10, max_retries=0))
    scheduler.start("work")
    notes.wait_begun()
    (key,) = runtime.signals.beats
    clock.jump(-3_600_000_000)
    runtime.nudge("clock")
    queue.engine.query("clock", GetNextWake())  # it notices that, and wakes the queue
    queue.get_stats()
    runtime.signals.beat(key, clock.now_us())
    ended = queue.engine.watch(f"job:{job_id}")
    clock.advance(10_000_000)
    runtime.nudge("clock")
    assert "gave no sign of life for 10 s" in ended.get(PATIENCE_S).error, "and nobody has asked the queue"
    notes.go_on.set()
    scheduler.stop()


def reports_nonsense(ctx: AttemptContext) -> None:
    ctx.progress("three")  # type: ignore[arg-type]


def test_progress_that_is_no_number_is_refused(queue: Queue, scheduler: JobScheduler) -> None:
    job_id = queue.enqueue(Job("nonsense", reports_nonsense, max_retries=0))
    scheduler.process(queue)
    with pytest.raises(JobFailedError, match="InputError: done: expected a number, got 'three'"):
        queue.result(job_id)


# -- what an exception means -----------------------------------------------------------------------------


def snoozes(times: int) -> int:
    lines = Current.notes.lines
    lines.append("called")
    if len(lines) <= times:
        raise Snooze(0.001)
    return len(lines)


def wants_another_try() -> int:
    lines = Current.notes.lines
    lines.append("called")
    if len(lines) == 1:
        raise Retry(after=0, reason="not there yet")
    return len(lines)


def is_no(error: BaseException) -> bool:
    return str(error) == "no"


def _run(queue: Queue, scheduler: JobScheduler, job: Job) -> Job:
    job_id = queue.enqueue(job)
    scheduler.process(queue)
    found = queue.get_job(job_id)
    assert found is not None
    return found


def test_a_job_that_wants_another_try_gets_it_whatever_its_delay(
    queue: Queue, scheduler: JobScheduler
) -> None:
    job = _run(queue, scheduler, Job("again", wants_another_try, retry_delay=3600))
    assert (job.status, job.result, job.attempts) == (JobStatus.COMPLETED, 2, 2)


def test_a_job_that_snoozes_waits_like_a_scheduled_one_and_is_not_charged(
    queue: Queue, scheduler: JobScheduler, clock: VirtualClock
) -> None:
    job = _run(queue, scheduler, Job("snoozes", snoozes, (1,), max_retries=0))
    assert (job.status, job.attempts) == (JobStatus.SCHEDULED, 0)
    scheduler.start("work")
    pass_time(queue.engine, clock, 1)
    assert queue.result(job.job_id or "", PATIENCE_S) == 2
    scheduler.stop()


@pytest.mark.parametrize("given", [{"retry_on": KeyError}, {"give_up_on": (OSError, is_no)}])
def test_what_is_not_worth_another_try_has_none(
    queue: Queue, scheduler: JobScheduler, given: dict[str, Any]
) -> None:
    job = _run(queue, scheduler, Job("fails", do.fail, **given))
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)


def test_what_is_worth_another_try_has_it(queue: Queue, scheduler: JobScheduler) -> None:
    job = _run(
        queue, scheduler, Job("fails", do.fail_until, (3,), retry_on=(KeyError, ValueError), retry_delay=0)
    )
    assert (job.status, job.attempts) == (JobStatus.COMPLETED, 3)
    assert job.retry_on == ("builtins:KeyError", "builtins:ValueError")


@pytest.mark.parametrize("bad", [int, 5, "KeyError", [None]])
def test_conditions_that_make_no_sense_are_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="retry_on: expected exception types"):
        Job("fails", do.fail, retry_on=bad)


def test_a_result_is_kept_for_a_time(queue: Queue, scheduler: JobScheduler, clock: VirtualClock) -> None:
    job = _run(queue, scheduler, Job("sum", do.add, (1, 2), result_ttl=60))
    job_id = job.job_id or ""
    assert queue.result(job_id) == job.result == 3
    clock.advance(60_000_000)
    with pytest.raises(
        ResultExpiredError, match=f"the result of job {job_id} was kept for 1 minute and has expired"
    ):
        queue.result(job_id)
    late = queue.get_job(job_id)
    assert late is not None
    assert (late.status, late.result, late.result_ttl) == (JobStatus.COMPLETED, None, 60)
