"""Jobs that are not wanted any more, by a caller, their owner, or because of what happened to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import JobCancelled
from actors.queue.floor import Retired
from actors.queue.outcome import cancel_dependents, retired_of, tell_end, tell_owner
from actors.queue.specs import JobStatus
from actors.runtime.effects import CancelAttempt

if TYPE_CHECKING:
    from actors.queue.jobs import Job
    from actors.queue.messages import CancelJob, CancelOwned
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision


def cancel(state: QueueState, message: CancelJob, context: Context, decision: Decision) -> None:
    """Cancel a job that has not ended."""
    job = state.jobs.get(message.job_id)
    decision.answer(job is not None)
    if job is not None:
        cancel_one(state, job, context, decision, "cancelled by a caller")


def cancel_owned(state: QueueState, message: CancelOwned, context: Context, decision: Decision) -> None:
    """Cancel a job for its owner, who is told how it ended, whenever that was."""
    job = state.jobs.get(message.job_id)
    if job is not None:
        cancel_one(state, job, context, decision, "cancelled by its owner")
        return
    known = context.known.get(f"job:{message.job_id}")
    retired = state.retired.get(message.job_id) or (known and retired_of(known))
    never = Retired(JobStatus.CANCELLED, 0, 0, "", context.now_us)
    tell_owner(message.owner, message.job_id, retired or never, decision)


def cancel_one(
    state: QueueState,
    job: Job,
    context: Context,
    decision: Decision,
    reason: str,
    *,
    gone: set[str] | None = None,
) -> None:
    """Cancel a live job and all that waits for it; `gone`: see `cancel_dependents`."""
    if job.job_id in state.running:
        decision.do(CancelAttempt(key=job.key))
    decision.emit(JobCancelled(job.job_id, job.course.attempt, context.now_us, reason), job.owner)
    tell_end(job, JobStatus.CANCELLED, reason, context, decision, charged=job.course.charged)
    others = state.dependents.get(job.job_id, ())
    cancel_dependents(state, others, f"job {job.job_id!r} was cancelled", context, decision, gone=gone)
