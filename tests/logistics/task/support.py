"""What tests of queues do to engines."""

from __future__ import annotations

from actors.runtime.clock import VirtualClock
from logistics.orchestration.engine import OrchestrationEngine

SECOND = 1_000_000


def pass_time(engine: OrchestrationEngine, clock: VirtualClock, seconds: float) -> None:
    """Let virtual time pass and have the queue look at it now, instead of at the clock's next look."""
    clock.advance(round(seconds * SECOND))
    engine.store.runtime.nudge("queue")
