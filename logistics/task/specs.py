"""Jobs as the queue takes them: their functions by name, their arguments as bytes."""

from __future__ import annotations

from actors.queue.specs import JobSpec
from actors.runtime.values import encode_call
from logistics.ids import new_id
from logistics.inputs import MAX_PRIORITY, check_int
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.fitting import check_fit
from logistics.task.job import Job, check_job
from logistics.task.place import NOWHERE, Place
from logistics.task.record import Stored


def job_spec(
    engine: OrchestrationEngine,
    job: Job,
    *,
    queue: str,
    priority: int | None = None,
    due_us: int = 0,
    after: tuple[str, ...] = (),
    place: Place = NOWHERE,
    key: str = "",
    results: int = 0,
) -> JobSpec:
    """Return a job as the queue takes it: its function by name, its arguments as bytes.

    `key` is what it is sealed with if it names no subject. So many `results` of other jobs are to be behind its
    arguments.
    """
    check_job(job)
    if priority is None:
        priority = job.priority
    else:
        check_int("priority", priority, least=-MAX_PRIORITY, most=MAX_PRIORITY)
    if job.debounce_us:
        due_us = max(due_us, engine.store.runtime.clock.now_us() + job.debounce_us)
    return JobSpec(
        job.job_id or new_id(),
        queue,
        job.name,
        engine.register(job.func.found() if isinstance(job.func, Stored) else job.func),
        arguments_of(engine, job, key, results),
        priority,
        job.retry_policy,
        due_us,
        "",
        (),
        after,
        terms=job.terms if place == NOWHERE else place.terms(job.terms),
        life=job.life(engine.register),
    )


def arguments_of(engine: OrchestrationEngine, job: Job, key: str = "", results: int = 0) -> bytes:
    """Return the arguments of a job as bytes, sealed if it is of a subject; with `key` if it names none.

    `InputError` if they, and the results behind them, do not fit its function.
    """
    data = encode_call(job.args, job.kwargs, limit=engine.max_payload)
    check_fit(job, results)
    if job.subject is None and not (key := job.sealed_with or key):
        return data
    vault = engine.store.runtime.vault
    return vault.seal(data, key if job.subject is None else vault.key_for(job.subject))
