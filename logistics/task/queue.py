"""The queue as its users see it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from actors.queue.messages import (
    CancelJob,
    DiscardJob,
    EnqueueJobs,
    GetJob,
    LeaseJob,
    MoveJobs,
    RetryJob,
    RetryJobs,
    SettleLease,
)
from actors.queue.specs import FINAL, JobSpec, JobStatus
from actors.runtime.attempt import printable, refuse_own_job
from actors.runtime.errors import InputError
from actors.runtime.later import Later
from actors.runtime.spans import span_text
from actors.runtime.values import encode_result
from logistics.errors import (
    LeaseLostError,
    ResultExpiredError,
)
from logistics.inputs import check_name, check_options, duration_us, instant_us, span_us, timeout_s
from logistics.orchestration.awaiting import too_long, until_ended
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default
from logistics.orchestration.given import refuse_engine
from logistics.orchestration.running import check_project
from logistics.task.chain import callbacks, chain_specs
from logistics.task.job import Chain, Job
from logistics.task.listing import by_many, job_filter, waiting_jobs
from logistics.task.place import Place
from logistics.task.reading import QueueReading, check_text
from logistics.task.record import job_id_of, status_of
from logistics.task.results import kept_us, outcome_of
from logistics.task.specs import job_spec
from logistics.task.waiting import wait_for_end
from logistics.whereabouts import MEMORY

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from actors.queue.messages import JobView
    from actors.runtime.reply import Reply
    from logistics.inputs import Duration
    from logistics.task.listing import Statuses
else:
    asyncio = Later("asyncio")

PARKED = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)
MOVABLE = (JobStatus.PENDING, JobStatus.SCHEDULED, JobStatus.RETRYING, JobStatus.UNRESOLVED)
BACKENDS = ("lmdb", "memory")


class Wanted(TypedDict, total=False):
    """Which jobs are meant, as `Queue.list_jobs` has it."""

    name: str | None
    func: Callable[..., Any] | None
    concurrency_key: str | None
    group: str | None
    since: datetime | None
    until: datetime | None
    project: str | None


class Queue(QueueReading):
    """A named queue of jobs in an engine's store.

    Higher priority first, first in first out among equals. What `enqueue` has returned for is on disk. A queue
    is served while a `JobScheduler` processes it or is started.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        backend: str = "lmdb",
        engine: OrchestrationEngine | None = None,
        project: str | None = None,
    ) -> None:
        """Name a queue. `backend="memory"` keeps it nowhere, in an engine of its own unless one is given.

        What is enqueued through it is recorded under `project`. `UnknownIdError` if that is not on record.
        """
        refuse_engine("queue", name, "Queue(engine=…)")
        self.name = check_name("queue", name)
        if backend not in BACKENDS:
            msg = f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}"
            raise InputError(msg)
        self.backend = backend
        if backend == "memory":
            if engine is not None and engine.path != MEMORY:
                msg = f"backend: the engine given keeps its store in {engine.path}, not in memory"
                raise InputError(msg)
            engine = engine or OrchestrationEngine(MEMORY)
        self._engine = engine_or_default(engine)
        self._place = Place(project=check_project(self._engine, project))

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"

    @property
    def engine(self) -> OrchestrationEngine:
        """The engine whose store the queue is in."""
        return self._engine

    # -- putting in -------------------------------------------------------------------------------------

    def enqueue(self, job: Job, priority: int | None = None) -> str:
        """Put a job on the queue; return its id. It is on disk, synced, when this returns.

        `priority` overrides the job's own. `FunctionError` for a function that cannot be found again by name,
        `InputError` for arguments that do not fit it, `PayloadError` for such as are no plain data or too large,
        `ConflictingIdError` if the job's own id is on record for another job. A job that was read back and is over is
        an `InputError`, too: `retry` takes it up again.
        """
        return self._enqueue([job], [self._spec(job, priority=priority)])[0]

    def enqueue_many(self, jobs: Iterable[Job]) -> list[str]:
        """Put many jobs on the queue in one commit, all or none; return their ids in order."""
        if not isinstance(jobs, Iterable):
            msg = f"jobs: expected a list of jobs, got {jobs!r}"
            raise InputError(msg)
        jobs = list(jobs)
        return self._enqueue(jobs, [self._spec(job) for job in jobs])

    def enqueue_chain(self, chain: Chain) -> list[list[str]]:
        """Put a whole chain on the queue in one commit; return the ids of each stage, in order.

        What follows a job that fails or is cancelled is cancelled. `InputError` for a chain with nothing in it,
        `DuplicateJobError` if others follow one whose unique key another job has, whatever its `on_conflict` says.
        """
        if not isinstance(chain, Chain) or not chain.stages:
            msg = f"chain: expected what Job.then or group() returns, got {chain!r}"
            raise InputError(msg)
        stages = list(chain_specs(chain, self._after))
        jobs = tuple(spec for stage in stages for spec in stage)
        ids = iter(self._engine.ask("queue", EnqueueJobs(jobs=jobs, whole=True)))
        return [[next(ids) for _ in stage] for stage in stages]

    def schedule(self, job: Job, when: datetime | timedelta | float) -> str:
        """Put a job on the queue for later; return its id.

        `when` is an aware datetime, or a timedelta (or seconds) from now: it does not start before.
        """
        if hasattr(when, "tzinfo"):
            due_us = instant_us("when", when)
        else:
            due_us = self._engine.store.runtime.clock.now_us() + span_us("when", when)
        return self._enqueue([job], [self._spec(job, due_us=max(1, due_us))])[0]

    def _enqueue(self, jobs: list[Job], specs: list[JobSpec]) -> list[str]:
        if not jobs:
            return []
        fresh = True
        followers: list[JobSpec] = []
        for job, spec in zip(jobs, specs, strict=True):
            if job.status in FINAL:
                self._refuse_ended(spec.job_id)
            if job.on_success or job.on_failure:
                followers += callbacks(job, spec, self._after)
            fresh = fresh and job.job_id is None and not followers
        ids = self._engine.ask("queue", EnqueueJobs(jobs=(*specs, *followers), fresh=fresh))
        return list(ids[: len(specs)])

    def _refuse_ended(self, job_id: str) -> None:
        """Refuse a job that was read back and is over: its id is on record, so nothing would happen."""
        known = self.get_job(job_id)
        if known is not None and known.status in FINAL:
            advice = (
                f"retry({job_id!r}) takes it up" if known.status in PARKED else "a new Job does it once more"
            )
            msg = f"job {job_id} is {known.status}: to enqueue it again changes nothing; {advice}"
            raise InputError(msg)

    def _after(self, job: Job, after: tuple[str, ...], key: str, results: int) -> JobSpec:
        return job_spec(
            self._engine, job, queue=self.name, after=after, place=self._place, key=key, results=results
        )

    def _spec(self, job: Job, *, priority: int | None = None, due_us: int = 0) -> JobSpec:
        return job_spec(
            self._engine, job, queue=self.name, priority=priority, due_us=due_us, place=self._place
        )

    # -- taking by hand ---------------------------------------------------------------------------------

    def dequeue(self, lease: Duration = 60) -> Job | None:
        """Take the next ready job by hand for `lease` seconds; None if there is none.

        Say how it ended with `complete` or `fail`; else the lease runs out, which counts as an attempt.
        """
        lease_us = duration_us("lease", lease, least_us=1)
        key = self._engine.ask("queue", LeaseJob(queue=self.name, lease_us=lease_us))
        if key is None:
            return None
        job = self.get_job(key.job_id)
        assert job is not None
        job.lease = key
        return job

    def complete(self, job: Job, result: Any = None) -> None:
        """Record that a job taken by hand succeeded. `LeaseLostError` if it is no longer ours."""
        data = encode_result(result, limit=self._engine.max_payload)
        if isinstance(job, Job) and job.sealed_with:
            data = self._vault.seal(data, job.sealed_with)
        self._settle(job, "ok", result=data)

    def fail(self, job: Job, error: object = "") -> None:
        """Record that a job taken by hand failed; it is retried like any other. `LeaseLostError` likewise."""
        is_raised = isinstance(error, BaseException)
        text = printable(f"{type(error).__name__}: {error}" if is_raised else str(error))
        if isinstance(job, Job) and job.sealed_with:
            seal = self._vault.seal_error if is_raised else self._vault.seal_text
            text = seal(text, job.sealed_with)
        self._settle(job, "error", error=text)

    def _settle(self, job: Job, outcome: str, *, result: bytes = b"", error: str = "") -> None:
        if not isinstance(job, Job) or job.lease is None:
            msg = f"expected a job that dequeue() returned, got {job!r}"
            raise InputError(msg)
        settled = self._engine.ask(
            "queue", SettleLease(key=job.lease, outcome=outcome, result=result, error=error)
        )
        if not settled:
            msg = f"the lease on job {job.job_id} has run out or was settled before; nothing was changed"
            raise LeaseLostError(msg)

    # -- one job ----------------------------------------------------------------------------------------

    def result(self, job_id: str, timeout: Duration | None = None) -> Any:
        """Wait for a job and return its result.

        `JobFailedError` (with text and traceback), `JobCancelledError` or `JobExpiredError` if it did not succeed,
        `ResultExpiredError` after the job's `result_ttl`, `JobNotFoundError` for an unknown id, `TimeoutError` after
        `timeout` seconds, `WouldDeadlockError` inside a job if no worker would be left to do it. After five seconds in
        which nobody serves the queue, a warning is logged: it may be served later, so the wait goes on.
        """
        limit = timeout_s("timeout", timeout)
        refuse_own_job(self._engine.store.runtime, job_id)
        entity = f"job:{job_id}"
        watched = self._engine.watch(entity)
        try:
            history = self._check_here(job_id)
            if status_of(history) not in FINAL:
                return outcome_of(job_id, self._vault.shown(self._wait(watched, job_id, limit)))
            if self._is_too_old(history):
                msg = f"the result of job {job_id} was kept for {span_text(kept_us(history))} and has expired"
                raise ResultExpiredError(msg)
            return outcome_of(job_id, next(event for event in reversed(history) if event.final))
        finally:
            self._engine.unwatch(entity, watched)

    def _wait(self, watched: Reply, job_id: str, limit: float | None) -> Any:
        try:
            return wait_for_end(self._engine, watched, job_id, limit)
        except TimeoutError as error:
            if limit is None or watched.done:
                raise
            raise too_long(self._engine, f"job:{job_id}", f"job {job_id}", limit) from error

    async def future(self, job_id: str) -> Any:
        """Wait for a job in asyncio; like `result`."""
        entity, named = f"job:{job_id}", f"job {job_id}"
        await until_ended(self._engine, entity, lambda: self.get_status(job_id) in FINAL, named)
        return await asyncio.to_thread(self.result, job_id)

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that has not ended; whether there was one.

        A function that already runs is not stopped, but what it returns is refused.
        """
        check_text(job_id)
        view: JobView | None = self._engine.query("queue", GetJob(job_id=job_id))
        if view is None or view.queue != self.name:
            return False
        return bool(self._engine.ask("queue", CancelJob(job_id=job_id)))

    def retry(self, job_id: str) -> None:
        """Take up a failed or cancelled job again, with all its tries. `JobNotFoundError`, `InputError`."""
        self._check_here(job_id)
        self._engine.ask("queue", RetryJob(job_id=job_id))

    def retry_all(
        self,
        *,
        status: Statuses = "FAILED",
        progress: Callable[[int, int], object] | None = None,
        **wanted: Unpack[Wanted],
    ) -> int:
        """Take up again every failed job, or those of other statuses that are no success; return how many.

        One that belongs to a run or a schedule, or whose unique key another one has, is left as it is. The oldest
        are first, a thousand at a time in one commit, all or none; after each `progress(done, total)` is called. Cut
        short in the middle, it goes on when it is said again. `wanted`: which of them, as in `list_jobs`.
        """
        check_options("retry_all", wanted, Wanted.__annotations__)
        chosen = job_filter(self._engine, status=status, among=PARKED, **wanted)
        return by_many(
            [job_id_of(events) for events in self._on_record(chosen)][::-1],
            lambda some: self._engine.ask("queue", RetryJobs(job_ids=some)),
            progress,
        )

    def discard(self, job_id: str) -> None:
        """Give up a job that failed, expired or waits for its function: from now on it is `CANCELLED`.

        Its history stays, and `retry` takes it up again, should that be wanted after all. `JobNotFoundError`,
        `InputError` for one that succeeded, or that `cancel` is for.
        """
        self._check_here(job_id)
        self._engine.ask("queue", DiscardJob(job_id=job_id))

    def move(self, job_id: str, to: Queue | str) -> None:
        """Have a job that waits stand in another queue, behind those of its priority there.

        `JobNotFoundError`, `InputError` for one that runs or has ended, `DuplicateJobError` if another one has its
        unique key there, `QueueDrainingError`.
        """
        self._check_here(job_id)
        self._engine.ask("queue", MoveJobs(job_ids=(job_id,), queue=self._other(to), strict=True))

    def move_all(
        self,
        to: Queue | str,
        *,
        status: Statuses = None,
        progress: Callable[[int, int], object] | None = None,
        **wanted: Unpack[Wanted],
    ) -> int:
        """Have every job that waits stand in another queue, in the same order; return how many.

        One that runs, or whose unique key another one has there, stays here. A thousand at a time are moved in one
        commit; `progress` and `wanted` as in `retry_all`.
        """
        queue = self._other(to)
        check_options("move_all", wanted, Wanted.__annotations__)
        chosen = job_filter(self._engine, status=status, among=MOVABLE, **wanted)
        return by_many(
            waiting_jobs(self._engine, self.name, chosen),
            lambda some: self._engine.ask("queue", MoveJobs(job_ids=some, queue=queue)),
            progress,
        )

    def _other(self, queue: Queue | str) -> str:
        """Return the name of another queue of this store."""
        name = queue.name if isinstance(queue, Queue) else check_name("to", queue)
        if isinstance(queue, Queue) and queue.engine.store is not self._engine.store:
            msg = f"to: queue {name!r} is in another store, {queue.engine.path}"
            raise InputError(msg)
        if name == self.name:
            msg = f"to: expected another queue than {name!r}"
            raise InputError(msg)
        return name
