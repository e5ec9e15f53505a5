"""What the calls of a session share: nobody new gets some of it once the session is over, and then it is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.cancelling import cancel_one
from actors.queue.events import ResourceEnding, ResourceRemoved
from actors.queue.messages import ShareEnded
from actors.runtime.messages import Decision

if TYPE_CHECKING:
    from actors.queue.messages import EndShare
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context

OVER = "its session is over"


def end(state: QueueState, message: EndShare, context: Context, decision: Decision) -> None:
    """Let nobody new in, cancel what is not to go on, and have the resource forgotten once nothing holds it."""
    name, resources = message.name, state.resources
    if name not in resources.capacity:
        if message.last:
            decision.tell("supervisor", ShareEnded(name))
        return
    if name not in resources.ending or message.last > resources.ending[name]:
        decision.emit(ResourceEnding(name, message.last, context.now_us))
    kinds = {lane.kind for lane in state.hall.shares.get(name, ()) if lane.size}
    gone: set[str] = set()
    for job in state.jobs.values() if kinds else ():
        is_over = job.kind in kinds and not job.owner and (message.running or job.has_not_begun)
        if is_over and job.job_id not in gone:
            gone.add(job.job_id)
            cancel_one(state, job, context, decision, OVER, gone=gone)


def forget(state: QueueState, context: Context) -> Decision:
    """Remove the resources that nobody needs and nothing holds any more."""
    decision = Decision()
    waiting = {name for holding in state.resources.waiting.values() for name, _ in holding.amounts}
    for name, last in state.resources.ending.items():
        held = (
            name in waiting
            or state.resources.used(name)
            or any(lane.size for lane in state.hall.shares.get(name, ()))
        )
        if last and not held:
            decision.emit(ResourceRemoved(name, context.now_us))
            decision.tell("supervisor", ShareEnded(name))
    return decision
