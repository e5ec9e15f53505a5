"""The life of a job against the clock: attempts that take too long, jobs that are not started in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import AttemptTimedOut, JobExpired
from actors.queue.outcome import cancel_dependents, fail, tell_end
from actors.queue.specs import JobStatus
from actors.queue.state import NOT_STARTED
from actors.runtime.effects import CancelAttempt
from actors.runtime.errors import InputError
from actors.runtime.messages import Decision
from actors.runtime.spans import span_text

if TYPE_CHECKING:
    from actors.queue.jobs import Job
    from actors.queue.specs import JobSpec
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context


def check_life(spec: JobSpec, context: Context) -> None:
    """Refuse a job that would have expired before it is due."""
    life = spec.life
    if life is None or spec.owner:
        return
    expires_us = life.expiry_us(context.now_us)
    if 0 < expires_us <= spec.due_us:
        late = span_text(spec.due_us - expires_us)
        msg = f"job {spec.job_id!r} would expire before its time has come: it is due {late} later"
        raise InputError(msg)


def meet_deadlines(state: QueueState, context: Context) -> Decision:
    """Give up what has run for too long, and what was not started in time."""
    decision = Decision()
    gone: set[str] = set()
    for job in state.past_deadline(context.now_us):
        if job.job_id in gone:
            continue
        gone.add(job.job_id)
        if job.job_id in state.running:
            _time_out(state, job, context, decision, gone=gone)
        else:
            _expire(state, job, context, decision, gone=gone)
    return decision


def meet_silence(state: QueueState, context: Context) -> Decision:
    """Give up attempts that have given no sign of life for too long."""
    decision = Decision()
    gone: set[str] = set()
    for job_id in state.pulses:
        job = state.running[job_id]
        life = job.kind.life
        if life is not None and (
            state.silent_since_us(job, context.beats) + life.heartbeat_us <= context.now_us
        ):
            _time_out(state, job, context, decision, silent=True, gone=gone)
    return decision


def _time_out(
    state: QueueState, job: Job, context: Context, decision: Decision, *, silent: bool = False, gone: set[str]
) -> None:
    """Abandon a running attempt: it has failed, whatever it still does is refused."""
    life = job.kind.life
    assert life is not None
    limit_us = life.heartbeat_us if silent else life.timeout_us
    attempt = job.course.attempt
    decision.emit(AttemptTimedOut(job.job_id, attempt, context.now_us, limit_us, silent), job.owner)
    decision.do(CancelAttempt(key=job.key))
    what = "gave no sign of life for" if silent else "did not end within"
    error = f"TimeoutError: attempt {attempt} {what} {span_text(limit_us)}"
    fail(state, job, context, decision, error=error, gone=gone)


def _expire(state: QueueState, job: Job, context: Context, decision: Decision, *, gone: set[str]) -> None:
    decision.emit(JobExpired(job.job_id, job.course.attempt, context.now_us), job.owner)
    tell_end(job, JobStatus.EXPIRED, NOT_STARTED, context, decision, charged=job.course.charged)
    others = state.dependents.get(job.job_id, ())
    cancel_dependents(state, others, f"job {job.job_id!r} expired", context, decision, gone=gone)
