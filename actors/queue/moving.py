"""Jobs that go to another queue while they wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import JobMoved
from actors.queue.queues import refuse_if_draining
from actors.queue.specs import JobStatus
from actors.queue.unique import duplicate
from actors.runtime.errors import DuplicateJobError, InputError

if TYPE_CHECKING:
    from actors.queue.messages import MoveJobs
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision


def move(state: QueueState, message: MoveJobs, context: Context, decision: Decision) -> None:
    """Have jobs stand in another queue: whichever can, or all of them, or none."""
    refuse_if_draining(state, message.queue)
    keys: set[str] = set()
    moved = []
    for job_id in dict.fromkeys(message.job_ids):
        try:
            owner = _check(state, job_id, message.queue, context, keys)
        except (InputError, DuplicateJobError):
            if message.strict:
                raise
        else:
            decision.emit(JobMoved(job_id, message.queue, context.now_us), owner)
            moved.append(job_id)
    decision.answer(tuple(moved))


def _check(state: QueueState, job_id: str, queue: str, context: Context, keys: set[str]) -> str:
    """Refuse what cannot be moved, else return the job's owner; `keys` are the unique keys that were given there."""
    job = state.jobs.get(job_id)
    if job is None:
        msg = f"no job {job_id!r} waits: it has ended, or there never was one"
        raise InputError(msg)
    if job.status is JobStatus.RUNNING:
        msg = f"job {job_id!r} is RUNNING; only one that waits can be moved"
        raise InputError(msg)
    if job.queue == queue:
        msg = f"job {job_id!r} stands in queue {queue!r} already"
        raise InputError(msg)
    if state.unique.has(job):
        key = job.course.unique
        other = state.unique.holder(queue, key, context.now_us)
        if other is not None or key in keys:
            raise duplicate(queue, key, other)
        keys.add(key)
    return job.owner
