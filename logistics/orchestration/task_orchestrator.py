"""Tasks that depend on each other: jobs on a queue that is served without anybody's doing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from actors.queue.messages import EnqueueJobs, ListJobs
from actors.queue.specs import JobStatus
from actors.runtime.errors import InputError
from logistics.inputs import check_id, timeout_s
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default
from logistics.orchestration.running import check_project, check_session
from logistics.task.place import Place
from logistics.task.queue import Queue
from logistics.task.specs import job_spec
from logistics.task.waiting import wait_until_idle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from logistics.inputs import Duration
    from logistics.task.job import Job

TASKS = "tasks"
"""The queue that tasks are jobs of."""


class TaskResult(NamedTuple):
    """Where a task stood when it was asked for, and what came of it."""

    task_id: str
    status: JobStatus
    success: bool
    result: Any
    error: str | None
    attempts: int


class TaskOrchestrator:
    """Runs jobs in the order of their dependencies, on the workers of an engine.

    Tasks are jobs of the queue `tasks`, which is served from here on until `close()` or until the engine is
    closed; what was left unfinished then goes on with the next orchestrator on the same store. How many run
    at one time is up to the engine's `workers`, and to the session, if they are of one.
    """

    def __init__(
        self,
        engine: OrchestrationEngine | None = None,
        *,
        session_id: str | None = None,
        project: str | None = None,
    ) -> None:
        """Use `engine`, or the default engine.

        Tasks submitted here are of the session with this id, and on record under this project. `UnknownIdError` if
        there is no such session or project.
        """
        self._engine = engine_or_default(engine)
        self._place = Place(check_session(self._engine, session_id), check_project(self._engine, project))
        self._queue = Queue(TASKS, engine=self._engine)
        self._lock = threading.Lock()
        self._ids: dict[str, None] = dict.fromkeys(self._engine.ask("queue", ListJobs(TASKS)))
        self._key: object | None = object()
        self._store = self._engine.store
        self._store.serve(self._key, frozenset((TASKS,)))

    def __repr__(self) -> str:
        return f"TaskOrchestrator(engine={self._engine!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def engine(self) -> OrchestrationEngine:
        """The engine whose workers do the work."""
        return self._engine

    def submit_task(self, job: Job, *, depends_on: Sequence[str] = ()) -> str:
        """Have a job run once every job of `depends_on` has completed; return its id.

        It is cancelled if one of them fails or is cancelled. `UnknownIdError` for a dependency that is not on
        record, `InputError` for one that has failed already and if the session is over, and what `Queue.enqueue`
        raises.
        """
        after = _ids("depends_on", depends_on)
        spec = job_spec(self._engine, job, queue=TASKS, after=after, place=self._place)
        self._engine.ask("queue", EnqueueJobs(jobs=(spec,), fresh=job.job_id is None))
        with self._lock:
            self._ids[spec.job_id] = None
        return spec.job_id

    def execute_task(self, job: Job) -> Any:
        """Submit a job, wait for it and return its result; raises what `Queue.result` raises."""
        return self._queue.result(self.submit_task(job))

    def cancel_task(self, task_id: str) -> bool:
        """Cancel a task that has not ended, and what depends on it; whether there was one."""
        return self._queue.cancel(task_id)

    def get_task_result(self, task_id: str) -> TaskResult | None:
        """Return how a task stands now, without waiting; None if there is none with this id."""
        job = self._queue.get_job(task_id)
        if job is None or job.status is None:
            return None
        done = job.status is JobStatus.COMPLETED
        return TaskResult(task_id, job.status, done, job.result, job.error, job.attempts)

    def list_tasks(self) -> list[Job]:
        """Return the tasks submitted here, and those that were unfinished when this orchestrator was made."""
        with self._lock:
            ids = list(self._ids)
        jobs = (self._queue.get_job(each) for each in ids)
        return [job for job in jobs if job is not None]

    def wait_for_completion(self, timeout: Duration | None = None) -> bool:
        """Wait until no task is pending, running or to be retried; False if one still is after `timeout`.

        Like `JobScheduler.process` it does not wait for what is unresolved or paused.
        """
        return wait_until_idle(self._engine, TASKS, timeout_s=timeout_s("timeout", timeout))

    def close(self) -> None:
        """Serve no more; what runs goes on to its end. Closing twice is fine."""
        with self._lock:
            key, self._key = self._key, None
        if key is not None:
            self._store.unserve(key)


def _ids(what: str, ids: Any) -> tuple[str, ...]:
    if isinstance(ids, str) or not hasattr(ids, "__iter__"):
        msg = f"{what}: expected a list or tuple of ids, got {ids!r}"
        raise InputError(msg)
    return tuple(dict.fromkeys(check_id(what, each) for each in ids))
