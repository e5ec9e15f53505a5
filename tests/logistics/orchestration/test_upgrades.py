"""Before an upgrade goes on: what of the open runs and schedules does not fit the code of today (F71, F97)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from actors.workflow.specs import RunStatus
from logistics.errors import WouldDeadlockError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.orchestration.steps import WAIT_S

BEFORE = "def fetch(day):\n    return day\n\ndef total(fetch):\n    return fetch\n"
RENAMED = "def fetch(day):\n    return day\n\ndef total_of(fetch):\n    return fetch\n"
CHANGED = "def fetch(day):\n    return day\n\ndef total(rows):\n    return rows\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "upgraded_steps.py"
    path.write_text(BEFORE)
    yield path
    sys.modules.pop("upgraded_steps", None)


def begun(store: Path) -> str:
    """A run that waits for a signal when its process ends, and a schedule."""
    with OrchestrationEngine(store) as engine:
        manager = WorkflowManager(engine)
        import_steps()
        steps = sys.modules["upgraded_steps"]
        workflow = manager.create("w").add_step("fetch", steps.fetch).add_wait("approval")
        workflow.add_step("total", steps.total, depends_on=["approval", "fetch"])
        CronScheduler(engine=engine).schedule("nightly", "0 3 * * *", steps.total, args=[1])
        Queue("later", engine=engine).enqueue(Job("later", steps.total, args=[1], job_id="plain"))
        return manager.start("w", day=1).run_id


def import_steps() -> None:
    sys.modules.pop("upgraded_steps", None)
    importlib.invalidate_caches()
    importlib.import_module("upgraded_steps")


def test_nothing_is_found_if_nothing_has_changed(module: Path, tmp_path: Path) -> None:
    begun(tmp_path / "store")
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert WorkflowManager(engine).upgrade_check() == []


def test_f71_a_function_that_is_gone_is_found_parks_its_run_and_revives_it(
    module: Path, tmp_path: Path
) -> None:
    run_id = begun(tmp_path / "store")
    module.write_text(RENAMED)
    import_steps()
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        run, today, job, schedule = manager.upgrade_check()
        assert (job.kind, job.id, job.name, job.blocking) == ("job", "plain", "later", True)
        assert "it waits until the function is back" in job.problem
        assert not today.blocking
        assert "a run begun today would be refused" in today.problem
        assert (run.kind, run.id, run.step, run.blocking) == ("run", run_id, "total", True)
        assert run.function == schedule.function == "upgraded_steps:total"
        assert "it waits until the function is back" in run.problem
        assert (schedule.kind, schedule.id) == ("schedule", "nightly")
        parked = manager.get_run(run_id)
        assert parked is not None
        parked.signal("approval")
        while parked.status is not RunStatus.PARKED:
            pass
        assert "upgraded_steps" in str(parked.steps["total"].error)
    module.write_text(BEFORE)
    import_steps()
    with OrchestrationEngine(tmp_path / "store") as engine:
        again = WorkflowManager(engine).get_run(run_id)
        assert again is not None
        assert again.result(WAIT_S).output == 1


def test_f97_parameters_that_have_changed_are_found(module: Path, tmp_path: Path) -> None:
    run_id = begun(tmp_path / "store")
    module.write_text(CHANGED)
    import_steps()
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        (finding,) = (each for each in manager.upgrade_check() if each.blocking)
        assert (finding.id, finding.step) == (run_id, "total")
        assert "its parameters have changed: missing a required argument: 'rows'" in finding.problem


def test_f97_a_run_goes_on_with_its_own_definition(module: Path, tmp_path: Path) -> None:
    run_id = begun(tmp_path / "store")
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        steps = sys.modules["upgraded_steps"]
        manager.create("w").add_step("fetch", steps.fetch)
        (finding,) = manager.upgrade_check()
        assert (finding.id, finding.step, finding.blocking) == (run_id, None, False)
        assert "goes on with the definition that it began with" in finding.problem
        run = manager.get_run(run_id)
        assert run is not None
        run.signal("approval")
        assert run.result(WAIT_S).output == 1


def test_without_workers_what_is_due_is_looked_at_and_not_called(module: Path, tmp_path: Path) -> None:
    """To open a store calls what is due: by the time that somebody checks, changed functions have failed."""
    run_id = begun(tmp_path / "store")
    with OrchestrationEngine(tmp_path / "store", workers=0) as engine:
        due = WorkflowManager(engine).start("w", day=2)
    module.write_text(CHANGED.replace("fetch(day)", "fetch(day, zone)"))
    import_steps()
    with OrchestrationEngine(tmp_path / "store", workers=0) as engine:
        manager = WorkflowManager(engine)
        found = {(each.id, each.step) for each in manager.upgrade_check() if each.blocking}
        assert found >= {(run_id, "total"), (due.run_id, "fetch"), (due.run_id, "total")}
        for wait in (partial(manager.run, "w", day=3), partial(JobScheduler(engine=engine).process, "later")):
            with pytest.raises(WouldDeadlockError, match="no workers"):
                wait()
        again = manager.get_run(due.run_id)
        assert again is not None
        assert again.steps["fetch"].attempts == 0
