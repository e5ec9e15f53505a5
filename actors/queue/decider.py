"""The rules of the queue: what starts when, what a finished attempt means, who is told."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from actors.queue import (
    admission,
    allocation,
    cancelling,
    hand,
    moving,
    questions,
    queues,
    revival,
    shares,
    starting,
)
from actors.queue.events import (
    QUEUE_EVENTS,
    AttemptInterrupted,
    AttemptPrinted,
    AttemptRefused,
    JobCompleted,
    JobFailed,
    JobReady,
    JobRetrying,
    JobSnoozed,
    JobUnresolved,
)
from actors.queue.floor import waits_for
from actors.queue.life import meet_deadlines, meet_silence
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    CancelOwned,
    ClearQueue,
    ConfigureQueue,
    DiscardJob,
    DrainQueue,
    EndShare,
    EnqueueJobs,
    ExplainJob,
    FunctionsKnown,
    GetJob,
    GetMetrics,
    GetQueueSettings,
    GetResources,
    GetStats,
    LeaseJob,
    ListJobs,
    ListQueues,
    MoveJobs,
    PauseQueue,
    PeekQueue,
    Release,
    ReleaseAll,
    ResumeQueue,
    RetryJob,
    RetryJobs,
    SettleLease,
    Unfinished,
)
from actors.queue.outcome import (
    complete,
    fail,
    interrupt,
    snooze,
)
from actors.queue.specs import JobStatus
from actors.queue.state import PROCESS_ENDED, QueueState
from actors.queue.why import explain_job
from actors.runtime.effects import (
    SNOOZE,
    Acknowledge,
    AttemptFinished,
    CancelAttempt,
    ReportUnacknowledged,
    Verdict,
)
from actors.runtime.errors import InternalError
from actors.runtime.messages import Decision, Shutdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.queue.jobs import Job
    from actors.runtime.effects import AttemptKey
    from actors.runtime.messages import Context, Event, Known, Message

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
        if type(message) is AttemptFinished:
            return () if _running(state, message.key) else (f"job:{message.key.job_id}",)
        wanted: list[str] = []
        if type(message) is EnqueueJobs:
            for spec in message.jobs:
                if not message.fresh and spec.job_id not in state.recent:
                    wanted.append(spec.job_id)
                if spec.after or spec.terms is not None:
                    wanted += (other for other in waits_for(spec) if other not in state.jobs)
            return [f"job:{job_id}" for job_id in wanted] if wanted else ()
        if type(message) is ExplainJob:  # what it waits for is in its first event alone
            job = state.jobs.get(message.job_id)
            return (f"job:{message.job_id}",) if job is not None and job.course.missing else ()
        if isinstance(message, RetryJob | CancelOwned | DiscardJob):
            wanted.append(message.job_id)
        elif type(message) is RetryJobs:
            wanted += message.job_ids
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
            yield starting.make_due_ready(state, context)
            yield hand.expire_leases(state, context)
            while any(state.past_deadline(context.now_us)):  # what is given up may have expired, too
                yield meet_deadlines(state, context)
        silence_us = state.next_silence_us(context.beats, context.now_us)
        if silence_us is not None and silence_us <= context.now_us:
            yield meet_silence(state, context)
            while any(state.past_deadline(context.now_us)):
                yield meet_deadlines(state, context)
        if state.resources.waiting:
            yield allocation.let_in(state, context)
        if state.resources.ending:
            yield shares.forget(state, context)
        yield from starting.start_ready(state, context)

    def pending(self, state: QueueState, context: Context, /) -> Decision:
        """Say again every start of this incarnation; interrupt what an earlier one was running (R16)."""
        decision = Decision()
        gone: set[str] = set()
        for job in state.running.values():
            if job.course.epoch == context.epoch:
                starting.start_again(state, job, decision)
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
        wakes = (wake_us, state.next_silence_us(context.beats, context.now_us))
        return min((wake for wake in wakes if wake is not None), default=None)


# -- the end of an attempt -----------------------------------------------------------------------------


def _running(state: QueueState, key: AttemptKey) -> Job | None:
    """Return the job whose running attempt this is; None if it does not run, or not any more."""
    job = state.running.get(key.job_id)
    is_it = job is not None and job.course.attempt == key.attempt and job.course.epoch == key.epoch
    return job if is_it else None


def _finished(state: QueueState, message: AttemptFinished, context: Context, decision: Decision) -> None:
    key = message.key
    decision.do(Acknowledge(key))
    job = _running(state, key)
    if job is None:
        _stale(state, message, context, decision)
        return
    if message.output:
        decision.emit(AttemptPrinted(key.job_id, key.attempt, message.output, context.now_us), job.owner)
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
    if message.output:
        decision.emit(AttemptPrinted(key.job_id, key.attempt, message.output, context.now_us), owner)
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


def _unknown(_state: QueueState, message: Message, _context: Context, _decision: Decision) -> NoReturn:
    msg = f"the queue does not know what to do with {type(message).__name__}"
    raise InternalError(msg)


_RULES: Mapping[type[Message], Callable[[QueueState, Any, Context, Decision], None]] = MappingProxyType(
    {
        EnqueueJobs: admission.enqueue,
        AttemptFinished: _finished,
        Shutdown: _shutdown,
        CancelJob: cancelling.cancel,
        CancelOwned: cancelling.cancel_owned,
        RetryJob: revival.retry,
        RetryJobs: revival.retry_many,
        DiscardJob: revival.discard,
        MoveJobs: moving.move,
        FunctionsKnown: revival.functions_known,
        LeaseJob: hand.lease,
        SettleLease: hand.settle,
        PauseQueue: queues.pause,
        ConfigureQueue: queues.configure,
        GetQueueSettings: queues.get_settings,
        ResumeQueue: queues.resume,
        DrainQueue: queues.drain,
        ClearQueue: queues.clear,
        GetJob: questions.get_job,
        ExplainJob: explain_job,
        GetStats: questions.get_stats,
        GetMetrics: questions.get_metrics,
        PeekQueue: questions.peek,
        Unfinished: questions.unfinished,
        ListJobs: questions.list_jobs,
        ListQueues: questions.list_queues,
        AddResource: allocation.add,
        Allocate: allocation.allocate,
        Release: allocation.release,
        ReleaseAll: allocation.release_all,
        GetResources: allocation.get,
        EndShare: shares.end,
    }
)
