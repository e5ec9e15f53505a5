"""A disk that fails under a run: the call that waits for it is answered with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.workflow.events import WorkflowDefined
from actors.workflow.specs import RunStatus
from eventstore.errors import OutcomeUnknownError, StoreError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.memory_log import MemoryLog
from eventstore.records import Head, Record
from logistics.orchestration import awaiting, running, stores
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.reading import first
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.faults.engines import eventually
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import Signals

TAGS = ("workflow.defined", "run.created", "step.completed", "job.started", "run.completed")


class FailsOnce(FaultyLog):
    """Fails the first append of an event with a tag."""

    def __init__(self, tag: str, fault: Fault) -> None:
        super().__init__(MemoryLog(), lambda: self.now)
        self.now = Fault.OK
        self._tag = tag
        self._fault = fault

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        failing = self._fault not in self.faults and any(record.tag == self._tag for record in records)
        self.now = self._fault if failing else Fault.OK
        return super().append(records, expected=expected, epoch=epoch, recorded_us=recorded_us)


def begun(manager: WorkflowManager) -> WorkflowRun:
    """Begin a run; where the disk fails between the definition and the run, that is refused, and said once more."""
    try:
        return manager.start("w")
    except StoreError as refusal:
        if "nothing was changed" not in str(refusal):
            raise
        eventually(lambda: manager.engine.store.runtime.accepting)
        return manager.start("w")


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.CACHED, Fault.SURVIVED])
@pytest.mark.parametrize("tag", TAGS)
def test_a_commit_that_fails_under_a_run_does_not_leave_its_caller_waiting(
    monkeypatch: pytest.MonkeyPatch, signals: Signals, tag: str, fault: Fault
) -> None:
    log = FailsOnce(tag, fault)
    monkeypatch.setattr(stores, "MemoryLog", lambda: log)
    monkeypatch.setattr(awaiting, "LOOK_S", 0.05)
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.create("w").add_step("one", steps.one).add_step("noted", steps.noted)
        run = begun(manager)
        result = run.result(timeout=steps.WAIT_S)
        assert log.faults.count(fault) == 1
        assert (result.status, result.outputs) == (RunStatus.COMPLETED, {"one": 1, "noted": None})
        assert [each.run_id for each in manager.list_runs()] == [run.run_id]
        assert isinstance(first(engine, "workflow:w"), WorkflowDefined)


def test_a_run_that_cannot_be_recorded_is_refused_with_what_is_known(
    monkeypatch: pytest.MonkeyPatch, signals: Signals
) -> None:
    log = FailsOnce("run.created", Fault.BEFORE)
    monkeypatch.setattr(stores, "MemoryLog", lambda: log)
    monkeypatch.setattr(running, "PAUSES_S", (0.0,))
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.create("w").add_step("one", steps.one)
        with pytest.raises(OutcomeUnknownError, match=r"whether run \S+ was begun is not known"):
            _ = manager.start("w")
