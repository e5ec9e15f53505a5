"""Waiting for the end of something: in asyncio without a thread that waits, and what is said when it was too long."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from actors.runtime.later import Later
from eventstore.errors import LogisticsError
from logistics.errors import WaitTimeoutError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actors.runtime.reply import Reply
    from logistics.orchestration.engine import OrchestrationEngine
else:
    asyncio = Later("asyncio")

LOOK_S = 5.0
"""How often the log is looked at again: it may have been looked at while it was reopened."""


def too_long(engine: OrchestrationEngine, entity: str, named: str, limit_s: float) -> TimeoutError:
    """Return the error of whoever has waited for the end of an entity long enough, with what keeps it."""
    why = ""
    with contextlib.suppress(LogisticsError):  # of an engine that ends meanwhile nothing can be asked
        found = engine.why(entity)
        why = f"; it is {found.status}: {found.reasons[0].text}"
    return WaitTimeoutError(f"{named} has not ended within {limit_s:g} s{why}")


async def until_ended(engine: OrchestrationEngine, entity: str, has_ended: Callable[[], bool]) -> None:
    """Return once an entity has ended; can be cancelled at any time.

    `has_ended` looks at the log, on a thread, briefly; what it raises is raised here.
    """
    loop = asyncio.get_running_loop()
    while True:
        ended = asyncio.Event()

        def wake(_reply: Reply, ended: asyncio.Event = ended) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(ended.set)

        watched = engine.watch(entity)
        watched.when_done(wake)
        try:
            if await asyncio.to_thread(has_ended):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_S)
            if watched.done:
                watched.get()  # raises if the engine ends
        finally:
            engine.unwatch(entity, watched)
