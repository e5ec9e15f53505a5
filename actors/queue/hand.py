"""Jobs taken by hand: leases that end by being settled or by running out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import JobLeased
from actors.queue.outcome import complete, fail, interrupt
from actors.runtime.effects import AttemptKey
from actors.runtime.errors import InputError
from actors.runtime.messages import Decision

if TYPE_CHECKING:
    from actors.queue.messages import LeaseJob, SettleLease
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context

OUTCOMES = ("ok", "error")
"""How hand work may end."""


def lease(state: QueueState, message: LeaseJob, context: Context, decision: Decision) -> None:
    """Give the first ready job to whoever asked, for a while; one that has just expired is not given any more."""
    line = state.lines.get(message.queue)
    if line is None or line.paused:
        return
    now_us = context.now_us
    job = state.hall.first_by_hand(line, now_us, lambda each: state.is_late(each, now_us))
    if job is None:
        return
    attempt = job.course.attempt + 1
    until_us = context.now_us + message.lease_us
    decision.emit(JobLeased(job.job_id, attempt, context.epoch, context.now_us, until_us), job.owner)
    decision.answer(AttemptKey(job.job_id, attempt, context.epoch))


def settle(state: QueueState, message: SettleLease, context: Context, decision: Decision) -> None:
    """End a lease by its result; answered with False if it has run out or was never given."""
    if message.outcome not in OUTCOMES:
        msg = f"outcome: expected {' or '.join(map(repr, OUTCOMES))}, got {message.outcome!r}"
        raise InputError(msg)
    key = message.key
    job = state.jobs.get(key.job_id)
    standing = job is not None and key.job_id in state.leases and job.key == key
    decision.answer(standing)
    if job is None or not standing:
        return
    if message.outcome == "ok":
        complete(state, job, context, decision, result=message.result, run_us=0)
    else:
        fail(state, job, context, decision, error=message.error)


def expire_leases(state: QueueState, context: Context) -> Decision:
    """Take back what was not settled in time; it counts as an attempt."""
    decision = Decision()
    gone: set[str] = set()
    for job in state.lease_ended(context.now_us):
        interrupt(state, job, context, decision, charged=True, reason="lease expired", gone=gone)
    return decision
