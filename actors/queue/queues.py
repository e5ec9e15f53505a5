"""Orders to a queue as a whole: pause, resume, settings, clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.queue.events import JobCancelled, QueueConfigured, QueueDraining, QueuePaused, QueueResumed
from actors.queue.hall import PLAIN
from actors.queue.outcome import cancel_dependents, tell_end
from actors.queue.specs import JobStatus
from actors.runtime.errors import QueueDrainingError

if TYPE_CHECKING:
    from actors.queue.messages import (
        ClearQueue,
        ConfigureQueue,
        DrainQueue,
        GetQueueSettings,
        PauseQueue,
        ResumeQueue,
    )
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision


def pause(state: QueueState, message: PauseQueue, context: Context, decision: Decision) -> None:
    """Start nothing from a queue."""
    line = state.lines.get(message.queue)
    if line is None or not line.paused:
        decision.emit(QueuePaused(message.queue, context.now_us))


def resume(state: QueueState, message: ResumeQueue, context: Context, decision: Decision) -> None:
    """Start jobs of a queue again."""
    line = state.lines.get(message.queue)
    if line is not None and (line.paused or message.queue in state.draining):
        decision.emit(QueueResumed(message.queue, context.now_us))


def drain(state: QueueState, message: DrainQueue, context: Context, decision: Decision) -> None:
    """Take no more jobs on."""
    if message.queue not in state.draining:
        decision.emit(QueueDraining(message.queue, context.now_us))


def refuse_if_draining(state: QueueState, queue: str) -> None:
    """Refuse a job for a queue that takes none on: `QueueDrainingError`."""
    if queue in state.draining:
        msg = f"queue {queue!r} is being drained and takes no more jobs on until it is resumed"
        raise QueueDrainingError(msg)


def configure(state: QueueState, message: ConfigureQueue, context: Context, decision: Decision) -> None:
    """Give a queue other settings."""
    line = state.lines.get(message.queue)
    if message.settings != (PLAIN if line is None else line.settings):
        decision.emit(QueueConfigured(message.queue, message.settings, context.now_us))


def get_settings(state: QueueState, message: GetQueueSettings, _context: Context, decision: Decision) -> None:
    """Tell what a queue lets through."""
    line = state.lines.get(message.queue)
    decision.answer(PLAIN if line is None else line.settings)


def clear(state: QueueState, message: ClearQueue, context: Context, decision: Decision) -> None:
    """Cancel what has not begun."""
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
