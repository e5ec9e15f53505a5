"""A function that is defined just while its step finds that it is not there: the step is woken all the same."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.messages import GetStats
from actors.runtime.functions import FunctionRegistry, UnresolvedFunctionError, UnresolvedReason
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
