"""Jobs that are taken up again: by hand, or because their function is there now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.queue.allocation import check_needs
from actors.queue.messages import JobEnqueued, JobReady, JobRetried, JobStatus
from actors.queue.outcome import retired_of
from actors.queue.unique import duplicate, unique_of
from actors.runtime.errors import InputError, UnknownIdError

if TYPE_CHECKING:
    from actors.queue.messages import FunctionsKnown, RetryJob
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision


def retry(state: QueueState, message: RetryJob, context: Context, decision: Decision) -> None:
    """Take up again a job that did not succeed."""
    job = state.jobs.get(message.job_id)
    if job is not None:
        msg = (
            f"job {message.job_id!r} is {job.status}; only a failed, cancelled or expired job can be retried"
        )
        raise InputError(msg)
    known = context.known.get(f"job:{message.job_id}")
    retired = state.retired.get(message.job_id) or (known and retired_of(known))
    if not retired or known is None:
        msg = f"no job {message.job_id!r} on record"
        raise UnknownIdError(msg)
    if retired.status is JobStatus.COMPLETED:
        msg = f"job {message.job_id!r} is COMPLETED; only a failed, cancelled or expired job can be retried"
        raise InputError(msg)
    first = known.history[0]
    assert isinstance(first, JobEnqueued)
    spec = first.spec
    if spec.owner:
        msg = f"job {message.job_id!r} belongs to {spec.owner!r}; retry that instead"
        raise InputError(msg)
    unique = unique_of(spec)
    if unique is not None:
        other = state.unique.holder(spec.queue, unique.key, context.now_us)
        if other not in (None, spec.job_id):
            raise duplicate(spec.queue, unique.key, other)
    if spec.terms is not None:
        check_needs(state, spec.terms)
    terms = spec.terms and msgspec.structs.replace(spec.terms, on_failure_of="")
    life = spec.life and spec.life.shared
    spec = msgspec.structs.replace(spec, payload=b"", due_us=0, after=(), terms=terms, life=life)
    decision.emit(JobRetried(spec, first.digest, retired.attempt, retired.status, context.now_us), spec.owner)


def functions_known(state: QueueState, message: FunctionsKnown, context: Context, decision: Decision) -> None:
    """Make ready what waited for functions that are known by now."""
    for function in message.functions:
        for job_id in state.unresolved.get(function, ()):
            decision.emit(JobReady(job_id, context.now_us, "function known"), state.jobs[job_id].owner)
