"""Tasks that depend on each other, on a queue that is served without anybody's doing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from actors.queue.messages import JobStatus
from logistics.errors import (
    ConflictingIdError,
    EngineClosedError,
    InputError,
    JobCancelledError,
    JobFailedError,
    UnknownIdError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.task_orchestrator import TaskOrchestrator, TaskResult
from logistics.task.job import Job
from tests.logistics.orchestration.steps import WAIT_S, Current, Signals


def note(name: str) -> str:
    Current.signals.note(name)
    return name


def wait(name: str) -> str:
    signals = Current.signals
    signals.note(name)
    signals.begun.set()
    assert signals.go_on.wait(WAIT_S)
    return name


def fail(name: str) -> NoReturn:
    Current.signals.note(name)
    raise ValueError(name)


def wait_and_fail(name: str) -> NoReturn:
    raise ValueError(wait(name))


def job(name: str, function: Any = note, **more: Any) -> Job:
    return Job(name, function, (name,), max_retries=0, **more)


@pytest.fixture
def tasks(engine: OrchestrationEngine) -> TaskOrchestrator:
    return TaskOrchestrator(engine=engine)


def test_a_task_runs_without_anybody_s_doing(tasks: TaskOrchestrator) -> None:
    assert tasks.execute_task(job("a")) == "a"
    task_id = tasks.submit_task(job("b"))
    assert tasks.wait_for_completion(WAIT_S) is True
    assert tasks.get_task_result(task_id) == TaskResult(task_id, JobStatus.COMPLETED, True, "b", None, 1)


def test_a_task_runs_once_all_it_depends_on_have_completed(tasks: TaskOrchestrator, signals: Signals) -> None:
    first = tasks.submit_task(job("first", wait))
    second = tasks.submit_task(job("second"), depends_on=[first])
    third = tasks.submit_task(job("third"), depends_on=(second, first, first))
    assert signals.begun.wait(WAIT_S)
    assert tasks.wait_for_completion(0) is False
    waiting = tasks.get_task_result(third)
    assert waiting is not None
    assert (waiting.status, waiting.success, waiting.result) == ("PENDING", False, None)
    signals.go_on.set()
    assert tasks.wait_for_completion() is True
    assert signals.calls == ["first", "second", "third"]
    assert [each.status for each in tasks.list_tasks()] == ["COMPLETED"] * 3


def test_what_depends_on_a_task_that_fails_is_cancelled(tasks: TaskOrchestrator, signals: Signals) -> None:
    bad = tasks.submit_task(job("bad", wait_and_fail))
    after = tasks.submit_task(job("after"), depends_on=[bad])
    signals.go_on.set()
    assert tasks.wait_for_completion(WAIT_S)
    failed, cancelled = tasks.get_task_result(bad), tasks.get_task_result(after)
    assert failed is not None
    assert cancelled is not None
    assert (failed.status, failed.success, failed.error) == ("FAILED", False, "ValueError: bad")
    assert (cancelled.status, cancelled.success, cancelled.attempts) == ("CANCELLED", False, 0)
    assert signals.calls == ["bad"]
    with pytest.raises(InputError, match=f"is to run after {bad!r}, which is FAILED"):
        tasks.submit_task(job("late"), depends_on=[bad])


def test_executing_a_task_raises_as_it_failed(tasks: TaskOrchestrator) -> None:
    with pytest.raises(JobFailedError, match="ValueError: bad"):
        tasks.execute_task(job("bad", fail))


def test_cancelling_a_task_cancels_what_depends_on_it(tasks: TaskOrchestrator, signals: Signals) -> None:
    first = tasks.submit_task(job("first", wait))
    second = tasks.submit_task(job("second"), depends_on=[first])
    assert signals.begun.wait(WAIT_S)
    assert tasks.cancel_task(first) is True
    assert tasks.cancel_task(first) is False
    assert tasks.cancel_task("never") is False
    result = tasks.get_task_result(second)
    assert result is not None
    assert result.status == "CANCELLED"
    with pytest.raises(JobCancelledError):
        tasks._queue.result(second)


def test_unknown_dependencies_are_refused(tasks: TaskOrchestrator) -> None:
    with pytest.raises(UnknownIdError, match="is to run after 'never', which is not on record"):
        tasks.submit_task(job("a"), depends_on=["never"])
    for wrong in ("text", 7, None):
        with pytest.raises(InputError, match=r"^depends_on: expected a list or tuple of ids, got "):
            tasks.submit_task(job("a"), depends_on=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^depends_on: expected 1 to 200 of the characters"):
        tasks.submit_task(job("a"), depends_on=["a b"])
    with pytest.raises(InputError, match=r"^job: expected a Job, got 'a'"):
        tasks.submit_task("a")  # type: ignore[arg-type]
    assert tasks.list_tasks() == []


def test_submitting_again_with_the_same_id_makes_one_task(tasks: TaskOrchestrator, signals: Signals) -> None:
    for _ in range(2):
        assert tasks.submit_task(job("a", job_id="a")) == "a"
        assert tasks.submit_task(job("b", job_id="b"), depends_on=["a"]) == "b"
        assert tasks.wait_for_completion(WAIT_S)
    assert signals.calls == ["a", "b"]
    with pytest.raises(ConflictingIdError):
        tasks.submit_task(job("b", job_id="b"))


def test_what_is_unknown_is_none(tasks: TaskOrchestrator) -> None:
    assert tasks.get_task_result("never") is None
    assert tasks.list_tasks() == []


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True])
def test_a_bad_timeout_is_refused(tasks: TaskOrchestrator, timeout: Any) -> None:
    with pytest.raises(InputError, match=r"^timeout: expected "):
        tasks.wait_for_completion(timeout)


def test_a_closed_orchestrator_serves_no_more(engine: OrchestrationEngine) -> None:
    with TaskOrchestrator(engine=engine) as tasks:
        tasks.execute_task(job("a"))
    tasks.close()
    waiting = tasks.submit_task(job("b"))
    result = tasks.get_task_result(waiting)
    assert result is not None
    assert result.status == "PENDING"
    with TaskOrchestrator(engine=engine) as again:
        assert [each.name for each in again.list_tasks()] == ["b"]
        assert again.wait_for_completion(WAIT_S) is True


def test_tasks_go_on_after_a_restart(tmp_path: Path, signals: Signals) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine, TaskOrchestrator(engine=engine) as tasks:
        engine.store.unserve(tasks._key)
        first = tasks.submit_task(job("first"))
        tasks.submit_task(job("second"), depends_on=[first])
    with OrchestrationEngine(tmp_path / "store") as engine, TaskOrchestrator(engine=engine) as tasks:
        assert [each.name for each in tasks.list_tasks()] == ["first", "second"]
        assert tasks.wait_for_completion(WAIT_S) is True
    assert signals.calls == ["first", "second"]


def outer() -> bool:
    """Use tasks inside a task, on the engine that runs it."""
    with TaskOrchestrator() as tasks:
        return bool(tasks.execute_task(job("inner")) == "inner")


def test_a_task_may_use_tasks(tasks: TaskOrchestrator) -> None:
    assert tasks.execute_task(Job("outer", outer, max_retries=0)) is True


def test_waiting_is_told_when_the_engine_closes(tasks: TaskOrchestrator, signals: Signals) -> None:
    tasks.submit_task(job("slow", wait))
    assert signals.begun.wait(WAIT_S)
    outcome: list[BaseException] = []
    waits = threading.Event()

    def wait_for_all() -> None:
        waits.set()
        try:
            tasks.wait_for_completion()
        except EngineClosedError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait_for_all)
    thread.start()
    assert waits.wait(WAIT_S)
    tasks.engine.close(grace=0)
    thread.join(WAIT_S)
    assert len(outcome) == 1
