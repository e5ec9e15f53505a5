"""Lists of a few of many: the same as if each had been read, and few are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.workflow.specs import RunStatus
from logistics.audit import narrowing
from logistics.audit.past import Past
from logistics.cli.main import main
from logistics.orchestration import workflow_manager
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.audit import functions

JOBS: tuple[dict[str, str], ...] = (
    {},
    {"queue": "away"},
    {"queue": "q"},
    {"queue": "none"},
    {"name": "rare"},
    {"name": "rare", "queue": "q"},
    {"name": "common", "status": "failed"},
    {"status": "completed"},
    {"status": "cancelled"},
    {"project": "p"},
    {"project": "p", "name": "rare", "status": "completed"},
    {"name": "ar"},
)
"""What may be asked of a list of jobs."""
RUNS: tuple[dict[str, str], ...] = (
    {},
    *({"status": status.lower()} for status in RunStatus),
    {"name": "bad"},
    {"name": "bad", "status": "failed"},
    {"name": "good", "status": "failed"},
    {"project": "p"},
    {"name": "oo"},
)
LIMITS = ((0, 100_000), (3, 100_000), (3, 5), (1_000, 100_000))
"""How many are looked at one by one, and of how many a clue may tell; the last: of few, each is looked at."""


def said(capsys: pytest.CaptureFixture[str], command: str, store: Path, wanted: dict[str, str]) -> list[Any]:
    options = [word for name, value in wanted.items() for word in (f"--{name}", value)]
    ended = ["--ended"] if command == "jobs" else []
    assert main([command, *ended, *options, "--limit", "1000", "--json", "--store", str(store)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def same_with_all_limits(monkeypatch: pytest.MonkeyPatch, listed: Callable[[], list[Any]]) -> list[Any]:
    found = []
    for looked_at, most in LIMITS:
        monkeypatch.setattr(narrowing, "LOOKED_AT", looked_at)
        monkeypatch.setattr(narrowing, "MOST", most)
        found.append(listed())
    assert all(each == found[-1] for each in found)
    return found[-1]


def test_jobs_are_listed_as_if_each_had_been_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store) as engine:
        ProjectManager(engine=engine).create_project("p")
        for project in (None, "p"):
            queue = Queue("q", engine=engine, project=project)
            queue.enqueue_many(Job("common", functions.one) for _ in range(8))
            queue.enqueue_many(Job("rare", functions.one) for _ in range(2))
            queue.enqueue_many(Job("common", functions.fail, max_retries=0) for _ in range(3))
            JobScheduler(engine=engine).process(queue)
        queue = Queue("q", engine=engine)
        queue.move(moved := queue.enqueue(Job("rare", functions.one)), "away")
        queue.cancel(queue.enqueue(Job("common", functions.one)))
    everything = said(capsys, "jobs", store, {})
    for wanted in JOBS:
        rows = same_with_all_limits(monkeypatch, lambda wanted=wanted: said(capsys, "jobs", store, wanted))  # type: ignore[misc]
        exact = {key: value.upper() if key == "status" else value for key, value in wanted.items()}
        assert rows == [row for row in everything if exact.items() <= row.items()], wanted
    assert [row["job_id"] for row in said(capsys, "jobs", store, {"queue": "away"})] == [moved]


def test_runs_are_listed_as_if_each_had_been_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store) as engine:
        ProjectManager(engine=engine).create_project("p")
        for project in (None, "p"):
            manager = WorkflowManager(engine, project=project)
            manager.create("good").add_step("s", functions.one)
            manager.create("bad").add_step("s", functions.fail)
            manager.create("waits").add_step("s", functions.one, queue="nobody serves it")
            for _ in range(4):
                manager.run("good")
            manager.run("bad")
            manager.start("waits").cancel()
            manager.start("waits").pause()
        manager = WorkflowManager(engine)
        assert manager.start("waits").status == "RUNNING"
        for wanted in RUNS:
            asked: dict[str, Any] = {**wanted, "status": wanted.get("status", "").upper() or None}
            listed = same_with_all_limits(
                monkeypatch,
                lambda asked=asked: [run.run_id for run in manager.list_runs(**asked)],  # type: ignore[misc]
            )
            assert listed == [
                run.run_id
                for run in manager.list_runs()
                if asked["status"] in (None, run.status)
                and wanted.get("name") in (None, run.name)
                and wanted.get("project") in (None, run.project)
            ]
            if listed:
                assert [run.run_id for run in manager.list_runs(**asked, after=listed[0])] == listed[1:]
    everything = said(capsys, "runs", store, {})
    assert {row["status"] for row in everything} >= {"COMPLETED", "FAILED", "CANCELLED"}
    for wanted in RUNS:
        rows = same_with_all_limits(monkeypatch, lambda wanted=wanted: said(capsys, "runs", store, wanted))  # type: ignore[misc]
        exact = {
            "workflow" if key == "name" else key: value.upper() if key == "status" else value
            for key, value in wanted.items()
        }
        assert rows == [row for row in everything if exact.items() <= row.items()], wanted


def test_few_of_many_runs_are_found_without_reading_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that go on are asked for; those that ended so are looked for in one pass of the log."""
    monkeypatch.setattr(narrowing, "LOOKED_AT", 3)
    looked_at: list[str] = []
    find = workflow_manager._find_run

    def find_run(engine: OrchestrationEngine, run_id: str) -> Any:
        looked_at.append(run_id)
        return find(engine, run_id)

    monkeypatch.setattr(workflow_manager, "_find_run", find_run)
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        manager.create("bad").add_step("s", functions.fail)
        manager.create("good").add_step("s", functions.one)
        manager.create("waits").add_step("s", functions.one, queue="nobody serves it")
        bad, waits = manager.run("bad").run_id, manager.start("waits").run_id
        for _ in range(20):
            manager.run("good")
        for status, found, most in (("FAILED", [bad], 4), ("RUNNING", [waits], 1), ("PAUSED", [], 1)):
            looked_at.clear()
            assert [run.run_id for run in manager.list_runs(status=status)] == found
            assert len(looked_at) <= most


def test_a_log_that_lacks_some_of_its_past_gives_no_clue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "LOOKED_AT", 0)
    with OrchestrationEngine(tmp_path / "store", archive=False) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue_many(Job("rare", functions.one) for _ in range(3))
        JobScheduler(engine=engine).process(queue)
        assert engine.compact(0) > 0
        kept = queue.enqueue(Job("rare", functions.one))
        runtime = engine.store.runtime
        past = Past(runtime.log, runtime.codec, lambda: runtime.journal.watermark)
        assert past.entities_with([narrowing.Clue(frozenset({"job.enqueued"}))]) is None
        found = [job.job_id for job in queue.list_jobs(name="rare")]
        assert kept in found
        assert found == [job.job_id for job in queue.list_jobs()]
