"""Why a job is not running: what the rules for starting look at, told instead of decided."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from actors.queue.allocation import holders_of
from actors.queue.floor import waits_for
from actors.queue.gates import ONLY_BY_AN_END
from actors.queue.hall import serves
from actors.queue.jobs import WAITING
from actors.queue.messages import Obstacle
from actors.queue.resources import UNITS
from actors.queue.specs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.queue.gates import Gate
    from actors.queue.jobs import Job
    from actors.queue.lanes import Lane
    from actors.queue.messages import ExplainJob
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision

FEW = 10
"""Of many that hold something, so many are named."""


def explain_job(state: QueueState, message: ExplainJob, context: Context, decision: Decision) -> None:
    """Answer what keeps a job from starting."""
    job = state.jobs.get(message.job_id)
    decision.answer(None if job is None else tuple(obstacles(state, job, context)))


def obstacles(state: QueueState, job: Job, context: Context) -> Iterator[Obstacle]:
    """Yield what keeps a job from starting; nothing if it is the next one that a worker takes."""
    if job.status is JobStatus.RUNNING:
        until_us = state.leases.get(job.job_id)
        yield Obstacle("running") if until_us is None else Obstacle("taken", until_us=until_us)
        return
    if job.status is JobStatus.UNRESOLVED:
        yield Obstacle("unresolved", job.kind.function)
    elif job.status in WAITING:
        code = "retry" if job.status is JobStatus.RETRYING else "delayed"
        yield Obstacle(code, until_us=job.course.due_us)
    elif job.course.missing:
        yield Obstacle("dependency", by=_named("job", _waited_for(state, job, context)))
    yield from _of_queue(state, job.queue, context)
    if job.is_ready:
        yield from _of_ready(state, job, context)


def _named(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{kind}:{name}" for name in islice(names, FEW))


def _waited_for(state: QueueState, job: Job, context: Context) -> list[str]:
    """Return the jobs that a job waits for: as its first event names them, as far as they are not over."""
    known = context.known.get(f"job:{job.job_id}")
    spec = getattr(known.history[0], "spec", None) if known is not None else None
    others = state.dependents if spec is None else waits_for(spec)
    return [other for other in others if job.job_id in state.dependents.get(other, ())]


def _of_queue(state: QueueState, queue: str, context: Context) -> Iterator[Obstacle]:
    if state.lines[queue].paused:
        yield Obstacle("paused", queue)
    if not serves(context, queue):
        yield Obstacle("not_served", queue)


def _of_ready(state: QueueState, job: Job, context: Context) -> Iterator[Obstacle]:
    lane = state.hall.lanes[job.kind]
    for gate in lane.all_gates:
        opens_us = gate.opens_us(context.now_us)
        if opens_us:
            yield _closed(state, lane, gate, opens_us)
    for name, amount in state.resources.lacking(lane.needs):
        yield _lacking(state, name, amount)
    busy = len(state.running) + len(state.zombies) - state.riders
    if busy >= context.capacity:
        yield Obstacle("no_worker", by=_named("job", state.running), used=busy, limit=context.capacity)
    first = state.hall.first(context)  # this tries lanes as a start would, and so has them stand in line
    if first is not None and first.ready[0] is not job:
        yield Obstacle("behind", by=(f"job:{first.ready[0].job_id}",))
    elif (before := state.hall.standing_before(lane)) is not None:
        name, other = before
        yield Obstacle("resource_line", name, by=(f"job:{other.ready[0].job_id}",))
    elif first is None and lane.ready[0] is not job:
        yield Obstacle("behind", by=(f"job:{lane.ready[0].job_id}",))


def _closed(state: QueueState, lane: Lane, gate: Gate, opens_us: int) -> Obstacle:
    """Tell what holds back at a gate: so many run, or a rate."""
    if gate is lane.line.gate:
        of, name = "queue", lane.line.name
    else:
        of, name = next(key for key, each in lane.line.gates.items() if each is gate)
    if opens_us == ONLY_BY_AN_END:
        by = _named("job", _let_through(state, gate))
        return Obstacle(f"{of}_limit", name, by, used=gate.running, limit=gate.limit)
    assert gate.rate is not None
    return Obstacle(f"{of}_rate", name, until_us=opens_us, limit=gate.rate.count)


def _let_through(state: QueueState, gate: Gate) -> Iterator[str]:
    """Yield the jobs whose attempts a gate has let through and that have not ended."""
    lanes = state.hall.lanes
    for job in (*state.running.values(), *(state.jobs[job_id] for job_id in state.leases)):
        if gate in lanes[job.kind].all_gates:
            yield job.job_id
    for key, (_, kind) in state.zombies.items():
        if gate in lanes[kind].all_gates:
            yield key.job_id


def _lacking(state: QueueState, name: str, amount: int) -> Obstacle:
    resources = state.resources
    holders = [_entity_of(*holder) for holder in holders_of(state, name)]
    waiting = [
        f"allocation:{allocation}"
        for allocation, holding in resources.waiting.items()
        if any(wanted == name for wanted, _ in holding.amounts)
    ]
    _, capacity = resources.capacity.get(name, ("", 0.0))
    return Obstacle(
        "resource",
        name,
        tuple((*holders, *waiting)[:FEW]),
        used=resources.used(name),
        limit=capacity,
        wanted=amount / UNITS,
    )


def _entity_of(holder: str, requester: str, _amount: float) -> str:
    return holder if holder == requester else f"allocation:{holder}"
