"""The rules of the queue: what starts when, what a finished attempt means, who is told."""

from __future__ import annotations

from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from actors.queue import allocation, hand
from actors.queue.hall import PLAIN
from actors.queue.life import check_life, meet_deadlines, meet_silence
from actors.queue.messages import (
    QUEUE_EVENTS,
    AddResource,
    Allocate,
    AttemptInterrupted,
    AttemptRefused,
    CancelJob,
    CancelOwned,
    ClearQueue,
    ConfigureQueue,
    Conflict,
    EnqueueJobs,
    FunctionMetrics,
    FunctionsKnown,
    GetJob,
    GetMetrics,
    GetQueueSettings,
    GetResources,
    GetStats,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobFailed,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobStatus,
    JobUnresolved,
    JobView,
    LeaseJob,
    ListJobs,
    ListQueues,
    PauseQueue,
    PeekQueue,
    QueueConfigured,
    QueueMetrics,
    QueuePaused,
    QueueResumed,
    QueueStats,
    Release,
    ReleaseAll,
    ResumeQueue,
    RetryJob,
    SettleLease,
    Unfinished,
)
from actors.queue.outcome import (
    cancel_dependents,
    complete,
    fail,
    interrupt,
    retired_of,
    snooze,
    tell_end,
    tell_owner,
)
from actors.queue.state import PROCESS_ENDED, QueueState, Retired, waits_for
from actors.queue.tallies import Spread, Tallies
from actors.queue.unique import duplicate, existing, unique_of
from actors.runtime.effects import (
    SNOOZE,
    Acknowledge,
    AttemptFinished,
    AttemptKey,
    CancelAttempt,
    ReportUnacknowledged,
    StartAttempt,
    Verdict,
)
from actors.runtime.errors import ConflictingIdError, InputError, InternalError, UnknownIdError
from actors.runtime.messages import Context, Decision, Message, Shutdown
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.queue.lanes import Job
    from actors.queue.messages import JobSpec
    from actors.runtime.messages import Event, Known

PREFETCH = 1024
"""Attempts that may be queued at the executor beyond its free workers, at most."""
PREFETCH_US = 2_000
"""Work, per worker, that may be queued ahead: a dispatch must not outlast a commit by much."""
RETURNED = "returned"
CUT_BY_HAND = "process ended while taken by hand"
SETTLED = (
    JobCompleted,
    JobRetrying,
    JobFailed,
    JobSnoozed,
    JobUnresolved,
    AttemptInterrupted,
    AttemptRefused,
)
"""What an attempt's end, told by its executor, is recorded as."""
ENCODE = msgspec.msgpack.Encoder().encode


class QueueRules:
    """The rules of the queue actor. Pure: nothing here reads a clock, draws a number or touches the disk."""

    name = "queue"
    events: tuple[type[Event], ...] = QUEUE_EVENTS

    def initial(self) -> QueueState:
        """Return the state before the first event."""
        return QueueState()

    def restore(self, image: Any, /) -> QueueState:
        """Return the state whose `dump` was `image`."""
        return QueueState.restore(image)

    def lookups(self, state: QueueState, message: Message, /) -> Iterable[str]:
        """Name the jobs that memory may have forgotten and the decision needs to know."""
        wanted: list[str] = []
        if type(message) is EnqueueJobs:
            for spec in message.jobs:
                if not message.fresh and spec.job_id not in state.recent:
                    wanted.append(spec.job_id)
                wanted += (other for other in waits_for(spec) if other not in state.jobs)
            return [f"job:{job_id}" for job_id in wanted]
        if type(message) is AttemptFinished:
            key = message.key
            job = state.running.get(key.job_id)
            return () if job is not None and job.key == key else (f"job:{key.job_id}",)
        if isinstance(message, RetryJob | CancelOwned):
            wanted.append(message.job_id)
        else:
            return ()
        return [f"job:{job_id}" for job_id in wanted if job_id not in state.jobs]

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        """Decide on one message; a refusal is raised and changes nothing."""
        decision = Decision()
        _RULES.get(type(message), _unknown)(state, message, context, decision)
        return decision

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        """Let time pass, then start what a free worker can take."""
        wake_us = state.next_wake_us()
        if wake_us is not None and wake_us <= context.now_us:
            yield _make_due_ready(state, context)
            yield hand.expire_leases(state, context)
            while any(state.past_deadline(context.now_us)):  # what is given up may have expired, too
                yield meet_deadlines(state, context)
        silence_us = state.next_silence_us(context.beats) if state.pulses else None
        if silence_us is not None and silence_us <= context.now_us:
            yield meet_silence(state, context)
            while any(state.past_deadline(context.now_us)):
                yield meet_deadlines(state, context)
        if state.resources.waiting:
            yield allocation.let_in(state, context)
        yield from _start_ready(state, context)

    def pending(self, state: QueueState, context: Context, /) -> Decision:
        """Say again every start of this incarnation; interrupt what an earlier one was running (R16)."""
        decision = Decision()
        gone: set[str] = set()
        for job in state.running.values():
            if job.course.epoch == context.epoch:
                decision.do(StartAttempt(key=job.key, correlation=job.owner))
            else:
                charged = job.course.counted
                interrupt(state, job, context, decision, charged=charged, reason=PROCESS_ENDED, gone=gone)
        for job_id in state.leases:
            job = state.jobs[job_id]
            if job.course.epoch != context.epoch:
                interrupt(state, job, context, decision, charged=True, reason=CUT_BY_HAND, gone=gone)
        for jobs in state.unresolved.values():
            for job_id in jobs:  # word that the function is known may have been lost, so each looks once more
                decision.emit(JobReady(job_id, context.now_us, "reopened"), state.jobs[job_id].owner)
        for key, (owner, _) in state.zombies.items():
            if key.epoch != context.epoch:  # its worker is gone, and what it held is free
                refused = AttemptRefused(key.job_id, key.attempt, PROCESS_ENDED, context.now_us)
                decision.emit(refused, owner)
            else:
                decision.do(CancelAttempt(key=key))
        allocation.free_the_dead(state, context, decision)
        decision.do(ReportUnacknowledged())
        return decision

    def next_wake_us(self, state: QueueState, context: Context, /) -> int | None:
        """Return when the next job is due or the next lease ends."""
        wake_us = state.next_wake_us()
        if not state.pulses:
            return wake_us
        wakes = (wake_us, state.next_silence_us(context.beats))
        return min((wake for wake in wakes if wake is not None), default=None)


# -- enqueueing ----------------------------------------------------------------------------------------


def digest_of(spec: JobSpec) -> bytes:
    """Return the fingerprint by which a repeated id is known to mean the same job.

    An owner derives the ids of its jobs from its own, so theirs mean the same whatever an upgrade has added
    to the spec. For the others it is made of what makes the job; a field that is added later counts only where
    it is used.
    """
    if spec.owner:
        return blake2b(spec.owner.encode(), digest_size=8).digest()
    retry = (spec.retry.max_retries, spec.retry.base_us, spec.retry.cap_us)
    made_of: tuple[object, ...] = (
        spec.queue,
        spec.name,
        spec.function,
        spec.payload,
        spec.priority,
        retry,
        spec.due_us,
        spec.after,
    )
    if spec.terms is not None:
        made_of += (spec.terms,)
    if spec.life is not None:
        made_of += (spec.life,)
    return blake2b(ENCODE(made_of), digest_size=8).digest()


def _enqueue(state: QueueState, message: EnqueueJobs, context: Context, decision: Decision) -> None:
    seen: dict[str, bytes] = {}
    keys: dict[tuple[str, str], str] = {}
    instead: dict[str, str] = {}
    ids = []
    for spec in message.jobs:
        digest = digest_of(spec)
        before = _digest_on_record(state, spec.job_id, context, seen)
        job_id = spec.job_id
        if before is None and instead.keys() & waits_for(spec).keys():
            job_id = instead[spec.job_id] = ""  # what it follows was not enqueued
        elif before is None:
            check_life(spec, context)
            missing = _missing(state, spec, context, seen)
            if spec.terms is not None:
                job_id = _check_terms(state, spec, keys, context, decision)
            if job_id == spec.job_id:
                decision.emit(JobEnqueued(spec, digest, context.now_us, missing), spec.owner)
                seen[spec.job_id] = digest
            else:
                instead[spec.job_id] = job_id
        elif before != digest:
            _conflict(spec, context, decision)
        elif spec.owner:
            _tell_again(state, spec, context, decision)
        ids.append(job_id)
    decision.answer(tuple(ids))


def _check_terms(
    state: QueueState,
    spec: JobSpec,
    keys: dict[tuple[str, str], str],
    context: Context,
    decision: Decision,
) -> str:
    """Return the id of the job, or of the one that stands for it; an owner is told what anybody else is refused."""
    assert spec.terms is not None
    try:
        allocation.check_needs(state, spec.terms)
        return _unique_id(state, spec, keys, context, decision)
    except LogisticsError as refusal:
        if not spec.owner:
            raise
        failed = Retired(JobStatus.FAILED, 0, 0, str(refusal), context.now_us)
        tell_owner(spec.owner, spec.job_id, failed, decision)
        return ""


def _unique_id(
    state: QueueState,
    spec: JobSpec,
    keys: dict[tuple[str, str], str],
    context: Context,
    decision: Decision,
) -> str:
    unique = unique_of(spec)
    if unique is None:
        return spec.job_id
    name = (spec.queue, unique.key)
    if name in keys:
        if unique.conflict is not Conflict.RETURN:
            raise duplicate(*name, keys[name])
        return keys[name]
    other, replaced = existing(state.unique, state.jobs, spec, unique, context.now_us)
    if other is None:
        keys[name] = spec.job_id
    if replaced is not None:
        _cancel_one(state, replaced, context, decision, f"replaced by job {spec.job_id!r}")
    return other or spec.job_id


def _conflict(spec: JobSpec, context: Context, decision: Decision) -> None:
    """Refuse an id that is taken; an owner cannot choose another one, so for it the job has failed."""
    error = f"job id {spec.job_id!r} is on record for another job"
    if not spec.owner:
        raise ConflictingIdError(error)
    tell_owner(spec.owner, spec.job_id, Retired(JobStatus.FAILED, 0, 0, error, context.now_us), decision)


def _digest_on_record(
    state: QueueState, job_id: str, context: Context, seen: dict[str, bytes]
) -> bytes | None:
    recent = state.recent.get(job_id)
    if recent is not None:
        return recent
    known = context.known.get(f"job:{job_id}")
    if known is not None and isinstance(first := known.history[0], JobEnqueued):
        return first.digest
    return seen.get(job_id)


def _tell_again(state: QueueState, spec: JobSpec, context: Context, decision: Decision) -> None:
    """Answer an owner who asks again for a job that is over: pull, not push (R8)."""
    retired = state.retired.get(spec.job_id)
    known = context.known.get(f"job:{spec.job_id}")
    if retired is None and known is not None:
        retired = retired_of(known)
    if retired is not None:
        tell_owner(spec.owner, spec.job_id, retired, decision)


def _missing(state: QueueState, spec: JobSpec, context: Context, seen: dict[str, bytes]) -> int:
    missing = 0
    for other in waits_for(spec):
        if other in state.jobs or other in seen:
            missing += 1
            continue
        known = context.known.get(f"job:{other}")
        retired = state.retired.get(other) or (known and retired_of(known))
        if not retired:
            msg = f"job {spec.job_id!r} is to run after {other!r}, which is not on record"
            raise UnknownIdError(msg)
        if other not in spec.after:
            msg = f"job {spec.job_id!r} is to run should {other!r} fail, which is {retired.status}"
            raise InputError(msg)
        if retired.status is not JobStatus.COMPLETED:
            msg = f"job {spec.job_id!r} is to run after {other!r}, which is {retired.status}"
            raise InputError(msg)
    return missing


# -- starting ------------------------------------------------------------------------------------------


def _make_due_ready(state: QueueState, context: Context) -> Decision:
    decision = Decision()
    for job in state.due(context.now_us):
        decision.emit(JobReady(job.job_id, context.now_us, "due"), job.owner)
    return decision


def _start_ready(state: QueueState, context: Context) -> Iterator[Decision]:
    """Record a start for what free workers take next, and a little ahead if it is surely short.

    Each decision takes jobs of one lane, as far as no other lane can have the next one.
    """
    free = context.capacity - len(state.running) - len(state.zombies)
    if context.capacity <= 0:
        return
    queued_us = 0
    while free > -PREFETCH and (lane := state.hall.first(context)) is not None:
        decision = Decision()
        suspects = state.suspects
        run_us = state.run_us.get(lane.kind.function)
        for job in lane.first_run():
            course = job.course
            if free <= 0:
                queued_us += run_us or 1
                if run_us is None or suspects or course.suspect or lane.kind.life is not None:
                    free = -PREFETCH
                if queued_us > PREFETCH_US * context.capacity:
                    free = -PREFETCH
                if free <= -PREFETCH:
                    break
            attempt = course.attempt + 1
            behind = max(0, 1 - free)
            decision.emit(JobStarted(job.job_id, attempt, context.epoch, context.now_us, behind), job.owner)
            decision.do(
                StartAttempt(key=AttemptKey(job.job_id, attempt, context.epoch), correlation=job.owner)
            )
            free -= 1
            suspects += course.suspect
        if decision.events:
            yield decision


# -- the end of an attempt -----------------------------------------------------------------------------


def _finished(state: QueueState, message: AttemptFinished, context: Context, decision: Decision) -> None:
    key = message.key
    decision.do(Acknowledge(key=key))
    job = state.running.get(key.job_id)
    if job is None or job.course.attempt != key.attempt or job.course.epoch != key.epoch:
        _stale(state, message, context, decision)
        return
    if message.outcome == "ok":
        complete(
            state,
            job,
            context,
            decision,
            result=message.result,
            run_us=message.run_us,
            note=message.note,
        )
    elif message.outcome == "error" and message.advice == SNOOZE:
        snooze(job, context, decision, reason=message.error, after_us=message.after_us)
    elif message.outcome == "error":
        fail(
            state,
            job,
            context,
            decision,
            error=message.error,
            traceback=message.traceback,
            verdict=Verdict(message.advice, message.after_us),
        )
    elif message.outcome == "unresolved":
        decision.emit(JobUnresolved(job.job_id, job.course.attempt, message.error, context.now_us), job.owner)
    else:
        interrupt(state, job, context, decision, charged=False, reason=RETURNED)


def _stale(state: QueueState, message: AttemptFinished, context: Context, decision: Decision) -> None:
    """Refuse the result of an attempt that does not count any more, and record that once (R15)."""
    key = message.key
    if key not in state.zombies:
        known = context.known.get(f"job:{key.job_id}")
        if known is None and key.job_id not in state.jobs and key.job_id not in state.retired:
            return  # a job that no durable log knows: its enqueueing was lost with a failed commit
        if _is_settled(state, key, known):
            return  # the same end again: the acknowledgement was lost, not the result
    refused = AttemptRefused(key.job_id, key.attempt, message.outcome, context.now_us)
    owner, _ = state.zombies.get(key, ("", None))
    decision.emit(refused, owner)


def _is_settled(state: QueueState, key: AttemptKey, known: Known | None) -> bool:
    """Whether an attempt has ended by what it came to, or this end of it was refused before."""
    retired = state.retired.get(key.job_id)
    if retired is not None and retired.attempt == key.attempt and retired.status is not JobStatus.CANCELLED:
        return True
    return known is not None and any(
        isinstance(event, SETTLED) and event.attempt == key.attempt
        for event in known.history
        if not isinstance(event, AttemptInterrupted) or event.reason == RETURNED
    )


def _shutdown(state: QueueState, _message: Shutdown, context: Context, decision: Decision) -> None:
    """Interrupt what still runs or is in somebody's hand; the engine closes and nobody is charged."""
    for job in (*state.running.values(), *(state.jobs[job_id] for job_id in state.leases)):
        interrupt(state, job, context, decision, charged=False, reason="closed")


# -- single jobs ---------------------------------------------------------------------------------------


def _cancel(state: QueueState, message: CancelJob, context: Context, decision: Decision) -> None:
    job = state.jobs.get(message.job_id)
    decision.answer(job is not None)
    if job is not None:
        _cancel_one(state, job, context, decision, "cancelled by a caller")


def _cancel_owned(state: QueueState, message: CancelOwned, context: Context, decision: Decision) -> None:
    job = state.jobs.get(message.job_id)
    if job is not None:
        _cancel_one(state, job, context, decision, "cancelled by its owner")
        return
    known = context.known.get(f"job:{message.job_id}")
    retired = state.retired.get(message.job_id) or (known and retired_of(known))
    never = Retired(JobStatus.CANCELLED, 0, 0, "", context.now_us)
    tell_owner(message.owner, message.job_id, retired or never, decision)


def _cancel_one(state: QueueState, job: Job, context: Context, decision: Decision, reason: str) -> None:
    if job.job_id in state.running:
        decision.do(CancelAttempt(key=job.key))
    decision.emit(JobCancelled(job.job_id, job.course.attempt, context.now_us, reason), job.owner)
    tell_end(job, JobStatus.CANCELLED, reason, context, decision, charged=job.course.charged)
    others = state.dependents.get(job.job_id, ())
    cancel_dependents(state, others, f"job {job.job_id!r} was cancelled", context, decision)


def _retry(state: QueueState, message: RetryJob, context: Context, decision: Decision) -> None:
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
    terms = spec.terms and msgspec.structs.replace(spec.terms, on_failure_of="")
    life = spec.life and spec.life.shared
    spec = msgspec.structs.replace(spec, payload=b"", due_us=0, after=(), terms=terms, life=life)
    decision.emit(JobRetried(spec, first.digest, retired.attempt, retired.status, context.now_us), spec.owner)


def _functions_known(
    state: QueueState, message: FunctionsKnown, context: Context, decision: Decision
) -> None:
    for function in message.functions:
        for job_id in state.unresolved.get(function, ()):
            decision.emit(JobReady(job_id, context.now_us, "function known"), state.jobs[job_id].owner)


# -- queues and questions ------------------------------------------------------------------------------


def _pause(state: QueueState, message: PauseQueue, context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    if line is None or not line.paused:
        decision.emit(QueuePaused(message.queue, context.now_us))


def _resume(state: QueueState, message: ResumeQueue, context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    if line is not None and line.paused:
        decision.emit(QueueResumed(message.queue, context.now_us))


def _configure(state: QueueState, message: ConfigureQueue, context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    if message.settings != (PLAIN if line is None else line.settings):
        decision.emit(QueueConfigured(message.queue, message.settings, context.now_us))


def _get_settings(
    state: QueueState, message: GetQueueSettings, _context: Context, decision: Decision
) -> None:
    line = state.lines.get(message.queue)
    decision.answer(PLAIN if line is None else line.settings)


def _clear(state: QueueState, message: ClearQueue, context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    waiting = [] if line is None else list(line.not_begun())
    for job in waiting:
        decision.emit(
            JobCancelled(job.job_id, job.course.attempt, context.now_us, "queue cleared"), job.owner
        )
        tell_end(job, JobStatus.CANCELLED, "queue cleared", context, decision, charged=job.course.charged)
    gone = {job.job_id for job in waiting}
    for job in waiting:
        why = f"job {job.job_id!r} was cancelled"
        others = state.dependents.get(job.job_id, ())
        cancel_dependents(state, others, why, context, decision, gone=gone)
    decision.answer(len(waiting))


def _get_job(state: QueueState, message: GetJob, _context: Context, decision: Decision) -> None:
    job = state.jobs.get(message.job_id)
    if job is not None:
        attempts = job.course.charged + (job.status is JobStatus.RUNNING)
        decision.answer(JobView(job.job_id, job.queue, job.status, attempts, job.course.due_us))


def _get_stats(state: QueueState, message: GetStats, _context: Context, decision: Decision) -> None:
    lines = [state.lines[message.queue]] if message.queue in state.lines else []
    if not message.queue:
        lines = list(state.lines.values())
    by_status = dict.fromkeys(map(str, JobStatus), 0)
    for line in lines:
        for status, count in line.counts.items():
            by_status[status] += count
    waiting = by_status[JobStatus.SCHEDULED] + by_status[JobStatus.RETRYING]
    decision.answer(
        QueueStats(
            sum(line.ready_count for line in lines), waiting, by_status, sum(line.retried for line in lines)
        )
    )


def _get_metrics(state: QueueState, message: GetMetrics, _context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    tallies = Tallies() if line is None else line.tallies
    functions = tuple(
        FunctionMetrics(name, runs.total, tallies.failed.get(name, 0), _quantiles(runs))
        for name in sorted(tallies.runs.keys() | tallies.failed.keys())
        for runs in (tallies.runs.get(name, Spread()),)
    )
    per_minute = tuple(sorted(tallies.minutes.items()))
    decision.answer(QueueMetrics(_quantiles(tallies.waits), functions, per_minute))


def _quantiles(spread: Spread) -> tuple[int, int, int]:
    return spread.quantile_us(0.5), spread.quantile_us(0.9), spread.quantile_us(0.99)


def _peek(state: QueueState, message: PeekQueue, _context: Context, decision: Decision) -> None:
    line = state.lines.get(message.queue)
    if line is not None:
        lane = line.first()
        first = lane.ready[0] if lane is not None else next(line.in_order(), None)
        decision.answer(first and first.job_id)


def _unfinished(state: QueueState, message: Unfinished, _context: Context, decision: Decision) -> None:
    """Count what `process` waits for: not what is scheduled, taken by hand, unresolved or paused."""
    line = state.lines.get(message.queue)
    if line is None:
        decision.answer(0)
        return
    running = line.counts.get(JobStatus.RUNNING, 0) - line.leased
    waiting = 0 if line.paused else line.counts.get(JobStatus.RETRYING, 0) + line.ready_count
    decision.answer(running + waiting)


def _list_jobs(state: QueueState, message: ListJobs, _context: Context, decision: Decision) -> None:
    decision.answer(tuple(job.job_id for job in state.jobs.values() if job.queue == message.queue))


def _list_queues(state: QueueState, _message: ListQueues, _context: Context, decision: Decision) -> None:
    decision.answer(tuple(state.lines))


def _unknown(_state: QueueState, message: Message, _context: Context, _decision: Decision) -> NoReturn:
    msg = f"the queue does not know what to do with {type(message).__name__}"
    raise InternalError(msg)


_RULES: Mapping[type[Message], Callable[[QueueState, Any, Context, Decision], None]] = MappingProxyType(
    {
        EnqueueJobs: _enqueue,
        AttemptFinished: _finished,
        Shutdown: _shutdown,
        CancelJob: _cancel,
        CancelOwned: _cancel_owned,
        RetryJob: _retry,
        FunctionsKnown: _functions_known,
        LeaseJob: hand.lease,
        SettleLease: hand.settle,
        PauseQueue: _pause,
        ConfigureQueue: _configure,
        GetQueueSettings: _get_settings,
        ResumeQueue: _resume,
        ClearQueue: _clear,
        GetJob: _get_job,
        GetStats: _get_stats,
        GetMetrics: _get_metrics,
        PeekQueue: _peek,
        Unfinished: _unfinished,
        ListJobs: _list_jobs,
        ListQueues: _list_queues,
        AddResource: allocation.add,
        Allocate: allocation.allocate,
        Release: allocation.release,
        ReleaseAll: allocation.release_all,
        GetResources: allocation.get,
    }
)
