"""What starts when: jobs whose time has come, and those that free workers take next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.messages import JobReady, JobStarted
from actors.runtime.effects import AttemptKey, StartAttempt
from actors.runtime.messages import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.state import QueueState
    from actors.runtime.messages import Context

PREFETCH = 1024
"""Attempts that may be queued at the executor beyond its free workers, at most."""
PREFETCH_US = 2_000
"""Work, per worker, that may be queued ahead: a dispatch must not outlast a commit by much."""


def make_due_ready(state: QueueState, context: Context) -> Decision:
    """Make ready what waited for an instant that has come."""
    decision = Decision()
    for job in state.due(context.now_us):
        decision.emit(JobReady(job.job_id, context.now_us, "due"), job.owner)
    return decision


def start_ready(state: QueueState, context: Context) -> Iterator[Decision]:
    """Record a start for what free workers take next, and a little ahead if it is surely short.

    Each decision takes jobs of one lane, as far as no other lane can have the next one.
    """
    free = context.capacity - len(state.running) - len(state.zombies)
    epoch, now_us, remembered = context.epoch, context.now_us, state.fresh.get
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
            job_id, owner = job.job_id, job.owner
            decision.emit(JobStarted(job_id, attempt, epoch, now_us, max(0, 1 - free)), owner)
            key = AttemptKey(job_id, attempt, epoch)
            decision.do(StartAttempt(key=key, correlation=owner, spec=remembered(job_id)))
            free -= 1
            suspects += course.suspect
        if decision.events:
            yield decision
