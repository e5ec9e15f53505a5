"""Bugs of the queue, each as a small change to its rules or to what it remembers: the simulation must find them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from actors.queue.decider import QueueRules
from actors.queue.events import (
    AttemptInterrupted,
    BatchStarted,
    JobMoved,
    JobRetried,
    JobRetrying,
    QueueConfigured,
)
from actors.queue.hall import Hall
from actors.queue.jobs import Job, Kind
from actors.queue.lanes import Lane
from actors.queue.lines import Line
from actors.queue.messages import EnqueueJobs, MoveJobs
from actors.queue.state import QueueState
from actors.runtime.effects import GIVE_UP, AttemptFinished
from actors.runtime.errors import ConflictingIdError
from actors.runtime.messages import Context, Decision, Message
from actors.simulation.world import World
from tests.actors.simulation.planted import with_hall, with_queue_rules, with_queue_state


class PriorityForgotten(Hall):
    """I8: all jobs are alike."""

    def kind(self, values: tuple[Any, ...]) -> Kind:
        return super().kind((*values[:2], 0, *values[3:]))


class OvertakenInItsLane(Hall):
    """I8: who comes third goes second."""

    def push(self, job: Job) -> None:
        super().push(job)
        ready = self.lanes[job.kind].ready
        if len(ready) > 2:
            ready[-1], ready[-2] = ready[-2], ready[-1]


class GoesOnThoughPaused(Hall):
    """I8: a queue that is paused starts jobs."""

    def pause(self, line: Line, paused: bool) -> None:
        pass


class OneWorkerTooMany(QueueRules):
    """I8: one more attempt starts at once than there are workers."""

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        return super().settle(state, context._replace(capacity=context.capacity + 1))


class FailuresNotCounted(QueueState):
    """I6: a failure does not count as an attempt."""

    def _on_retrying(self, event: JobRetrying) -> None:
        super()._on_retrying(event)
        self.jobs[event.job_id].own.charged -= 1


class InterruptionsNotCounted(QueueState):
    """I6: a job that ends its process, or outlasts its lease, does so for ever."""

    def _on_interrupted(self, event: AttemptInterrupted) -> None:
        super()._on_interrupted(replace(event, charged=False))


class QueuesRetriesForgotten(QueueState):
    """I6: a job that says nothing of its retries has its own, whatever its queue allows."""

    def _on_configured(self, event: QueueConfigured) -> None:
        super()._on_configured(replace(event, settings=replace(event.settings, retry=None)))


class GivenUpAtOnce(QueueRules):
    """I6: a job that may be tried again is not."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, AttemptFinished) and message.outcome == "error" and not message.advice:
            message = replace(message, advice=GIVE_UP)
        return super().decide(state, message, context)


class InnocentsCharged(QueueRules):
    """F68: who was at work in a pool that broke has failed."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, AttemptFinished) and message.outcome == "returned":
            message = replace(message, outcome="error")
        return super().decide(state, message, context)


class SaidAgainRefused(QueueRules):
    """I11: what is on record already is refused."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        if isinstance(message, EnqueueJobs) and any(spec.job_id in state.jobs for spec in message.jobs):
            raise ConflictingIdError("it is on record already")
        return super().decide(state, message, context)


class CountedTwice(QueueState):
    """I12: a job that is taken up again counts among the failed ones, too."""

    def _on_retried(self, event: JobRetried) -> None:
        super()._on_retried(event)
        counts = self.lines[event.spec.queue].counts
        counts[event.was] += 1  # type: ignore[index]  # a status is its name


class ExpiryKept(QueueState):
    """I14: when a job would have expired is remembered for ever."""

    def _end(self, job: Job, *rest: Any, **more: Any) -> None:
        before = self.expiries.get(job.job_id)
        super()._end(job, *rest, **more)
        if before:
            self.expiries[job.job_id] = before


class MovedThoughRunning(QueueRules):
    """I6: who is at work is moved, too."""

    def decide(self, state: QueueState, message: Message, context: Context, /) -> Decision:
        decision = super().decide(state, message, context)
        if isinstance(message, MoveJobs):
            for job_id in message.job_ids:
                job = state.running.get(job_id)
                if job is not None and job.queue != message.queue:
                    decision.emit(JobMoved(job_id, message.queue, context.now_us), job.owner)
        return decision


class BatchesWithoutLimits(Hall):
    """I8: those who come along in a batch count for nobody's limit."""

    def lets_another(self, lane: Lane, _context: Context) -> bool:
        return bool(lane.ready)


class StrangersInABatch(QueueRules):
    """I8: somebody who has begun by himself is taken into a batch."""

    def settle(self, state: QueueState, context: Context, /) -> Iterator[Decision]:
        for decision in super().settle(state, context):
            for number, (event, correlation) in enumerate(decision.events):
                if isinstance(event, BatchStarted):
                    among = {event.job_id, *(job_id for job_id, _ in event.others)}
                    others = [
                        (job_id, job.course.attempt)
                        for job_id, job in state.running.items()
                        if job_id not in among
                    ]
                    joined = replace(event, others=(*event.others, *others[:1]))
                    decision.events[number] = (joined, correlation)
            yield decision


QUEUE_PLANTED: dict[str, type[World]] = {
    "priority forgotten": with_hall(PriorityForgotten),
    "overtaken in its lane": with_hall(OvertakenInItsLane),
    "a paused queue goes on": with_hall(GoesOnThoughPaused),
    "one worker too many": with_queue_rules(OneWorkerTooMany()),
    "failures not counted": with_queue_state(FailuresNotCounted),
    "interruptions not counted": with_queue_state(InterruptionsNotCounted),
    "a queue's retries forgotten": with_queue_state(QueuesRetriesForgotten),
    "given up at once": with_queue_rules(GivenUpAtOnce()),
    "innocents charged": with_queue_rules(InnocentsCharged()),
    "said again and refused": with_queue_rules(SaidAgainRefused()),
    "counted twice": with_queue_state(CountedTwice),
    "moved though running": with_queue_rules(MovedThoughRunning()),
    "batches without limits": with_hall(BatchesWithoutLimits),
    "strangers in a batch": with_queue_rules(StrangersInABatch()),
    "an expiry kept": with_queue_state(ExpiryKept),
}
