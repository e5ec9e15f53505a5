"""Putting an engine together: the four actors and the log they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.actor import ClockActor
from actors.clock.zones import tzdata_version
from actors.folding import event_codec
from actors.queue.actor import QueueActor
from actors.queue.specs import THREAD
from actors.queue.trampoline import Plan, Trampoline, no_plan
from actors.runtime.clock import SystemClock
from actors.runtime.engine import Runtime
from actors.runtime.executor import ThreadExecutor
from actors.schedule.actor import SchedulerActor
from actors.workflow.actor import SupervisorActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.actor import EventSourcedActor
    from actors.runtime.clock import Clock
    from actors.runtime.effects import AttemptFinished
    from actors.runtime.functions import FunctionRegistry
    from actors.runtime.keeper import Photographer
    from actors.runtime.pool import PoolFactory
    from eventstore.keyring import KeyRing
    from eventstore.log import Log

ACTORS: tuple[type[EventSourcedActor], ...] = (SupervisorActor, QueueActor, SchedulerActor, ClockActor)
"""The actors of an engine."""


def open_runtime(
    log: Log,
    functions: FunctionRegistry,
    *,
    workers: int,
    max_payload: int,
    version: str,
    clock: Clock | None = None,
    photographer: Photographer | None = None,
    executor: str | PoolFactory = THREAD,
    max_tasks_per_child: int | None = None,
    plan: Plan = no_plan,
    retain: Callable[[Runtime], None] | None = None,
    keys: KeyRing | None = None,
    whole_log: Callable[[], Log] | None = None,
) -> Runtime:
    """Open an engine on a log: recover, start the actors, take commands.

    `retain` is called before that, and may set up what has the log forget.
    """

    def make_executor(runtime: Runtime) -> ThreadExecutor:
        run = Trampoline(
            runtime,
            functions,
            max_payload=max_payload,
            executor=executor,
            workers=workers,
            max_tasks_per_child=max_tasks_per_child,
            plan=plan,
        )

        def report(end: AttemptFinished) -> None:
            cause = end.key.cause
            runtime.report(end, cause)
            if end.outcome == "unresolved" and (known := run.found_meanwhile(end)) is not None:
                runtime.report(known, cause)

        return ThreadExecutor(
            workers,
            run=run,
            report=report,
            run_batch=run.run_batch,
            stop=run.stop,
            tell=run.tell,
            end=run.close,
        )

    runtime = Runtime(
        log,
        event_codec(),
        clock or SystemClock(),
        ACTORS,
        executor=make_executor,
        version=version,
        tzdata=tzdata_version(),
        photographer=photographer,
        keys=keys,
        whole_log=whole_log,
    )
    if retain is not None:
        retain(runtime)
    runtime.open()
    return runtime
