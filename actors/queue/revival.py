"""Jobs that did not succeed, taken up again or given up; and those whose function is there now."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from actors.queue.allocation import check_needs
from actors.queue.cancelling import cancel_one
from actors.queue.events import JobDiscarded, JobEnqueued, JobReady, JobRetried
from actors.queue.outcome import retired_of
from actors.queue.queues import refuse_if_draining
from actors.queue.specs import WORKFLOW, JobStatus
from actors.queue.unique import duplicate, unique_of
from actors.runtime.errors import DuplicateJobError, InputError, QueueDrainingError, UnknownIdError

if TYPE_CHECKING:
    from actors.queue.floor import Retired
    from actors.queue.messages import DiscardJob, FunctionsKnown, RetryJob, RetryJobs
    from actors.queue.specs import JobSpec
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision

DISCARDED = "discarded by a caller"


def retry(state: QueueState, message: RetryJob, context: Context, decision: Decision) -> None:
    """Take up again a job that did not succeed."""
    _revive(state, message.job_id, context, decision, keys=set())


def retry_many(state: QueueState, message: RetryJobs, context: Context, decision: Decision) -> None:
    """Take up again those of many jobs that can be."""
    keys: set[tuple[str, str]] = set()
    revived = []
    for job_id in dict.fromkeys(message.job_ids):
        with suppress(InputError, UnknownIdError, DuplicateJobError, QueueDrainingError):
            _revive(state, job_id, context, decision, keys=keys)
            revived.append(job_id)
    decision.answer(tuple(revived))


def _revive(
    state: QueueState, job_id: str, context: Context, decision: Decision, *, keys: set[tuple[str, str]]
) -> None:
    """Record that a job is taken up again; `keys` are the unique keys that this decision has given."""
    spec, digest, retired = _ended(state, job_id, context, "retried")
    queue = retired.queue
    refuse_if_draining(state, queue)
    if spec.terms is not None:
        check_needs(state, spec.terms, owned=bool(spec.owner))
    unique = unique_of(spec)
    if unique is not None:
        other = state.unique.holder(queue, unique.key, context.now_us)
        if other not in (None, job_id) or (queue, unique.key) in keys:
            raise duplicate(queue, unique.key, other)
        keys.add((queue, unique.key))
    terms = spec.terms and msgspec.structs.replace(spec.terms, on_failure_of="")
    life = spec.life and spec.life.shared
    spec = msgspec.structs.replace(spec, queue=queue, payload=b"", due_us=0, after=(), terms=terms, life=life)
    decision.emit(JobRetried(spec, digest, retired.attempt, retired.status, context.now_us), spec.owner)


def discard(state: QueueState, message: DiscardJob, context: Context, decision: Decision) -> None:
    """Give up a job that did not succeed, or cannot even be begun."""
    job = state.jobs.get(message.job_id)
    if job is not None and job.status is JobStatus.UNRESOLVED:
        cancel_one(state, job, context, decision, DISCARDED)
        return
    _, _, retired = _ended(state, message.job_id, context, "discarded")
    if retired.status is not JobStatus.CANCELLED:
        decision.emit(
            JobDiscarded(
                message.job_id, retired.attempt, retired.queue, retired.status, context.now_us, DISCARDED
            )
        )


def _ended(state: QueueState, job_id: str, context: Context, what: str) -> tuple[JobSpec, bytes, Retired]:
    """Return a job that did not succeed, its fingerprint, and how it ended; a refusal if it did, or has not ended.

    `what` is to be done with it.
    """
    job = state.jobs.get(job_id)
    known = context.known.get(f"job:{job_id}")
    retired = state.retired.get(job_id) or (known and retired_of(known))
    if job is None and (not retired or known is None):
        msg = f"no job {job_id!r} on record"
        raise UnknownIdError(msg)
    status = job.status if job is not None else retired and retired.status
    if job is not None or status is JobStatus.COMPLETED:
        msg = f"job {job_id!r} is {status}; only a failed, cancelled or expired job can be {what}"
        raise InputError(msg)
    assert known is not None
    assert retired
    first = known.history[0]
    assert isinstance(first, JobEnqueued)
    if first.spec.owner:
        msg = f"job {job_id!r} belongs to {first.spec.owner!r}; it can only be {what} with that"
        raise InputError(msg)
    return first.spec, first.digest, retired


def functions_known(state: QueueState, message: FunctionsKnown, context: Context, decision: Decision) -> None:
    """Make ready what waited for functions that are known by now; `WORKFLOW` alone: for runs that are to be planned."""
    functions = message.functions
    if WORKFLOW in functions:
        functions += tuple(each for each in state.unresolved if each.startswith(WORKFLOW))
    for function in functions:
        for job_id in state.unresolved.get(function, ()):
            decision.emit(JobReady(job_id, context.now_us, "function known"), state.jobs[job_id].owner)
