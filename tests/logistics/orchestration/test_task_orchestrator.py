"""Tasks that depend on each other, on a queue that is served without anybody's doing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from actors.queue.messages import GetResources
from actors.queue.specs import SHARE, JobStatus
from actors.runtime.clock import VirtualClock
from actors.workflow.events import SessionReleased
from logistics.errors import (
    ConflictingIdError,
    EngineClosedError,
    InputError,
    JobCancelledError,
    JobFailedError,
    UnknownIdError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.task_orchestrator import TaskOrchestrator, TaskResult
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.queue import Queue
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


# -- in a session, under a project -------------------------------------------------------------------------


def test_tasks_of_a_session_share_its_limit_with_its_runs(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    session_id = engine.create_session(max_parallel_tasks=1)
    manager = WorkflowManager(engine, session_id=session_id)
    manager.create("w").add_step("held", wait, args=["step"])
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    with TaskOrchestrator(engine=engine, session_id=session_id) as tasks:
        task_id = tasks.submit_task(job("task"))
        outside = TaskOrchestrator(engine=engine)
        assert outside.execute_task(job("outside")) == "outside"
        waiting = tasks.get_task_result(task_id)
        assert waiting is not None
        assert waiting.status == "PENDING"
        assert "resource" in [each.code for each in engine.why(f"job:{task_id}").reasons]
        signals.go_on.set()
        assert tasks.wait_for_completion(WAIT_S)
        task = next(each for each in tasks.list_tasks() if each.job_id == task_id)
        assert (task.session_id, task.project, task.resources) == (session_id, None, {})
    assert run.result(WAIT_S).success
    assert signals.calls == ["step", "outside", "task"]


def shares(engine: OrchestrationEngine) -> list[str]:
    """Return what sessions have their calls share."""
    return [view.name for view in engine.ask("queue", GetResources()) if view.name.startswith(SHARE)]


def wait_until_released(engine: OrchestrationEngine, session_id: str) -> None:
    """Wait until nothing is kept of a closed session."""
    gone = threading.Event()

    def look(event: SessionReleased, _position: int) -> None:
        if event.session_id == session_id and event.confirmed:
            gone.set()

    engine.subscribe("session.released", look, after=0)
    assert gone.wait(WAIT_S)
    assert shares(engine) == []


def test_closing_a_session_cancels_its_tasks_that_have_not_begun_and_takes_no_more_of_them(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    session_id = engine.create_session(max_parallel_tasks=1)
    tasks = TaskOrchestrator(engine=engine, session_id=session_id)
    outside = TaskOrchestrator(engine=engine).submit_task(Job("outside", note, ("outside",), priority=-1))
    running = tasks.submit_task(job("running", wait))
    waiting = [tasks.submit_task(job(f"task-{n}")) for n in range(3)]
    after = tasks.submit_task(job("after"), depends_on=[waiting[0]])
    assert signals.begun.wait(WAIT_S)
    assert shares(engine) == [f"{SHARE}{session_id}"]
    assert engine.close_session(session_id)
    results = [tasks.get_task_result(task_id) for task_id in (*waiting, after)]
    assert [result and result.status for result in results] == ["CANCELLED"] * 4
    with pytest.raises(InputError, match=f"^session {session_id!r} is over, or not on record$"):
        tasks.submit_task(job("late"))
    assert shares(engine) == [f"{SHARE}{session_id}"], "somebody holds some of it"
    signals.go_on.set()
    assert Queue("tasks", engine=engine).result(running, WAIT_S) == "running"
    assert Queue("tasks", engine=engine).result(outside, WAIT_S) == "outside"
    wait_until_released(engine, session_id)
    with pytest.raises(InputError, match="is over"):
        Queue("tasks", engine=engine).retry(waiting[0])


def test_a_session_whose_time_is_over_takes_its_tasks_with_it(signals: Signals) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        session_id = engine.create_session(timeout_seconds=60)
        tasks = TaskOrchestrator(engine=engine, session_id=session_id)
        task_id = tasks.submit_task(job("endless", wait))
        assert signals.begun.wait(WAIT_S)
        clock.advance(61_000_000)
        engine.store.runtime.nudge("supervisor")
        with pytest.raises(JobCancelledError, match="its session is over"):
            Queue("tasks", engine=engine).result(task_id, WAIT_S)
        signals.go_on.set()
        wait_until_released(engine, session_id)


def test_a_session_that_was_closed_is_forgotten_by_the_queue_over_restarts(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        closed, kept = engine.create_session(), engine.create_session(max_parallel_tasks=1)
        manager = WorkflowManager(engine, session_id=closed)
        manager.create("w").add_wait("approval")
        run_id = manager.start("w").run_id
        engine.close_session(closed)
        assert sorted(shares(engine)) == sorted(f"{SHARE}{each}" for each in (closed, kept)), (
            "its run goes on"
        )
    with OrchestrationEngine(tmp_path / "store") as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        run.signal("approval", 1)
        assert run.result(WAIT_S).success
        with TaskOrchestrator(engine=engine, session_id=kept) as tasks:
            assert tasks.execute_task(job("one")) == "one"
        engine.close_session(kept)
        wait_until_released(engine, closed)


def test_jobs_are_recorded_under_a_project_as_runs_are(engine: OrchestrationEngine, tmp_path: Path) -> None:
    projects = ProjectManager(tmp_path / "projects", engine=engine)
    projects.create_project("models")
    TaskOrchestrator(engine=engine, project="models").execute_task(job("task"))
    queue = Queue("mail", engine=engine, project="models")
    first = queue.enqueue(job("first", on_success=job("then")))
    elsewhere = Queue("mail", engine=engine).enqueue(job("elsewhere"))
    assert [each.name for each in projects.list_jobs("models")] == ["then", "first", "task"]
    assert [each.name for each in projects.list_jobs("models", limit=1)] == ["then"]
    assert [each.name for each in queue.list_jobs(project="models")] == ["then", "first"]
    found, other = queue.get_job(first), queue.get_job(elsewhere)
    assert found is not None
    assert other is not None
    assert (found.project, found.session_id, other.project) == ("models", None, None)


def test_a_session_or_project_that_is_not_on_record_is_refused(engine: OrchestrationEngine) -> None:
    with pytest.raises(UnknownIdError, match="no session 'never' on record"):
        TaskOrchestrator(engine=engine, session_id="never")
    for make in (TaskOrchestrator, Queue):
        with pytest.raises(UnknownIdError, match=r"^no project 'never' on record; ProjectManager"):
            make(engine=engine, project="never")
