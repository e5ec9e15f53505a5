"""Closing an engine at a bad moment: what a rebuild brings up is stopped with everything else (R23)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from actors.assembly import open_runtime
from actors.queue.messages import PauseQueue
from actors.runtime.functions import FunctionRegistry
from eventstore.errors import OutcomeUnknownError, StoreError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.memory_log import MemoryLog

if TYPE_CHECKING:
    from pykka import ActorRef

    from actors.runtime.reply import Reply


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


def test_who_is_refused_as_a_commit_failed_and_repeats_at_once_is_told_that_nothing_was_taken() -> None:
    faults = [Fault.OK, Fault.BEFORE]
    log = FaultyLog(MemoryLog(), lambda: faults.pop(0) if faults else Fault.OK)
    runtime = open_runtime(log, FunctionRegistry(), workers=1, max_payload=1000, version="")
    said: list[str] = []

    def repeat(_refused: Reply) -> None:
        try:
            runtime.send("queue", PauseQueue(queue="a"))
            said.append("taken")
        except StoreError as error:
            said.append(str(error))

    refused = runtime.send("queue", PauseQueue(queue="a"))
    refused.when_done(repeat)
    with pytest.raises(OutcomeUnknownError):
        refused.get(10)
    runtime.close(0)
    assert ["nothing was changed" in each for each in said] == [True]
