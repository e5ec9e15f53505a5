"""A run tells when the turn of each step came, when it began and ended, and how each try went."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from actors.workflow.specs import StepStatus
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.timeline import StepTimeline
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import Signals


def by_name(timeline: list[StepTimeline]) -> dict[str, StepTimeline]:
    return {step.name: step for step in timeline}


def test_a_timeline_has_each_step_with_its_tries(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("flaky", steps.fail_twice, max_retries=2, retry_delay=0, depends_on=["extract"])
    workflow.add_step("double", steps.double, map_over="extract", depends_on=["flaky"])
    workflow.add_step("bad", steps.fail, depends_on=["double"]).add_step("never", steps.one)
    result = manager.run("w")
    run = manager.get_run(result.run_id)
    assert run is not None
    timeline = run.timeline()
    assert [step.name for step in timeline] == list(result.steps)
    found = by_name(timeline)
    flaky = found["flaky"]
    assert [(each.number, each.outcome) for each in flaky.attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "completed"),
    ]
    times = [flaky.queued_at, *(at for each in flaky.attempts for at in (each.started_at, each.ended_at))]
    assert None not in times
    assert times == sorted(at for at in times if at is not None)
    assert flaky.started_at == flaky.attempts[0].started_at
    assert flaky.ended_at == flaky.attempts[-1].ended_at
    assert flaky.queued_at is not None
    assert found["extract"].ended_at is not None
    assert found["extract"].ended_at <= flaky.queued_at
    assert (found["double"].items, found["double"].items_ended) == (len(steps.extract()),) * 2
    assert (found["bad"].status, found["bad"].attempts[0].error) == (StepStatus.FAILED, found["bad"].error)
    never = found["never"]
    assert (never.status, never.queued_at, never.started_at) == (StepStatus.SKIPPED, None, None)
    assert never.attempts == ()


def test_a_timeline_tells_what_is_under_way(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("hold", steps.hold, depends_on=[])
    workflow.add_wait("pause", timedelta(days=3), depends_on=[]).add_step("later", steps.one)
    run = manager.start("w")
    assert signals.begun.wait(steps.WAIT_S)
    found = by_name(run.timeline())
    assert [(each.number, each.outcome, each.ended_at) for each in found["hold"].attempts] == [
        (1, "running", None)
    ]
    assert found["hold"].status is StepStatus.RUNNING
    assert (found["pause"].status, found["pause"].ended_at) == (StepStatus.WAITING, None)
    assert found["pause"].queued_at == found["pause"].started_at is not None
    assert found["later"].status is StepStatus.PENDING


def test_an_attempt_that_a_process_took_with_it_is_told(tmp_path: Path, signals: Signals) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        manager.create("w").add_step("hold", steps.hold)
        run_id = manager.start("w").run_id
        assert signals.begun.wait(steps.WAIT_S)
        engine.close(grace=0)
    signals.go_on.set()
    with OrchestrationEngine(tmp_path / "store") as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        run.result(steps.WAIT_S)
        outcomes = [each.outcome for each in run.timeline()[0].attempts]
        assert outcomes == ["interrupted", "completed"]


def test_a_history_has_all_that_is_on_record_in_order(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("book", steps.book, compensate=steps.unbook)
    workflow.add_wait("approval").add_step("extract", steps.extract)
    workflow.add_step("double", steps.double, map_over="extract").add_step("bad", steps.fail)
    run = manager.start("w")
    run.signal("approval", 1)
    run.result(steps.WAIT_S)
    entries = run.history()
    assert [entry.position for entry in entries] == sorted({entry.position for entry in entries})
    assert (entries[0].event, entries[-1].event) == ("run.created", "run.failed")
    told = {(entry.event, entry.step, entry.part) for entry in entries}
    assert {
        ("job.completed", "book", ""),
        ("signal.received", "approval", ""),
        ("item.ended", "double", "0"),
        ("job.started", "double", "0"),
        ("job.failed", "bad", ""),
        ("job.completed", "book", "undo"),
        ("undo.ended", "book", ""),
    } <= told
    assert all(entry.at is not None for entry in entries)
    assert "it does not work" in next(entry.detail for entry in entries if entry.event == "job.failed")
    own = run.history(jobs=False)
    assert own == [entry for entry in entries if not entry.event.startswith(("job.", "attempt.", "signal."))]


@pytest.mark.usefixtures("signals")
def test_a_fork_tells_only_what_it_did(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one).add_step("once", steps.fail_once)
    run = manager.start("w")
    run.result(steps.WAIT_S)
    again = run.retry()
    again.result(steps.WAIT_S)
    kept, done = again.timeline()
    assert (kept.status, kept.queued_at, kept.attempts) == (StepStatus.COMPLETED, None, ())
    assert [each.outcome for each in done.attempts] == ["completed"]
