"""Stores that are closed while somebody uses them, or opens them again."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from actors import assembly
from actors.runtime.attempt import CURRENT
from actors.runtime.effects import AttemptKey
from actors.runtime.errors import EngineClosedError
from logistics.orchestration import stores, subscriptions
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.runtime.engine import Runtime


def test_a_store_that_is_opened_while_it_is_being_closed_is_a_working_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = OrchestrationEngine(tmp_path / "store")
    runtime = first.store.runtime
    closing, go_on, opening = threading.Event(), threading.Event(), threading.Event()

    def slow_close(_grace_s: float) -> bool:
        closing.set()
        return go_on.wait(10)

    monkeypatch.setattr(runtime.executor, "close", slow_close)
    sizes: list[int] = []

    def use_again() -> None:
        opening.set()
        with OrchestrationEngine(tmp_path / "store") as second:
            sizes.append(Queue("q", engine=second).size())

    closer, user = threading.Thread(target=first.close), threading.Thread(target=use_again)
    closer.start()
    assert closing.wait(10)
    user.start()
    assert opening.wait(10)
    go_on.set()
    for thread in (closer, user):
        thread.join(10)
    assert sizes == [0]


def test_an_opening_that_is_interrupted_at_its_end_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Runtime] = []

    @contextmanager
    def interrupted(_folder: Path, _version: str) -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    def open_runtime(*arguments: Any, **options: Any) -> Runtime:
        opened.append(assembly.open_runtime(*arguments, **options))
        return opened[0]

    with monkeypatch.context() as patched:
        patched.setattr(stores, "guarded", interrupted)
        patched.setattr(stores, "open_runtime", open_runtime)
        with pytest.raises(KeyboardInterrupt):
            OrchestrationEngine(tmp_path / "store")
    assert not opened[0].accepting
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert Queue("q", engine=engine).size() == 0


def test_an_opening_that_is_interrupted_before_it_recovers_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stores, "package_version", interrupted)
        with pytest.raises(KeyboardInterrupt) as told:
            OrchestrationEngine(tmp_path / "store")
    OrchestrationEngine(tmp_path / "store").close()
    assert told.traceback, "it is what would keep the log from being closed by its end"


def test_whoever_interrupts_a_close_can_open_the_store_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = OrchestrationEngine(tmp_path / "store")
    executor = engine.store.runtime.executor
    close = executor.close

    def interrupted(grace_s: float) -> bool:
        if grace_s:
            raise KeyboardInterrupt
        return close(grace_s)

    monkeypatch.setattr(executor, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.close()
    with OrchestrationEngine(tmp_path / "store") as again:
        assert Queue("q", engine=again).size() == 0


def test_a_job_that_outlives_its_engine_is_not_given_the_default_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "default"))
    with OrchestrationEngine(":memory:") as engine:
        runtime = engine.store.runtime
    token = CURRENT.set((runtime, AttemptKey("job", 1, 1)))
    try:
        with pytest.raises(EngineClosedError, match="the engine that runs this job was closed"):
            engine_or_default(None)
    finally:
        CURRENT.reset(token)
    assert not (tmp_path / "default").exists()


@pytest.mark.parametrize("make", [JobScheduler, CronScheduler])
def test_closing_a_handle_stops_what_was_started_through_it_and_nothing_else(
    make: type[JobScheduler | CronScheduler], tmp_path: Path
) -> None:
    with OrchestrationEngine(tmp_path / "store") as first:
        second = OrchestrationEngine(tmp_path / "store")
        theirs, ours = make(engine=second), make(engine=first)
        theirs.start()
        ours.start()
        store = first.store
        second.close()
        assert len(store.servers) + len(store.schedulers) == 1
        assert store.busy
        ours.stop()
        assert not store.busy
        assert not first.started


def test_whoever_subscribes_while_the_handle_is_closed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OrchestrationEngine(":memory:")
    monkeypatch.setattr(subscriptions, "check_after", lambda _after: engine.close())
    with pytest.raises(EngineClosedError):
        engine.subscribe("job.*", print)
    assert "logistics-subscriptions" not in {thread.name for thread in threading.enumerate()}


def test_a_handle_can_be_closed_while_somebody_subscribes_for_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = OrchestrationEngine(":memory:")
    closer = threading.Thread(target=engine.close)

    class Slow(threading.Thread):
        def start(self) -> None:
            closer.start()
            closer.join(0.05)  # it comes between, or waits
            super().start()

    with monkeypatch.context() as patched:
        patched.setattr("logistics.orchestration.subscriptions.threading.Thread", Slow)
        engine.subscribe("job.*", print)
    closer.join(10)
    assert engine._store.closed.is_set()


def test_a_forked_process_opens_a_store_of_its_own_though_another_thread_was_opening_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    make = stores.Store

    def slow(*args: object) -> object:
        opening.set()
        assert go_on.wait(10)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(stores, "Store", slow)
    opener = threading.Thread(target=lambda: OrchestrationEngine(":memory:").close())
    opener.start()
    assert opening.wait(10)
    child = os.fork()
    if not child:
        signal.alarm(10)
        go_on.set()
        try:
            with OrchestrationEngine(":memory:") as own:
                os._exit(Queue("q", engine=own).size())
        finally:
            os._exit(1)
    go_on.set()
    opener.join(10)
    assert os.waitpid(child, 0)[1] == 0
