"""What starts when: jobs whose time has come, and those that free workers take next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import BatchStarted, JobReady, JobStarted
from actors.runtime.effects import AttemptKey, StartAttempt
from actors.runtime.messages import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.jobs import Job
    from actors.queue.lanes import Lane
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context

PREFETCH = 1024
"""Attempts that may be queued at the executor beyond its free workers, at most."""
PREFETCH_US = 2_000
"""Work, per worker, that may be queued ahead: a dispatch must not outlast a commit by much."""
DUE_AT_ONCE = 1_024
"""Jobs whose time has come that one turn makes ready, at most: it must not get too long."""


def make_due_ready(state: QueueState, context: Context) -> Decision:
    """Make ready what waited for an instant that has come: of very many the first ones, the others in the next turns.

    The queue is woken again at once, and whoever has said something meanwhile comes in between.
    """
    decision = Decision()
    for job in state.due(context.now_us, DUE_AT_ONCE):
        decision.emit(JobReady(job.job_id, context.now_us, "due"), job.owner)
    return decision


def start_ready(state: QueueState, context: Context) -> Iterator[Decision]:
    """Record a start for what free workers take next, and a little ahead if it is surely short.

    Each decision takes jobs of one lane, as far as no other lane can have the next one.
    """
    free = context.capacity - len(state.running) - len(state.zombies) + state.riders
    epoch, now_us, remembered = context.epoch, context.now_us, state.fresh.get
    # Also if nobody may start: what stays open wakes the queue at once, for ever.
    state.hall.open_gates(now_us)
    if context.capacity <= 0:
        return
    queued_us, most_us = 0, PREFETCH_US * context.capacity
    while free > -PREFETCH and (lane := state.hall.first(context)) is not None:
        if lane.kind.batch:
            if free <= 0:
                break
            yield from _start_batch(state, lane, context)
            free -= 1
            continue
        decision = Decision()
        emit, do = decision.events.append, decision.effects.append
        suspects = state.suspects
        run_us = state.run_us.get(lane.kind.function)
        life = lane.kind.life
        is_short = run_us is not None and (life is None or not life.needs_free_worker)
        for job in lane.first_run():
            course = job.course
            if free <= 0:
                queued_us += run_us or 1
                if free <= -PREFETCH or queued_us > most_us or suspects or course.suspect or not is_short:
                    free = -PREFETCH
                    break
            attempt = course.attempt + 1
            job_id, owner = job.job_id, job.owner
            emit((JobStarted(job_id, attempt, epoch, now_us, 0 if free > 0 else 1 - free), owner))
            do(StartAttempt(AttemptKey(job_id, attempt, epoch), owner, remembered(job_id)))
            free -= 1
            suspects += course.suspect
        if decision.events:
            yield decision


def _start_batch(state: QueueState, lane: Lane, context: Context) -> Iterator[Decision]:
    """Record starts of jobs of one lane that a free worker takes in one call, as many as may start now.

    They go before others that are older, but hold up none of them: these need a worker of their own.
    """
    decision = Decision()
    keys: list[AttemptKey] = []
    job = lane.ready[0]
    while True:
        key = AttemptKey(job.job_id, job.course.attempt + 1, context.epoch)
        decision.emit(JobStarted(job.job_id, key.attempt, context.epoch, context.now_us), job.owner)
        keys.append(key)
        if job.goes_alone or len(keys) == lane.kind.batch:
            break
        yield decision
        decision = Decision()
        if not state.hall.lets_another(lane, context) or lane.ready[0].goes_alone:
            break
        job = lane.ready[0]
    first, *others = keys
    if others:
        attempts = tuple((key.job_id, key.attempt) for key in others)
        decision.emit(BatchStarted(first.job_id, first.attempt, attempts, context.epoch, context.now_us))
    decision.do(StartAttempt(key=first, batched=True, others=tuple(others)))
    yield decision


def start_again(state: QueueState, job: Job, decision: Decision) -> None:
    """Say once more that a running attempt is to be made; those of one call together, with the first of them."""
    key = job.key
    together = sorted(each for each in state.batches.get(key, (key,)) if each not in state.zombies)
    if key == together[0]:
        batched, others = bool(job.kind.batch), tuple(together[1:])
        decision.do(StartAttempt(key=key, correlation=job.owner, batched=batched, others=others))
