"""Jobs: as their caller defines them, and as the engine remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actors.queue.specs import NO_LIFE, JobLife, JobStatus, RetryPolicy, Terms
from actors.runtime.errors import InputError
from actors.runtime.verdict import name_of
from logistics.inputs import MAX_PRIORITY, check_arguments, check_int, check_job_id, check_name, check_named
from logistics.task import limits
from logistics.task.life import Conditions, conditions, job_life
from logistics.task.options import DEFAULT_RETRIES, DEFAULT_RETRY_DELAY, job_retries, unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from actors.runtime.effects import AttemptKey
    from actors.runtime.signals import Progress
    from logistics.inputs import Duration

NO_TERMS = Terms()
MAX_BATCH = 1_000


def check_job(job: object, what: str = "job") -> None:
    """Refuse what is no `Job`, and say how what was given is meant, most likely."""
    if not isinstance(job, Job):
        name = getattr(job, "__name__", "")
        hint = f"; have it in one: Job({name!r}, {name}, args=[…])" if callable(job) and name else ""
        if isinstance(job, Chain):
            hint = "; Queue.enqueue_chain takes a chain, and a.then(b).then(c) makes one longer"
        elif isinstance(job, list | tuple):
            hint = "; Queue.enqueue_many takes several, Job.then and group have them side by side"
        msg = f"{what}: expected a Job, got {job!r}{hint}"
        raise InputError(msg)


def check_function(name: object, func: object) -> None:
    """Refuse what cannot be called, and a function in place of the name."""
    if callable(name):
        known = getattr(name, "__name__", "function")
        msg = f"name: expected a name, and the function behind it: Job({known!r}, {known}, args=[…])"
        raise InputError(msg)
    if not callable(func):
        msg = (
            "func: expected the function itself, not its name nor what it returns, as in "
            f"Job('add', add, args=[1, 2]); got {func!r}"
        )
        raise InputError(msg)


class Job:
    """A call to be made later: a function by name, its arguments, and what to do if it fails.

    Read back from the engine (`Queue.get_job`, `dequeue`) it also says where it stands; those attributes are
    what they were when it was read.
    """

    queue: str | None = None
    session_id: str | None = None
    project: str | None = None
    status: JobStatus | None = None
    result: Any = None
    error: str | None = None
    traceback: str | None = None
    attempts: int = 0
    progress: Progress | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sealed_with: str = ""
    """The id of the key of its subject."""
    _lease: AttemptKey | None = None

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
        max_retries: int | None = None,
        retry_delay: Duration | Sequence[Duration] | None = None,
        backoff: str | None = None,
        jitter: bool | None = None,
        unique_key: str | None = None,
        unique_scope: str | Duration = "until_finished",
        on_conflict: str = "reject",
        debounce: Duration | None = None,
        concurrency_key: str | None = None,
        group: str | None = None,
        resources: Mapping[str, float] | None = None,
        on_success: Job | None = None,
        on_failure: Job | None = None,
        timeout: Duration | None = None,
        expires: Duration | datetime | None = None,
        heartbeat: Duration | None = None,
        retry_on: Conditions = (),
        give_up_on: Conditions = (),
        executor: str | None = None,
        result_ttl: Duration | None = None,
        batch: int | None = None,
        subject: str | None = None,
        job_id: str | None = None,
    ) -> None:
        """Define a job; nothing is recorded before it is enqueued.

        Args:
            name: what people call it; 1 to 200 characters, need not be unique.
            func: a function that can be found again by name (see `docs/guide/functions.md`).
            args: positional arguments, plain data.
            kwargs: keyword arguments, plain data.
            priority: higher ones start first.
            max_retries: tries after the first one; 0 for none. A job that says nothing of its retries, by this or
                the next three, has those of its queue (`Queue.configure`): 3 from 1 second on unless said.
            retry_delay: base of the delay in seconds, doubled each time up to 5 minutes, with full jitter; 0: at once.
                A list has a delay for each retry, the last one for all that follow.
            backoff: as it is `exponential`, `linear` (the base times the failures, up to 5 minutes) or `fixed`.
            jitter: any time between 0 and the delay; as it is, only of an exponential one.
            unique_key: one job of the queue has it at a time.
            unique_scope: how long: `until_finished`, `while_pending` (until it starts), or seconds from its enqueueing.
            on_conflict: what happens to a job whose key another one has: `reject` (`DuplicateJobError` names the
                other one), `return_existing` (its id is returned), `replace` (it is cancelled, unless it has begun).
            debounce: start once the key has been quiet for so many seconds, with the last arguments.
            concurrency_key: whose job it is: a queue may limit how many of one key run (`Queue.configure`).
            group: groups of a queue are served in turn.
            resources: amounts of resources (`ResourceManager`) that it waits for and holds while it runs, all or none.
            on_success: a job that is enqueued with it and starts when it has completed.
            timeout: an attempt that has not ended after so many seconds has failed, and is given up.
            expires: seconds from the enqueueing, or an aware datetime: no attempt begins from then on.
            heartbeat: an attempt that gives no sign of life (`ctx.heartbeat()`, `ctx.progress(…)`) for so many
                seconds has failed, and is given up.
            retry_on: exception types, or functions of an exception, after which there is another try; after all
                others there is none. Nothing named: after all.
            give_up_on: likewise, after which there is none.
            executor: `thread` or `process`: where it runs, if not where the engine says.
            result_ttl: seconds for which its result may be asked for once it has completed.
            batch: up to so many jobs that differ in their arguments only are done in one call, whose function gets a
                list of `BatchedJob`; each has its own outcome.
            subject: whose data it is about: what it gets and says is sealed with a key of theirs, so that
                `OrchestrationEngine.erase` can erase it. Needs the extra `sign`.
            on_failure: one that starts when it has failed for good; each is cancelled if it is not wanted any more.
            job_id: an id of your own, so that enqueueing it twice makes one job.

        `InputError` names what is wrong.

        """
        if not callable(func) or not isinstance(name, str):
            check_function(name, func)
        self.name = check_name("name", name)
        self.func = func
        self.args = check_arguments(args)
        self.kwargs = check_named("kwargs", kwargs)
        self.priority = check_int("priority", priority, least=-MAX_PRIORITY, most=MAX_PRIORITY)
        self.max_retries = DEFAULT_RETRIES if max_retries is None else max_retries
        self.retry_delay = DEFAULT_RETRY_DELAY if retry_delay is None else retry_delay
        self._retry, self._backoff = job_retries(max_retries, retry_delay, backoff, jitter)
        self.unique_key = unique_key
        self._unique, self._debounce_us = unique(unique_key, unique_scope, on_conflict, debounce)
        self.concurrency_key = (
            None if concurrency_key is None else check_name("concurrency_key", concurrency_key)
        )
        self.group = None if group is None else check_name("group", group)
        self._resources = limits.resources(resources)
        if on_success is not None:
            check_job(on_success, "on_success")
        if on_failure is not None:
            check_job(on_failure, "on_failure")
        self.timeout = timeout
        self.expires = expires
        self.heartbeat = heartbeat
        self.executor = executor
        self.result_ttl = result_ttl
        self.retry_on = conditions("retry_on", retry_on)
        self.give_up_on = conditions("give_up_on", give_up_on)
        self._life = job_life(timeout, expires, heartbeat, executor, result_ttl)
        self.batch = None if batch is None else check_int("batch", batch, least=1, most=MAX_BATCH)
        if batch is not None and heartbeat is not None:
            msg = "batch: jobs that are done in one call have no heartbeat each"
            raise InputError(msg)
        self.subject = None if subject is None else check_name("subject", subject)
        self.on_success = on_success
        self.on_failure = on_failure
        self.job_id = None if job_id is None else check_job_id("job_id", job_id)

    def then(self, jobs: Job | Iterable[Job], *, results: bool = False) -> Chain:
        """Return a chain: this job, and then another one, or several side by side; see `Chain.then`."""
        return Chain().then(self).then(jobs, results=results)

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often and when it is tried again, as the queue takes it."""
        return self._retry

    @property
    def resources(self) -> dict[str, float]:
        """What it holds while it runs."""
        return dict(self._resources)

    @property
    def terms(self) -> Terms | None:
        """What holds it back beside its place in the line, as the queue takes it; None for nothing."""
        special = (self.concurrency_key or "", self.group or "", self._resources, self._unique, self._backoff)
        if self.batch:
            return Terms(*special, batch=self.batch)
        return Terms(*special) if any(special) else None

    def life(self, register: Callable[[Callable[..., Any]], str]) -> JobLife | None:
        """Return how long it may wait and run and what ends it, as the queue takes it; None if nothing is said.

        `register` names the functions that judge exceptions.
        """
        life = self._life
        if self.retry_on or self.give_up_on:
            life = replace(
                life,
                retry_on=tuple(name_of(each, register) for each in self.retry_on),
                give_up_on=tuple(name_of(each, register) for each in self.give_up_on),
            )
        return None if life == NO_LIFE else life

    @property
    def debounce_us(self) -> int:
        """How long it waits for others to replace it, microseconds."""
        return self._debounce_us

    @property
    def lease(self) -> AttemptKey | None:
        """The attempt that `Queue.dequeue` gave out; None for any other job."""
        return self._lease

    @lease.setter
    def lease(self, key: AttemptKey) -> None:
        self._lease = key

    def __repr__(self) -> str:
        known = "".join(f", {name}={value!r}" for name, value in self._known())
        return f"Job({self.name!r}{known})"

    def _known(self) -> list[tuple[str, Any]]:
        pairs = [("job_id", self.job_id), ("queue", self.queue), ("status", self.status and str(self.status))]
        return [(name, value) for name, value in pairs if value is not None]


class Chain:
    """Jobs in stages: each stage starts when every job of the one before has completed.

    If one of them fails or is cancelled, what follows is cancelled. Begun by `Job.then` or `group`, recorded whole by
    `Queue.enqueue_chain`.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._stages: tuple[tuple[tuple[Job, ...], bool], ...] = ()

    def __repr__(self) -> str:
        names = ([job.name for job in jobs] for jobs, _ in self._stages)
        return f"Chain({' -> '.join(repr(each[0] if len(each) == 1 else each) for each in names)})"

    @property
    def stages(self) -> tuple[tuple[tuple[Job, ...], bool], ...]:
        """The jobs of each stage, and whether they get what those before returned."""
        return self._stages

    def then(self, jobs: Job | Iterable[Job], *, results: bool = False) -> Chain:
        """Return a chain with one more stage: a job, or several that run side by side.

        With `results` their functions get what the jobs before returned, in order, behind their own arguments.
        """
        if not isinstance(jobs, Iterable):
            check_job(jobs, "then")
        stage = (jobs,) if isinstance(jobs, Job) else tuple(jobs)
        if not stage:
            msg = "then: expected at least one job"
            raise InputError(msg)
        for job in stage:
            check_job(job, "then")
        longer = Chain()
        longer._stages = (*self._stages, (stage, results and bool(self._stages)))
        return longer
