"""What tests of queues do to engines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from actors.runtime.clock import VirtualClock
from logistics.orchestration.engine import OrchestrationEngine
from tests.logistics.task.functions import PATIENCE_S

SECOND = 1_000_000


def pass_time(engine: OrchestrationEngine, clock: VirtualClock, seconds: float) -> None:
    """Let virtual time pass and have the queue look at it now, instead of at the clock's next look."""
    clock.advance(round(seconds * SECOND))
    engine.store.runtime.nudge("queue")


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Call something on a thread; return a call that waits for what it came to."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:  # noqa: BLE001 -- raised again below
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Any:
        thread.join(PATIENCE_S)
        (result,) = outcome
        if isinstance(result, Exception):
            raise result
        return result

    return wait


def watched(engine: OrchestrationEngine, tag: str) -> Callable[[], None]:
    """Return a call that waits for the next event of a kind."""
    happened = threading.Event()
    engine.subscribe(tag, lambda _event, _position: happened.set())

    def wait() -> None:
        assert happened.wait(PATIENCE_S)

    return wait
