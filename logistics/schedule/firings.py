"""What a schedule has fired, and what came of it: read from the log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from actors.clock.zones import to_datetime_somehow
from actors.queue.events import JobFailed, JobUnresolved
from actors.queue.messages import GetJob
from actors.queue.specs import JobStatus
from actors.schedule.messages import (
    GetSchedules,
    ScheduleBackfilled,
    ScheduleClosed,
    ScheduleFired,
    SchedulePut,
    ScheduleTriggered,
    ScheduleView,
)
from actors.workflow.events import RunFailed
from actors.workflow.messages import GetRun
from logistics.audit.past import schedule_at_begin
from logistics.orchestration.reading import backwards, last

if TYPE_CHECKING:
    from actors.runtime.messages import Event
    from actors.schedule.state import Schedule
    from logistics.orchestration.engine import OrchestrationEngine


Definition: TypeAlias = "SchedulePut | Schedule | ScheduleView"
"""What says in which zone a schedule fired, and with which id."""


class FiredRun(NamedTuple):
    """A firing of a schedule, and what came of it; datetimes are in its zone."""

    job_id: str
    """The id of the job, and of the run if it is one of a workflow."""
    at: datetime | None
    """The time for which it fired; None if it was triggered."""
    fired: datetime
    rule: str
    """By which a gap or a fold touched that time; empty if none did."""
    policy: str
    """Why it fired then if it was not its time alone: `catch_up.latest`, `overlap.queue`, `trigger`, `backfill` …"""
    missed: int
    """Times before it that were passed over with it."""
    status: str
    """Of the job or the run: how it has ended, or where it stands; `UNRESOLVED` if it is parked."""
    ended: datetime | None
    error: str
    """Why it has failed, or is parked; else empty."""


def fired_runs(engine: OrchestrationEngine, name: str, limit: int) -> list[FiredRun]:
    """Return the newest firings of a schedule, newest first; none if the name is unknown."""
    runs: dict[str, FiredRun] = {}
    ends: dict[str, ScheduleClosed] = {}
    past, put = _recent(engine, name, limit)
    for event in past:
        if isinstance(event, SchedulePut):
            put = event
        elif isinstance(event, ScheduleClosed):
            ends[event.job_id] = event
        elif put is not None:
            runs.update((run.job_id, run) for run in _of(event, put))
    newest = list(runs.values())[::-1][:limit]
    return [_with_end(engine, run, ends.get(run.job_id)) for run in newest]


def _recent(engine: OrchestrationEngine, name: str, limit: int) -> tuple[list[Event], Definition | None]:
    """Return the newest events, oldest first, that tell of so many firings, and the definition before them."""
    put: Definition | None = next(iter(engine.query("scheduler", GetSchedules(names=(name,)))), None)
    past: list[Event] = []
    seen: set[int | str] = set()
    for event in backwards(engine, f"schedule:{name}"):
        past.append(event)
        seen |= _instants(event)
        if isinstance(event, SchedulePut):
            put = None  # what is older was fired by another one
        if len(seen) >= limit and (put is not None or isinstance(event, SchedulePut)):
            return past[::-1], put
    if past and not isinstance(past[-1], SchedulePut):
        put = schedule_at_begin(engine.store.runtime.log, name)
    return past[::-1], put


def _instants(event: Event) -> set[int | str]:
    """Return the instants that an event says were fired; of a trigger the job."""
    if isinstance(event, ScheduleFired):
        return {event.scheduled_us}
    if isinstance(event, ScheduleTriggered):
        return {event.job_id}
    return {at_us for at_us, _ in event.instants} if isinstance(event, ScheduleBackfilled) else set()


def _of(event: Event, put: Definition) -> list[FiredRun]:
    def moment(at_us: int) -> datetime:
        return to_datetime_somehow(put.spec.timezone, at_us)

    if isinstance(event, ScheduleFired):
        at, fired, missed = moment(event.scheduled_us), moment(event.fired_us), event.missed
        return [FiredRun(event.job_id, at, fired, event.rule, event.policy, missed, "", None, "")]
    if isinstance(event, ScheduleTriggered):
        return [FiredRun(event.job_id, None, moment(event.at_us), "", "trigger", 0, "", None, "")]
    if isinstance(event, ScheduleBackfilled):
        return [
            FiredRun(
                f"{put.schedule_id}.{at}", moment(at), moment(event.at_us), rule, "backfill", 0, "", None, ""
            )
            for at, rule in event.instants
        ]
    return []


def _with_end(engine: OrchestrationEngine, run: FiredRun, end: ScheduleClosed | None) -> FiredRun:
    if end is None:
        status = _live_status(engine, run.job_id)
        return run._replace(status=status, error=_error(engine, run.job_id, status))
    ended = to_datetime_somehow(str(run.fired.tzinfo), end.ended_us)
    error = end.refusal or _error(engine, run.job_id, end.status)
    return run._replace(status=end.status, ended=ended, error=error)


def _live_status(engine: OrchestrationEngine, job_id: str) -> str:
    live = engine.query("supervisor", GetRun(run_id=job_id))
    if live is None:
        live = engine.query("queue", GetJob(job_id=job_id))
    return str(JobStatus.PENDING) if live is None else str(live.status)


def _error(engine: OrchestrationEngine, job_id: str, status: str) -> str:
    if status not in {JobStatus.FAILED, JobStatus.UNRESOLVED}:
        return ""
    found = last(engine, f"run:{job_id}") or last(engine, f"job:{job_id}")
    return found.error if isinstance(found, RunFailed | JobFailed | JobUnresolved) else ""
