"""The end of an attempt and of a job: what is recorded, what becomes ready, who is told."""

from __future__ import annotations

from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.events import (
    AttemptInterrupted,
    AttemptPrinted,
    AttemptRefused,
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobMoved,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobUnblocked,
)
from actors.queue.floor import Retired
from actors.queue.messages import JobEnded
from actors.queue.specs import JobStatus, RetryPolicy
from actors.queue.state import NOT_STARTED, QueueState
from actors.runtime.effects import AS_USUAL, GIVE_UP, RETRY, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.queue.jobs import Job
    from actors.queue.specs import Backoff
    from actors.runtime.messages import Context, Decision, Event, Known

DEFAULT = RetryPolicy()
"""The policy of a job that says nothing."""
MIN_STARTS = 3
"""Attempts that an interrupted job gets at least, however few retries it allows."""
INTERRUPTED = "Interrupted"
ENDINGS: Mapping[type[Event], JobStatus] = MappingProxyType(
    {
        JobCompleted: JobStatus.COMPLETED,
        JobFailed: JobStatus.FAILED,
        JobCancelled: JobStatus.CANCELLED,
        JobDiscarded: JobStatus.CANCELLED,
        JobExpired: JobStatus.EXPIRED,
    }
)


def complete(
    state: QueueState,
    job: Job,
    context: Context,
    decision: Decision,
    *,
    result: bytes,
    run_us: int,
    note: bytes = b"",
) -> None:
    """Record a success, tell the owner, and let go what waited for this job."""
    decision.emit(
        JobCompleted(job.job_id, job.course.attempt, result, context.now_us, run_us, note), job.owner
    )
    if job.owner:
        tell_end(job, JobStatus.COMPLETED, "", context, decision, charged=job.course.charged + 1, note=note)
    if others := state.dependents.get(job.job_id):
        _let_go_after_success(state, job.job_id, others, context, decision)


def _let_go_after_success(
    state: QueueState, job_id: str, others: Iterable[str], context: Context, decision: Decision
) -> None:
    """Let those start that waited for this success, and cancel those that waited for a failure."""
    gone: set[str] = set()
    for other in others:
        waiting = state.jobs.get(other)
        if waiting is None or not waiting.course.missing or other in gone:
            continue  # it was cancelled, and perhaps taken up again on its own
        if waiting.course.on_failure_of == job_id:
            cancel_dependents(state, (other,), f"job {job_id!r} did not fail", context, decision, gone=gone)
        else:
            _unblock(waiting, job_id, context, decision)


def _unblock(waiting: Job, by: str, context: Context, decision: Decision) -> None:
    """Record that a job waits for one job less."""
    if waiting.course.missing == 1 and waiting.status is JobStatus.PENDING:
        decision.emit(JobReady(waiting.job_id, context.now_us, "dependencies"), waiting.owner)
    else:
        decision.emit(JobUnblocked(waiting.job_id, by), waiting.owner)


def fail(
    state: QueueState,
    job: Job,
    context: Context,
    decision: Decision,
    *,
    error: str,
    traceback: str = "",
    verdict: Verdict = AS_USUAL,
    gone: set[str] | None = None,
) -> None:
    """Record a failure: another try later, or the end of the job and of what waits for it.

    `gone`: see `cancel_dependents`.
    """
    charged = job.course.charged + 1
    line = state.lines[job.queue]
    policy = _policy(state, job)
    if charged <= policy.max_retries and verdict.advice != GIVE_UP:
        delay_us = retry_delay_us(policy, charged, job.job_id, job.kind.backoff)
        if verdict.advice == RETRY:
            delay_us = verdict.after_us
        due_us = context.now_us + delay_us
        if (rate := line.settings.retry_rate) is not None:
            due_us = line.retry_us(rate, due_us, _retries_of(state, decision, job.queue))
        decision.emit(
            JobRetrying(job.job_id, job.course.attempt, error, traceback, context.now_us, due_us), job.owner
        )
        return
    decision.emit(JobFailed(job.job_id, job.course.attempt, error, traceback, context.now_us), job.owner)
    tell_end(job, JobStatus.FAILED, error, context, decision, charged=charged)
    let_go_after_failure(state, job.job_id, context, decision, gone=gone)


def _retries_of(state: QueueState, decision: Decision, queue: str) -> list[int]:
    """Return when the retries of a queue fall due that this decision has decided on so far."""
    return [
        event.due_us
        for event, _ in decision.events
        if isinstance(event, JobRetrying) and state.jobs[event.job_id].queue == queue
    ]


def _policy(state: QueueState, job: Job) -> RetryPolicy:
    """Return when a job is tried again: as it says, or as its queue does if it says nothing. Steps say so always."""
    queues_own = state.lines[job.queue].settings.retry
    says_nothing = job.kind.retry == DEFAULT and job.kind.backoff is None and not job.owner.startswith("run:")
    return queues_own if queues_own is not None and says_nothing else job.kind.retry


def snooze(job: Job, context: Context, decision: Decision, *, reason: str, after_us: int) -> None:
    """Record that a job is to be called again later; this was no attempt."""
    due_us = context.now_us + max(1, after_us)
    decision.emit(JobSnoozed(job.job_id, job.course.attempt, context.now_us, due_us, reason), job.owner)


def let_go_after_failure(
    state: QueueState, job_id: str, context: Context, decision: Decision, *, gone: set[str] | None = None
) -> None:
    """Let those start that waited for this failure, and cancel those that waited for a success."""
    gone = set() if gone is None else gone
    others = state.dependents.get(job_id, ())
    for other in others:
        waiting = state.jobs.get(other)
        if waiting is None or not waiting.course.missing or other in gone:
            continue
        if waiting.course.on_failure_of == job_id:
            _unblock(waiting, job_id, context, decision)
    rest = [
        other for other in others if other in state.jobs and state.jobs[other].course.on_failure_of != job_id
    ]
    cancel_dependents(state, rest, f"job {job_id!r} failed", context, decision, gone=gone)


def cancel_dependents(
    state: QueueState,
    others: Iterable[str],
    why: str,
    context: Context,
    decision: Decision,
    *,
    gone: set[str] | None = None,
) -> None:
    """Cancel, without recursion, jobs that wait for something that will not be, and all that wait for them.

    `gone` has the jobs that this decision has cancelled so far, when it ends more than one.
    """
    gone = set() if gone is None else gone
    stack = list(others)[::-1]
    while stack:
        other = stack.pop()
        waiting = state.jobs.get(other)
        if waiting is not None and waiting.course.missing and other not in gone:
            gone.add(other)
            stack += state.dependents.get(other, ())[::-1]
            decision.emit(JobCancelled(other, waiting.course.attempt, context.now_us, why), waiting.owner)
            tell_end(waiting, JobStatus.CANCELLED, why, context, decision, charged=waiting.course.charged)


def retry_delay_us(policy: RetryPolicy, failures: int, job_id: str, backoff: Backoff | None = None) -> int:
    """Return the delay before the next try: exponential with a cap and full jitter, unless `backoff` says otherwise.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog (2015). The jitter is a function of the
    job's id and the number of failures, so that the rule stays pure and two jobs do not agree.
    """
    shape = "exponential" if backoff is None else backoff.shape
    if backoff is not None and shape == "list":
        bound = backoff.delays[min(failures, len(backoff.delays)) - 1]
    elif shape == "fixed":
        bound = policy.base_us
    elif shape == "linear":
        bound = min(policy.cap_us, policy.base_us * failures)
    else:
        bound = min(policy.cap_us, policy.base_us << min(failures - 1, 40))
    if not bound or not (backoff is None or backoff.jitter):
        return bound
    drawn = int.from_bytes(blake2b(f"{job_id}/{failures}".encode(), digest_size=8).digest(), "big")
    return max(1, bound * drawn >> 64)


def interrupt(
    state: QueueState,
    job: Job,
    context: Context,
    decision: Decision,
    *,
    charged: bool,
    reason: str,
    gone: set[str] | None = None,
) -> None:
    """Record that an attempt was cut short: ready again, or parked once it has cost enough attempts.

    `gone`: see `cancel_dependents`.
    """
    total = job.course.charged + charged
    if charged and total >= max(_policy(state, job).max_retries + 1, MIN_STARTS):
        error = f"{INTERRUPTED}: the process or lease ended during each of {total} attempts"
        decision.emit(JobFailed(job.job_id, job.course.attempt, error, "", context.now_us), job.owner)
        tell_end(job, JobStatus.FAILED, error, context, decision, charged=total)
        let_go_after_failure(state, job.job_id, context, decision, gone=gone)
    else:
        decision.emit(
            AttemptInterrupted(job.job_id, job.course.attempt, context.now_us, charged, reason), job.owner
        )


def tell_end(
    job: Job,
    status: JobStatus,
    error: str,
    context: Context,
    decision: Decision,
    *,
    charged: int,
    note: bytes = b"",
) -> None:
    """Tell the owner of a job, if it has one, that it has ended."""
    if job.owner:
        retired = Retired(status, job.course.attempt, charged, error, context.now_us, note)
        tell_owner(job.owner, job.job_id, retired, decision)


def tell_owner(owner: str, job_id: str, retired: Retired, decision: Decision) -> None:
    """Tell an owner how its job ended."""
    peer = "supervisor" if owner.startswith("run:") else "scheduler"
    decision.tell(
        peer,
        JobEnded(
            job_id=job_id,
            status=retired.status,
            error=retired.error,
            attempts=retired.charged,
            ended_us=retired.ended_us,
            note=retired.note,
        ),
    )


def retired_of(known: Known) -> Retired | None:
    """Return how an evicted job ended, from its durable past, as memory had it; None if it has not."""
    first = known.history[0]
    end: Any = next(
        (
            event
            for event in reversed(known.history)
            if not isinstance(event, AttemptRefused | AttemptPrinted)
        ),
        first,
    )
    status = ENDINGS.get(type(end))
    if not isinstance(first, JobEnqueued) or status is None:
        return None
    charged, queue = 0, first.spec.queue
    for event in known.history:
        if isinstance(event, JobRetried):
            charged, queue = 0, event.spec.queue
        elif isinstance(event, JobMoved):
            queue = event.queue
        elif isinstance(event, (JobRetrying, JobCompleted, JobFailed)):
            charged += 1
        elif isinstance(event, AttemptInterrupted):
            charged += event.charged
    note = end.note if isinstance(end, JobCompleted) else b""
    return Retired(status, end.attempt, charged, _why(end), end.at_us, note, queue)


def _why(end: Any) -> str:
    """Return what an ending says of its reason."""
    if isinstance(end, JobFailed):
        return end.error
    if isinstance(end, JobCancelled | JobDiscarded):
        return end.reason
    return NOT_STARTED if isinstance(end, JobExpired) else ""
