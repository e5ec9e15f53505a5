"""Questions about jobs and queues: each is answered from memory and changes nothing."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from actors.queue.jobs import WAITING
from actors.queue.messages import FunctionMetrics, JobView, QueueMetrics, QueueStats
from actors.queue.specs import JobStatus
from actors.queue.tallies import Spread, Tallies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from actors.queue.jobs import Job
    from actors.queue.messages import (
        GetJob,
        GetMetrics,
        GetStats,
        ListJobs,
        ListQueues,
        PeekQueue,
        Unfinished,
    )
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision


def get_job(state: QueueState, message: GetJob, _context: Context, decision: Decision) -> None:
    """Tell where a live job stands."""
    job = state.jobs.get(message.job_id)
    decision.answer(None)
    if job is not None:
        attempts = job.course.charged + (job.status is JobStatus.RUNNING)
        decision.answer(JobView(job.job_id, job.queue, job.status, attempts, job.course.due_us))


def get_stats(state: QueueState, message: GetStats, _context: Context, decision: Decision) -> None:
    """Count the jobs of a queue, or of all, by status."""
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
            sum(line.ready_count for line in lines),
            waiting,
            by_status,
            sum(line.retried for line in lines),
            paused=bool(message.queue) and any(line.paused for line in lines),
            draining=message.queue in state.draining,
        )
    )


def get_metrics(state: QueueState, message: GetMetrics, _context: Context, decision: Decision) -> None:
    """Tell how long jobs waited and ran."""
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


def peek(state: QueueState, message: PeekQueue, _context: Context, decision: Decision) -> None:
    """Tell which job is next."""
    line = state.lines.get(message.queue)
    decision.answer(None)
    if line is not None:
        lane = line.first()
        first = lane.ready[0] if lane is not None else next(line.in_order(), None)
        decision.answer(first and first.job_id)


def unfinished(state: QueueState, message: Unfinished, context: Context, decision: Decision) -> None:
    """Count what `process` waits for: not what is scheduled for later, taken by hand, unresolved or paused.

    What was scheduled, is due, and waits behind many others to be made ready counts as one if it is all there is.
    """
    line = state.lines.get(message.queue)
    if line is None:
        decision.answer(0)
        return
    running = line.counts.get(JobStatus.RUNNING, 0) - line.leased
    waiting = 0 if line.paused else line.counts.get(JobStatus.RETRYING, 0) + line.ready_count
    is_due = not line.paused and any(True for _ in line.due(context.now_us))
    decision.answer(running + waiting or int(is_due))


def list_jobs(state: QueueState, message: ListJobs, _context: Context, decision: Decision) -> None:
    """List a queue's live jobs, or those of some statuses."""
    jobs: Iterable[Job] = (job for job in state.jobs.values() if job.queue == message.queue)
    if message.statuses:
        jobs = _standing(state, message.queue, frozenset(message.statuses))
    decision.answer(tuple(job.job_id for job in jobs))


def _standing(state: QueueState, queue: str, statuses: Collection[JobStatus]) -> Iterator[Job]:
    """Yield the jobs of a queue that have one of some statuses; others are not looked at if that can be avoided."""
    line = state.lines.get(queue)
    if line is None:
        return
    places: list[Iterable[Job]] = []
    if JobStatus.RUNNING in statuses:
        places += (state.running.values(), (state.jobs[job_id] for job_id in state.leases))
    if not WAITING.isdisjoint(statuses):
        places.append(line.in_time())
    if not {JobStatus.PENDING, JobStatus.UNRESOLVED}.isdisjoint(statuses):
        places.append(line.aside.values())
    if JobStatus.PENDING in statuses:
        places += (lane.in_order() for lane in line.active)
    yield from (job for job in chain.from_iterable(places) if job.status in statuses and job.queue == queue)


def list_queues(state: QueueState, _message: ListQueues, _context: Context, decision: Decision) -> None:
    """List all queues."""
    decision.answer(tuple(state.lines))
