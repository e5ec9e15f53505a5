"""Erasing a subject: what was sealed with their key can be read by nobody any more, and the log stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actors.queue.events import JobEnqueued
from actors.queue.messages import CancelJob, ListJobs, ListQueues
from actors.runtime.errors import InputError, SubjectInUseError
from actors.runtime.patience import patiently
from actors.runtime.seals import key_in
from actors.schedule.messages import GetSchedules, RemoveSchedule
from actors.workflow.events import RunCreated
from actors.workflow.messages import CancelRun, GetRuns
from eventstore.keyring import KEY_BYTES
from logistics.inputs import as_datetime, check_name, timeout_s
from logistics.orchestration.reading import first
from logistics.orchestration.run import WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from logistics.inputs import Duration
    from logistics.orchestration.engine import OrchestrationEngine

SOME = 5
"""Open work that an error names."""


class Erasure(NamedTuple):
    """A subject was erased. Who it was is nowhere on record any more."""

    key: str
    """The id of the key that was destroyed: on record as `subject:KEY`."""
    at: datetime
    cancelled: tuple[str, ...]
    """The open work that was cancelled first."""


def erase(
    engine: OrchestrationEngine, subject: str, *, by: str, cancel: bool, timeout: Duration
) -> Erasure | None:
    """Do what `OrchestrationEngine.erase` says."""
    check_name("subject", subject)
    if by:
        _check_by(by)
    limit_s = timeout_s("timeout", timeout)
    with engine.store.runtime.vault.alone(limit_s):
        return _erase(engine, subject, by=by, cancel=cancel, limit_s=limit_s)


def _check_by(by: str) -> None:
    size = len(check_name("by", by).encode())
    if size > KEY_BYTES:
        msg = f"by: expected at most {KEY_BYTES} bytes, which take the place of the key at first, got {size}"
        raise InputError(msg)


def _erase(
    engine: OrchestrationEngine, subject: str, *, by: str, cancel: bool, limit_s: float | None
) -> Erasure | None:
    runtime = engine.store.runtime
    vault = runtime.vault
    patiently(lambda: vault.settle(runtime))
    key = vault.keys.find(subject)
    if not key:
        return None
    with vault.closing(key):
        work = tuple(_open_work(engine, key))
        if work and cancel:
            _cancel(engine, work, limit_s)
        left = tuple(_open_work(engine, key)) if cancel else work
        if left:
            named = ", ".join(left[:SOME]) + (f" and {len(left) - SOME} more" if len(left) > SOME else "")
            advice = "try again" if cancel else "wait for its end, or cancel it first (cancel=True)"
            msg = f"the subject has work that is not over: {named}; {advice}; nothing was erased"
            raise SubjectInUseError(msg, left)
        patiently(lambda: vault.destroy(runtime, key, by=by))
    return Erasure(key, as_datetime(runtime.clock.now_us()), work)


def _open_work(engine: OrchestrationEngine, key: str) -> Iterator[str]:
    """Yield what is not over of all that is sealed with a key; the steps of a run count as the run.

    Work goes from schedules to jobs, and from the job that plans a firing by way of the scheduler to a run. Whoever
    is asked in this order is asked before or behind what goes on meanwhile, and nothing slips by.
    """
    for view in engine.query("scheduler", GetSchedules()):
        if key_in(view.target.payload) == key and (view.waiting or not view.completed):
            yield f"schedule:{view.name}"
    for queue in engine.query("queue", ListQueues()):
        for job_id in engine.query("queue", ListJobs(queue=queue)):
            enqueued = first(engine, f"job:{job_id}")
            if isinstance(enqueued, JobEnqueued) and key_in(enqueued.spec.payload) == key:
                yield f"job:{job_id}"
    engine.query("scheduler", GetSchedules(names=("",)))  # answered once it has passed on what was planned
    for run_id in engine.query("supervisor", GetRuns()):
        created = first(engine, f"run:{run_id}")
        if isinstance(created, RunCreated) and key_in(created.params) == key:
            yield f"run:{run_id}"


def _cancel(engine: OrchestrationEngine, work: tuple[str, ...], limit_s: float | None) -> None:
    """Cancel everything, schedules first, and wait for the ends of runs, which may compensate first."""
    runs = []
    for entity in work:
        kind, _, name = entity.partition(":")
        if kind == "schedule":
            engine.ask("scheduler", RemoveSchedule(name=name))
        elif kind == "run":
            engine.ask("supervisor", CancelRun(run_id=name, gently=True))
            runs.append(name)
        else:
            engine.ask("queue", CancelJob(job_id=name))
    for run_id in runs:
        WorkflowRun(engine, run_id, "").wait(limit_s)
