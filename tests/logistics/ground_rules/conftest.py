"""An engine and a queue for each test of the ground rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.queue import Queue


@pytest.fixture
def engine() -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(":memory:", workers=2) as opened:
        yield opened


@pytest.fixture
def queue(engine: OrchestrationEngine) -> Queue:
    return Queue("work", engine=engine)
