"""Who processes queues."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

from actors.queue.messages import GetStats, ListQueues, QueueStats
from actors.runtime.errors import InputError
from logistics.inputs import check_name
from logistics.orchestration.given import OnEngine
from logistics.orchestration.stores import started
from logistics.task.queue import Queue
from logistics.task.waiting import wait_until_idle

if TYPE_CHECKING:
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.stores import Store
    from logistics.task.job import Job

logger = logging.getLogger("logistics.queue")
MOST_NAMED = 10
"""Queues that a warning names."""


class ProcessSummary(NamedTuple):
    """What one call of `JobScheduler.process` has seen."""

    completed: int
    failed: int
    retried: int
    """Attempts that failed and were tried again."""


class JobScheduler(OnEngine):
    """Has the workers of an engine serve queues: until they are empty, or until stopped."""

    def __init__(self, engine: OrchestrationEngine | None = None) -> None:
        """Use `engine`, or the default engine."""
        super().__init__(engine=engine)
        self._key: object | None = None
        self._at: tuple[OrchestrationEngine, Store] | None = None
        """Where this was started: stopping must not open an engine."""
        self._lock = threading.Lock()

    def process(self, queue: Queue | str) -> ProcessSummary:
        """Have a queue served until no pending, running or retrying job of it is left; return what happened.

        It may be named, as for `start`. Waits for retries and takes jobs that are enqueued meanwhile; does not wait
        for jobs scheduled for later, taken by hand, unresolved or paused. A job's failure is counted, never raised.
        `WouldDeadlockError` inside a job if no worker would be left. A queue that never had a job, while others had, is
        named in a warning: that may be a slip.
        """
        if not isinstance(queue, Queue):
            queue = Queue(queue, engine=self.engine)
        engine = queue.engine
        store = engine.store
        before: QueueStats = engine.query("queue", GetStats(queue=queue.name))
        key = object()
        store.serve(key, frozenset((queue.name,)))
        try:
            wait_until_idle(engine, queue.name)
        finally:
            store.unserve(key)
        after: QueueStats = engine.query("queue", GetStats(queue=queue.name))
        if not any(after.by_status.values()):
            _warn_if_unknown(engine, queue.name)
        return ProcessSummary(
            completed=after.by_status["COMPLETED"] - before.by_status["COMPLETED"],
            failed=after.by_status["FAILED"] - before.by_status["FAILED"],
            retried=after.retried - before.retried,
        )

    def start(self, *queues: Queue | str) -> None:
        """Have queues served, all of them when none is named, until `stop()`; returns at once.

        The process stays alive until then, or until Ctrl-C or SIGTERM. Starting again adds queues. One that was given
        no engine serves that of the queues. `InputError` for a queue of another store than it serves.
        """
        names = frozenset(map(_name_of, queues))
        engine = self._engine_of([queue for queue in queues if isinstance(queue, Queue)])
        store = engine.store
        with self._lock:
            if self._key is None:
                self._key = started()
                self._served: frozenset[str] | None = frozenset()
            everything = not names or self._served is None
            self._served = None if everything else (self._served or frozenset()) | names
            self._at = engine, store
            engine.started.add(self)
            store.serve(self._key, self._served)

    def _engine_of(self, queues: list[Queue]) -> OrchestrationEngine:
        """Return the engine that is to serve queues: the one that was given or is served already, else theirs."""
        if self._at is not None:
            engine = self._at[0]
        else:
            engine = queues[0].engine if queues and self._given is None else self.engine
        for queue in queues:
            if queue.engine.store is not engine.store:
                msg = (
                    f"queue {queue.name!r} is in the store {queue.engine.path}, and this scheduler serves that in "
                    f"{engine.path}; make one of its own for it: JobScheduler(engine)"
                )
                raise InputError(msg)
        return engine

    def stop(self) -> None:
        """Serve no more; what runs goes on to its end. Stopping twice is fine."""
        with self._lock:
            key, self._key = self._key, None
            at, self._at = self._at, None
        if key is not None and at is not None:
            at[0].started.discard(self)
            at[1].unserve(key)

    def add_job(self, job: Job) -> str:
        """Put a job on the queue named "default"; return its id."""
        return Queue(engine=self.engine).enqueue(job)


def _name_of(queue: Queue | str) -> str:
    if isinstance(queue, list | tuple | set):
        msg = f"queues: expected them one by one, as in start('mail', 'images'), got {queue!r}"
        raise InputError(msg)
    return queue.name if isinstance(queue, Queue) else check_name("queue", queue)


def _warn_if_unknown(engine: OrchestrationEngine, queue: str) -> None:
    """Warn of a queue that nothing was ever put on, if there are others: its name may be a slip."""
    names = [each for each in engine.query("queue", ListQueues()) if not each.startswith("@")]
    if names and queue not in names:
        there = ", ".join(repr(each) for each in sorted(names)[:MOST_NAMED])
        logger.warning("queue %r is not on record, so nothing was done; there are %s", queue, there)
