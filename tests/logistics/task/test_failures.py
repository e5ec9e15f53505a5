"""Jobs that fail, and functions that cannot be found, or cannot even be enqueued."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import VirtualClock
from logistics.errors import (
    FunctionError,
    JobFailedError,
)
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import pass_time, watched

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
        (do.return_much, "PayloadError: the result takes 2097157 bytes, the limit is 1048576 bytes"),
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


@pytest.mark.parametrize("func", [do.fail, do.fail_later], ids=["thread", "coroutine"])
def test_a_traceback_begins_with_the_function(queue: Queue, func: Any) -> None:
    job_id = queue.enqueue(Job("fails", func, **ONCE))
    process(queue)
    job = queue.get_job(job_id)
    assert job is not None
    assert job.traceback is not None
    assert job.traceback.splitlines()[1].endswith(f"in {func.__name__}")


def test_a_traceback_of_what_was_refused_behind_the_function_is_there_all_the_same(queue: Queue) -> None:
    job_id = queue.enqueue(Job("gives", do.return_lock, **ONCE))
    process(queue)
    job = queue.get_job(job_id)
    assert job is not None
    assert "PayloadError" in str(job.traceback).splitlines()[-1]
    assert "File" in str(job.traceback)
