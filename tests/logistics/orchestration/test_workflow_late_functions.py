"""A function that is defined just while its step finds that it is not there: the step is woken all the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from actors.queue.messages import GetStats
from actors.runtime.errors import UnresolvedFunctionError, UnresolvedReason
from actors.runtime.functions import FunctionRegistry
from actors.workflow.specs import RunStatus
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow import announce
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals


def test_a_function_registered_while_its_absence_is_reported_is_found(
    engine: OrchestrationEngine, manager: WorkflowManager, monkeypatch: pytest.MonkeyPatch, signals: Signals
) -> None:
    manager.create("w").add_step("hold", steps.hold).add_step("one", steps.one)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    missed: list[str] = []

    def resolve(self: FunctionRegistry, ref: str) -> Any:
        if not missed:
            missed.append(ref)
            announce(engine.store, (ref,))  # whoever defines it says so, and nobody waits for it yet
            engine.ask("queue", GetStats(queue=""))
            raise UnresolvedFunctionError(ref, UnresolvedReason.NOT_YET_DEFINED, "not yet")
        return found(self, ref)

    found = FunctionRegistry.resolve
    monkeypatch.setattr(FunctionRegistry, "resolve", resolve)
    signals.go_on.set()
    assert run.result(timeout=WAIT_S).outputs == {"hold": "held", "one": 1}
    assert len(missed) == 1


@pytest.mark.parametrize("gone", ["double", "unbook"])
def test_a_run_is_parked_also_when_items_or_a_compensation_wait_for_their_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: Signals, gone: str
) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        workflow = (
            WorkflowManager(engine)
            .create("w")
            .add_step("hold", steps.hold)
            .add_step("extract", steps.extract)
        )
        workflow.add_step("double", steps.double, map_over="extract")
        workflow.add_step("book", steps.book, compensate=steps.unbook).add_step("fail", steps.fail)
        run_id = WorkflowManager(engine).start("w").run_id
        assert signals.begun.wait(WAIT_S)
        engine.close(grace=0)
    signals.go_on.set()
    found = FunctionRegistry.resolve
    is_back = threading.Event()

    def resolve(self: FunctionRegistry, ref: str) -> Any:
        if ref.endswith(f":{gone}") and not is_back.is_set():
            raise UnresolvedFunctionError(ref, UnresolvedReason.NOT_FOUND, "gone")
        return found(self, ref)

    monkeypatch.setattr(FunctionRegistry, "resolve", resolve)
    with OrchestrationEngine(tmp_path / "store") as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        while run.status is not RunStatus.PARKED:
            pass
        is_back.set()
        announce(engine.store, (f"{steps.__name__}:{gone}",))
        assert run.result(WAIT_S).status is RunStatus.FAILED
