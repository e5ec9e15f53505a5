"""Waiting for a job, or until a queue has nothing left to do, without asking it more often than it helps."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from actors.queue.messages import GetJob, Unfinished
from actors.runtime.attempt import own_job
from actors.runtime.errors import WouldDeadlockError
from logistics.orchestration.awaiting import warn_if_not_served
from logistics.orchestration.run import waiting

if TYPE_CHECKING:
    from actors.queue.messages import JobView
    from actors.runtime.reply import Reply
    from logistics.orchestration.engine import OrchestrationEngine

PATIENCE_S = 5.0
"""How long a job is waited for before it is asked whether anybody serves its queue."""
FIRST_PAUSE_S = 0.001
LAST_PAUSE_S = 0.02
"""Pauses between two looks at the queue."""
LONGEST_PAUSE_S = 1.0
"""A look at least this often, should nothing be committed meanwhile."""


def wait_for_end(engine: OrchestrationEngine, watched: Reply, job_id: str, limit_s: float | None) -> Any:
    """Wait for the end of a job that is watched; warn, once, if it waits in a queue that nobody serves."""
    if limit_s is None or limit_s > PATIENCE_S:
        try:
            return engine.wait(watched, PATIENCE_S)
        except TimeoutError:
            if watched.done:
                raise
        limit_s = None if limit_s is None else limit_s - PATIENCE_S
        warn_if_not_served(engine, f"job:{job_id}", f"job {job_id}")
    return engine.wait(watched, limit_s)


def wait_until_idle(engine: OrchestrationEngine, queue: str, *, timeout_s: float | None = None) -> bool:
    """Wait until no pending, running or retrying job of a queue is left; False if there still is one then.

    `WouldDeadlockError` inside a job if no worker would be left to do the work.
    """
    runtime = engine.store.runtime
    _refuse_own_queue(engine, queue)
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    changed = threading.Event()
    pause_s = FIRST_PAUSE_S
    runtime.watch.listen(changed)
    try:
        with waiting(engine):
            while engine.query("queue", Unfinished(queue=queue)):
                left_s = LONGEST_PAUSE_S if deadline_s is None else deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                changed.wait(min(left_s, LONGEST_PAUSE_S))
                threading.Event().wait(pause_s)  # let some work pile up: asking costs the queue a turn
                pause_s = min(pause_s * 2, LAST_PAUSE_S)
                changed.clear()
            return True
    finally:
        runtime.watch.unlisten(changed)


def _refuse_own_queue(engine: OrchestrationEngine, queue: str) -> None:
    """Refuse to have a job wait until the queue in which it stands has nothing left to do."""
    job_id = own_job(engine.store.runtime)
    job: JobView | None = engine.query("queue", GetJob(job_id=job_id)) if job_id else None
    if job is not None and job.queue == queue:
        msg = f"a job of queue {queue!r} would wait until that queue is idle, which it is not before the job has ended"
        raise WouldDeadlockError(msg)
