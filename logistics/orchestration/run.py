"""One run of a workflow: where it stands, waiting for its end, cancelling it."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from actors.runtime.attempt import CURRENT
from actors.workflow.messages import CancelRun, CancelSettled, RunAdopted, RunStatus
from logistics.inputs import as_datetime, timeout_s
from logistics.orchestration.result import RunRecord, StepResult, WorkflowResult, status_after

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from actors.runtime.messages import Event
    from actors.workflow.messages import RunCreated
    from logistics.inputs import Duration
    from logistics.orchestration.engine import OrchestrationEngine

LOOK_S = 5.0
"""How often a waiting call looks at the log by itself: a commit that failed may be there after all."""


class WorkflowRun:
    """A run on record. Everything but its id, its name and when it began is looked up at each use."""

    def __init__(self, engine: OrchestrationEngine, created: RunCreated, *, adopted: bool = False) -> None:
        self._engine = engine
        self._created = created
        self.adopted = adopted
        """Whether an earlier process began it, and the call that returned this took it over."""

    def __repr__(self) -> str:
        return f"WorkflowRun({self.run_id!r}, name={self.name!r})"

    @property
    def run_id(self) -> str:
        """Its id; ids of later runs are greater."""
        return self._created.run_id

    @property
    def name(self) -> str:
        """The name of its workflow."""
        return self._created.workflow

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return as_datetime(self._created.at_us)

    @property
    def status(self) -> RunStatus:
        """Where it stands, as far as that is durable."""
        end = self._end()
        return RunStatus.RUNNING if end is None else status_after(end)

    @property
    def steps(self) -> dict[str, StepResult]:
        """Every step as it stands, by name, in the workflow's order."""
        return RunRecord(self._engine, self.run_id).steps()

    def result(self, timeout: Duration | None = None) -> WorkflowResult:
        """Wait for the end, `timeout` seconds at most, and return how it ended, whichever way that was.

        `TimeoutError` if it has not ended by then, `WouldDeadlockError` inside a job or step if no worker
        would be left to do the work.
        """
        limit_s = timeout_s("timeout", timeout)
        if self._end() is None:
            with waiting(self._engine):
                self.wait(limit_s)
        return self.read()

    def __await__(self) -> Generator[Any, None, WorkflowResult]:
        """Wait for the end in asyncio; like `result()`."""
        return asyncio.to_thread(self.result).__await__()

    def cancel(self) -> bool:
        """Cancel it if it has not ended; whether that was so. A function that already runs is not stopped."""
        return bool(self._engine.ask("supervisor", CancelRun(run_id=self.run_id)))

    # -- what the manager uses -------------------------------------------------------------------------------

    def wait(self, limit_s: float | None) -> None:
        """Wait for the end on the durable log; `TimeoutError`."""
        engine, entity = self._engine, f"run:{self.run_id}"
        deadline = None if limit_s is None else time.monotonic() + limit_s
        watched = engine.watch(entity)
        try:
            while self._end() is None:
                left_s = LOOK_S if deadline is None else min(LOOK_S, deadline - time.monotonic())
                if left_s <= 0:
                    msg = f"run {self.run_id} of workflow {self.name!r} has not ended within {limit_s:g} s"
                    raise TimeoutError(msg)
                if watched.wait(left_s):
                    watched.get()
        finally:
            engine.unwatch(entity, watched)

    def read(self) -> WorkflowResult:
        """Return how it ended."""
        return RunRecord(self._engine, self.run_id).result(adopted=self.adopted)

    def _end(self) -> Event | None:
        """Return the event that ended it, if it is durable."""
        runtime = self._engine.store.runtime
        entity = f"run:{self.run_id}"
        stored = runtime.log.last(entity, upto=runtime.journal.watermark)
        last = None if stored is None else runtime.codec.decode(stored.record)
        if last is None or last.final:
            return last
        if not isinstance(last, RunAdopted | CancelSettled):
            return None
        # These two may come after the end.
        return next((event for _, event in self._engine.history(entity) if event.final), None)


@contextmanager
def waiting(engine: OrchestrationEngine) -> Iterator[None]:
    """Mark a wait for other work; `WouldDeadlockError` on a worker of the engine if none would be left."""
    runtime = engine.store.runtime
    if CURRENT.get(None) is runtime:
        with runtime.executor.blocking():
            yield
    else:
        yield
