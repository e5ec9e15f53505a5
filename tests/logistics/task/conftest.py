"""Engines in memory and on disk, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import VirtualClock
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.queue import Queue
from tests.logistics.task.functions import Current, Notes

Open = Callable[..., OrchestrationEngine]


@pytest.fixture(autouse=True)
def notes() -> Iterator[Notes]:
    Current.notes = Notes()
    yield Current.notes
    Current.notes.go_on.set()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def open_engine(tmp_path: Path, clock: VirtualClock, notes: Notes) -> Iterator[Open]:
    """Open the test's store on disk, again and again; what is left open is closed in the end."""
    with ExitStack() as stack:

        def open_it(path: str | Path = tmp_path / "store", **options: Any) -> OrchestrationEngine:
            defaults: dict[str, Any] = {"workers": 2, "clock": clock}
            engine = OrchestrationEngine(path, **defaults | options)
            stack.callback(engine.close)
            return engine

        yield open_it
        notes.go_on.set()


@pytest.fixture(params=["memory", "disk"])
def engine(request: pytest.FixtureRequest, open_engine: Open) -> OrchestrationEngine:
    return open_engine(":memory:") if request.param == "memory" else open_engine()


@pytest.fixture
def queue(engine: OrchestrationEngine) -> Queue:
    return Queue("work", engine=engine)
