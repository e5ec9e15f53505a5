"""An engine that is closed at a bad moment, or whose opening fails: nothing that it started is left behind (R23)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from pykka import ActorRegistry

from actors.assembly import open_runtime
from actors.queue.messages import PauseQueue
from actors.runtime.functions import FunctionRegistry
from actors.runtime.vault import Vault
from eventstore.errors import OutcomeUnknownError, StoreClosedError, StoreError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.owner import INFO_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """See that whatever was started meanwhile has ended."""
    threads, actors = set(threading.enumerate()), set(ActorRegistry.get_all())
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive(), thread.name
    assert set(ActorRegistry.get_all()) <= actors


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("thread", ["QueueActor", "ClockActor", "logistics-journal", "logistics-keeper"])
def test_an_opening_that_lacks_a_thread_leaves_none(
    thread: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, log = threading.Thread.start, MemoryLog()

    def start_or_fail(self: threading.Thread) -> None:
        is_it = self.name.startswith(thread)
        if not is_it or isinstance(error, KeyboardInterrupt):  # that comes when it has started
            start(self)
        if is_it:
            raise error

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    with pytest.raises(type(error)):
        open_runtime(log, FunctionRegistry(), workers=1, max_payload=1000, version="")
    with pytest.raises(StoreClosedError):
        _ = log.head


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("error", [StoreError("planned"), KeyboardInterrupt()], ids=repr)
def test_an_opening_that_fails_once_actors_are_there_can_be_tried_again(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_vault: Vault, _runtime: object) -> None:
        raise error

    path = tmp_path / "store"
    with monkeypatch.context() as patched:
        patched.setattr(Vault, "settle", fail)
        with pytest.raises(type(error)):
            open_runtime(LmdbLog.open(path), FunctionRegistry(), workers=1, max_payload=1000, version="")
    assert not (path / INFO_NAME).exists()
    runtime = open_runtime(LmdbLog.open(path), FunctionRegistry(), workers=1, max_payload=1000, version="")
    runtime.send("queue", PauseQueue(queue="a")).get(10)
    runtime.close(0)
