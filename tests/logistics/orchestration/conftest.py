"""An engine in memory, and a manager of its workflows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration.steps import Current, Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    Current.signals = Signals()
    yield Current.signals
    Current.signals.go_on.set()


@pytest.fixture
def engine(signals: Signals) -> Iterator[OrchestrationEngine]:
    opened = OrchestrationEngine(":memory:", workers=4)
    yield opened
    signals.go_on.set()
    opened.close()


@pytest.fixture
def manager(engine: OrchestrationEngine) -> WorkflowManager:
    return WorkflowManager(engine)
