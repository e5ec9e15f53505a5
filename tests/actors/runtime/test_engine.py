"""Closing an engine at a bad moment: what a rebuild brings up is stopped with everything else (R23)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from actors.assembly import open_runtime
from actors.runtime.functions import FunctionRegistry
from eventstore.memory_log import MemoryLog

if TYPE_CHECKING:
    import pytest
    from pykka import ActorRef


def test_actors_that_a_rebuild_brings_up_while_the_engine_closes_are_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = open_runtime(MemoryLog(), FunctionRegistry(), workers=1, max_payload=1000, version="")
    built: list[dict[str, ActorRef[Any]]] = []
    building, go_on = threading.Event(), threading.Event()
    build = runtime.build

    def slow_build() -> dict[str, ActorRef[Any]]:
        building.set()
        assert go_on.wait(10)
        built.append(build())
        return built[0]

    monkeypatch.setattr(runtime, "build", slow_build)
    runtime.journal.fail_from(runtime.journal.generation, ValueError("planned"))
    assert building.wait(10)
    closing = threading.Thread(target=runtime.close, args=(0,))
    closing.start()
    assert runtime._closing.wait(10)
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    assert len(built[0]) == 4
    for ref in built[0].values():
        assert ref.actor_stopped.wait(10)
    assert not runtime.accepting
