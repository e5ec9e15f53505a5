"""Engines on logs that fail, and what the tests do with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.queue.specs import JobSpec
from actors.runtime.attempt import AttemptContext
from actors.runtime.errors import BusyError
from actors.runtime.messages import Message
from actors.runtime.values import encode_call
from eventstore.errors import StoreError
from logistics.orchestration import stores
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job_scheduler import JobScheduler
from logistics.whereabouts import MEMORY
from tests.faults import tasks
from tests.faults.sabotage import Sabotage, SabotagedLmdb, SabotagedMemory

PATIENCE_S = 15.0
"""How long anything may take that should take no time."""


class Gates:
    """Where functions of jobs wait for the test: by name, each told when somebody has come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, tuple[threading.Semaphore, threading.Event]] = {}

    def _gate(self, name: str) -> tuple[threading.Semaphore, threading.Event]:
        with self._lock:
            return self._gates.setdefault(name, (threading.Semaphore(0), threading.Event()))

    def pass_through(self, name: str) -> None:
        """Say that one is there, and wait to be let through."""
        arrived, opened = self._gate(name)
        arrived.release()
        assert opened.wait(PATIENCE_S)

    def wait_for(self, name: str, number: int = 1) -> None:
        """Wait until so many have come."""
        for _ in range(number):
            assert self._gate(name)[0].acquire(timeout=PATIENCE_S)

    def open(self, name: str) -> None:
        """Let everybody through, now and later."""
        self._gate(name)[1].set()


GATES = Gates()


def gated(path: str, gate: str, ctx: AttemptContext) -> str:
    """Leave a line and wait at a gate: the function of a job."""
    tasks.note(path, ctx)
    GATES.pass_through(gate)
    return gate


def gated_job(job_id: str, path: object, gate: str) -> JobSpec:
    """Return a job that waits at a gate."""
    payload = encode_call((str(path), gate), {})
    return JobSpec(job_id, "load", "gated", f"{__name__}:gated", payload, inputs=tasks.CONTEXT)


@contextmanager
def sabotaged_engine(
    monkeypatch: pytest.MonkeyPatch, log_type: Callable[..., Any], folder: Path, *, workers: int = 4
) -> Iterator[tuple[OrchestrationEngine, Sabotage]]:
    """Open an engine whose log fails on demand, serving all queues."""
    monkeypatch.setattr(stores, "MemoryLog", SabotagedMemory)
    monkeypatch.setattr(stores, "LmdbLog", SabotagedLmdb)
    path = folder / "store" if log_type is SabotagedLmdb else MEMORY
    with OrchestrationEngine(path, workers=workers) as engine:
        scheduler = JobScheduler(engine=engine)
        scheduler.start()
        log = engine.store.runtime.log
        assert isinstance(log, SabotagedLmdb | SabotagedMemory)
        yield engine, log.sabotage
        log.sabotage.reopening.set()
        scheduler.stop()


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline_s = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "it never came to that"
        pause.wait(0.002)
    return found


def insist(engine: OrchestrationEngine, command: Message) -> Any:
    """Send a command, the same again and again, until it is answered."""
    answers: list[Any] = []

    def answered() -> bool:
        try:
            answers.append(engine.send(command))
        except (StoreError, BusyError):
            return False
        return True

    eventually(answered)
    return answers[0]
