"""One contract for threads, the event loop, processes, pools: what a job becomes does not depend on where it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import AttemptRefused, AttemptTimedOut, JobStarted
from actors.runtime.clock import VirtualClock
from logistics import (
    Job,
    JobCancelledError,
    JobFailedError,
    JobScheduler,
    JobStatus,
    OrchestrationEngine,
    Queue,
)
from tests.faults import ways
from tests.faults.test_running_jobs import PATIENCE_S, appears
from tests.logistics.task.support import pass_time


@pytest.fixture(params=["thread", "loop", "process", "loky"])
def way(request: pytest.FixtureRequest) -> str:
    """Where jobs run."""
    found: str = request.param
    return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(clock: VirtualClock, way: str) -> Iterator[Queue]:
    with OrchestrationEngine(":memory:", workers=1, clock=clock, executor=executor_of(way)) as engine:
        scheduler = JobScheduler(engine=engine)
        scheduler.start("work")
        yield Queue("work", engine=engine)
        scheduler.stop()
        engine.close(0)


def executor_of(way: str) -> str:
    return way if way in ("process", "loky") else "thread"


def a_job(way: str, name: str, *args: Any, **more: Any) -> Job:
    """Return a job for this way of running it, tried once."""
    func = getattr(ways, name if way != "loop" else f"{name}_async")
    return Job(name, func, args, **{"max_retries": 0, **more})


def run(queue: Queue, job: Job) -> Any:
    return queue.result(queue.enqueue(job), PATIENCE_S)


def goes_on(queue: Queue, way: str) -> bool:
    """Whether the only worker takes the next job."""
    return bool(run(queue, a_job(way, "add", 1, 2)) == 3)


def events(queue: Queue, job_id: str, kind: type[Any]) -> list[Any]:
    return [event for _, event in queue.engine.history(f"job:{job_id}") if isinstance(event, kind)]


def test_a_success_gives_its_result(queue: Queue, way: str) -> None:
    assert run(queue, a_job(way, "add", 1, 2)) == 3


def test_a_job_finds_its_own_engine_or_is_told_that_it_cannot_have_it(
    queue: Queue, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "another"))
    if executor_of(way) == "thread":
        assert run(queue, a_job(way, "queue_here")) == ":memory:"
    else:
        with pytest.raises(JobFailedError, match="code in a process cannot use the engine that runs it"):
            run(queue, a_job(way, "queue_here"))
    assert not (tmp_path / "another").exists()


def test_a_failure_is_told_with_its_traceback_and_tried_again(queue: Queue, way: str) -> None:
    job_id = queue.enqueue(a_job(way, "fail", max_retries=1, retry_delay=0))
    with pytest.raises(JobFailedError, match="ValueError: no"):
        queue.result(job_id, PATIENCE_S)
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.attempts) == (JobStatus.FAILED, 2)
    assert 'raise ValueError("no")' in str(job.traceback)
    assert goes_on(queue, way)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("leave", "SystemExit: 3"),
        ("give_handle", "PayloadError: .*Handle cannot be stored"),
        ("raise_handle", "HandleError: the handle is broken"),
    ],
)
def test_f69_f70_what_cannot_be_passed_on_is_told_as_text(
    queue: Queue, way: str, name: str, error: str
) -> None:
    with pytest.raises(JobFailedError, match=error):
        run(queue, a_job(way, name))
    assert goes_on(queue, way)


def test_progress_is_seen_while_the_job_runs(queue: Queue, way: str, tmp_path: Path) -> None:
    job_id = queue.enqueue(a_job(way, "report", str(tmp_path)))
    appears(tmp_path / "begun-1")
    until(lambda: progress_of(queue, job_id) == (1, 2, "half"))
    (tmp_path / "go").touch()
    assert queue.result(job_id, PATIENCE_S) == "went"


def test_f73_f74_an_attempt_that_takes_too_long_is_given_up_and_its_end_refused(
    queue: Queue, way: str, clock: VirtualClock, tmp_path: Path
) -> None:
    job_id = queue.enqueue(a_job(way, "stay", str(tmp_path), timeout=5))
    appears(tmp_path / "begun-1")
    pass_time(queue.engine, clock, 5)
    with pytest.raises(JobFailedError, match="TimeoutError: attempt 1 did not end within 5 s"):
        queue.result(job_id, PATIENCE_S)
    check_given_up(queue, way, job_id, tmp_path)


def test_f73_a_cancelled_attempt_is_told_and_gives_its_worker_back(
    queue: Queue, way: str, tmp_path: Path
) -> None:
    job_id = queue.enqueue(a_job(way, "stay", str(tmp_path)))
    appears(tmp_path / "begun-1")
    assert queue.cancel(job_id)
    with pytest.raises(JobCancelledError):
        queue.result(job_id, PATIENCE_S)
    check_given_up(queue, way, job_id, tmp_path)


def check_given_up(queue: Queue, way: str, job_id: str, folder: Path) -> None:
    """Check that the function was told, or its process ended, that its end is refused once, and others go on."""
    assert goes_on(queue, way)
    until(lambda: len(events(queue, job_id, AttemptRefused)) == 1)
    if way in ("thread", "loop"):
        appears(folder / "told")
    assert len(events(queue, job_id, JobStarted)) == 1


def test_who_falls_silent_is_given_up_and_who_gives_signs_of_life_is_not(
    queue: Queue, way: str, clock: VirtualClock, tmp_path: Path
) -> None:
    silent = queue.enqueue(a_job(way, "stay", str(tmp_path), heartbeat=5))
    until(lambda: progress_of(queue, silent) is not None)
    pass_time(queue.engine, clock, 5)
    with pytest.raises(JobFailedError, match="TimeoutError: attempt 1 gave no sign of life for 5 s"):
        queue.result(silent, PATIENCE_S)
    alive = queue.enqueue(a_job(way, "beat", str(tmp_path), heartbeat=5, timeout=60))
    until(lambda: progress_of(queue, alive) is not None)
    for _ in range(4):
        (tmp_path / "begun-1").unlink(missing_ok=True)
        clock.advance(3_000_000)
        appears(tmp_path / "begun-1")
        until(lambda: clock.now_us() in queue.engine.store.runtime.signals.beats.values())
        queue.engine.store.runtime.nudge("queue")
    (tmp_path / "go").touch()
    assert queue.result(alive, PATIENCE_S) == "went"
    assert events(queue, alive, AttemptTimedOut) == []


def test_closing_gives_back_what_runs_at_nobody_s_charge(way: str, tmp_path: Path) -> None:
    engine = OrchestrationEngine(tmp_path / "store", workers=1, executor=executor_of(way))
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(a_job(way, "stay", str(tmp_path)))
    JobScheduler(engine=engine).start("work")
    appears(tmp_path / "begun-1")
    engine.close(0)
    with OrchestrationEngine(tmp_path / "store") as again:
        job = Queue("work", engine=again).get_job(job_id)
        assert job is not None
        assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


def progress_of(queue: Queue, job_id: str) -> tuple[float, float | None, str] | None:
    job = queue.get_job(job_id)
    said = None if job is None else job.progress
    return None if said is None else (said.done, said.total, said.message)


def until(condition: Callable[[], bool]) -> None:
    """Look again and again until something is so."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came to be")
