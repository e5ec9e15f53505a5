"""Waiting for the end of something: in asyncio without a thread that waits, and what is said when it was too long."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from actors.queue.specs import FIRINGS
from actors.runtime.attempt import blocking, refuse_own_job
from actors.runtime.clock import VirtualClock
from actors.runtime.later import Later
from eventstore.errors import LogisticsError
from logistics.errors import WaitTimeoutError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from actors.runtime.reply import Reply
    from logistics.audit.words import Reason
    from logistics.orchestration.engine import OrchestrationEngine
else:
    asyncio = Later("asyncio")

logger = logging.getLogger("logistics.queue")

LOOK_S = 5.0
"""How often the log is looked at again: it may have been looked at while it was reopened. After the first time
it is asked whether anybody does the work."""

STANDING = "%s is waited for, but %s, and the VirtualClock goes on only when it is told to; see pass_time"


def too_long(engine: OrchestrationEngine, entity: str, named: str, limit_s: float) -> TimeoutError:
    """Return the error of whoever has waited for the end of an entity long enough, with what keeps it."""
    why = ""
    with contextlib.suppress(LogisticsError):  # of an engine that ends meanwhile nothing can be asked
        found = engine.why(entity)
        why = f"; it is {found.status}: {found.reasons[0].text}"
    return WaitTimeoutError(f"{named} has not ended within {limit_s:g} s{why}")


def warn_if_not_served(engine: OrchestrationEngine, entity: str, named: str) -> None:
    """Warn whoever waits for the end of an entity of each queue that this hangs on and nobody serves.

    And of a time that a clock for tests does not come to by itself: whoever waits may be the one who was to move it.
    """
    kind, _, its_id = entity.partition(":")
    with contextlib.suppress(LogisticsError):  # it has just ended, or the engine has
        for queue, text in {each.name: each.text for each in _not_served(engine, entity)}.items():
            advice = "" if queue == FIRINGS else f"; call JobScheduler().start({queue!r})"
            about = {f"{kind}_id": its_id, "queue": queue}
            logger.warning("%s is waited for, but %s%s", named, text, advice, extra=about)
        if isinstance(engine.store.runtime.clock, VirtualClock):
            for reason in engine.why(entity).reasons:
                if reason.until is not None and reason.code != "step_awaits_run":
                    logger.warning(STANDING, named, reason.text, extra={f"{kind}_id": its_id})


def _not_served(engine: OrchestrationEngine, entity: str) -> Iterator[Reason]:
    """Yield what nobody does: of a run by the jobs and the runs that its steps are, each looked at once."""
    seen, stack = {entity}, [entity]
    while stack:
        entity = stack.pop()
        for reason in engine.why(entity).reasons:
            if reason.code == "not_served" and entity.startswith("job:"):
                yield reason
            elif reason.code in ("not_served", "step_awaits_run"):
                stack += (each for each in reason.by if each not in seen)
                seen.update(reason.by)


def wait_until_ended(
    engine: OrchestrationEngine, entity: str, has_ended: Callable[[], bool], named: str, limit_s: float | None
) -> None:
    """Wait until an entity has ended, as `has_ended` finds in the log. `TimeoutError` after `limit_s`."""
    deadline = None if limit_s is None else time.monotonic() + limit_s
    watched = engine.watch(entity)
    looks = 0
    try:
        while not has_ended():
            left_s = LOOK_S if deadline is None else min(LOOK_S, deadline - time.monotonic())
            if left_s <= 0:
                assert limit_s is not None
                raise too_long(engine, entity, named, limit_s)
            if looks == 1:
                warn_if_not_served(engine, entity, named)
            looks += 1
            if watched.wait(left_s):
                watched.get()
    finally:
        engine.unwatch(entity, watched)


async def until_ended(
    engine: OrchestrationEngine, entity: str, has_ended: Callable[[], bool], named: str
) -> None:
    """Return once an entity has ended; can be cancelled at any time.

    `has_ended` looks at the log, on a thread, briefly; what it raises is raised here. `WouldDeadlockError` inside a job
    as for those who wait otherwise: a coroutine that waits holds its worker, too.
    """
    loop, runtime = asyncio.get_running_loop(), engine.store.runtime
    looks = 0
    with contextlib.ExitStack() as held:
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
                if not looks:
                    refuse_own_job(runtime, entity.removeprefix("job:"))
                    held.enter_context(blocking(runtime))
                if looks == 1:
                    await asyncio.to_thread(warn_if_not_served, engine, entity, named)
                looks += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), LOOK_S)
                if watched.done:
                    watched.get()  # raises if the engine ends
            finally:
                engine.unwatch(entity, watched)
