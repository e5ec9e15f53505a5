"""A schedule as users see it: what it is, when it runs next, how it went so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from actors.clock.zones import to_datetime, to_datetime_somehow
from actors.schedule.firing import fires
from actors.schedule.jitter import jitter_us
from actors.schedule.messages import ScheduleView
from logistics.inputs import check_int
from logistics.schedule.words import in_words

MAX_PREVIEW = 100_000


class PlannedRun(NamedTuple):
    """A run to come."""

    at: datetime
    rule: str
    """By which a gap or a fold of its zone touched it; empty if none did."""
    due: datetime
    """When it is to run: `at`, put off by the schedule's jitter."""


class BackfilledRun(NamedTuple):
    """A past run that was made up."""

    at: datetime
    """The time for which it ran, in the zone of the schedule."""
    rule: str
    """By which a gap or a fold touched that time; empty if none did."""
    job_id: str
    """The id of the job, and of the run if it is one of a workflow."""


class Lateness(NamedTuple):
    """How late the runs of a schedule began, after their time and jitter: the last one, on average, at most."""

    last: timedelta
    mean: timedelta
    most: timedelta


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A schedule and where it stood when it was read; datetimes are aware, in its zone."""

    name: str
    kind: str
    """`cron` or `recurring`."""
    expression: str
    """The cron expression, or the recurring schedule in words."""
    timezone: str
    function: str
    queue: str | None
    paused: bool
    completed: bool
    """Whether there is nothing more to run."""
    next_run: datetime | None
    """None if it is paused or completed."""
    last_run: datetime | None
    """The time for which it last ran, not when it did; triggers do not count."""
    last_fired: datetime | None
    """When it last ran, as opposed to the time for which it did."""
    lateness: Lateness
    runs: int
    """How often it ran at its times; triggers and backfills do not count, `firings` tells of them."""
    running: int
    """Its jobs, or runs, that have not ended, those that wait in their queue too."""
    waiting: int
    """Its runs that wait for one of these to end."""
    catch_up: str
    overlap: str
    error: str
    """Why it cannot run, or empty: its zone is not in this release of the tz database."""
    workflow: str | None = None
    """The workflow of which each run is one; `function` is empty then."""


def shown(view: ScheduleView) -> ScheduledTask:
    """Return what the scheduler says of a schedule as users see it."""
    spec, policies = view.spec, view.policies
    return ScheduledTask(
        name=view.name,
        kind=view.kind,
        expression=in_words(spec),
        timezone=spec.timezone,
        function="" if view.target.workflow else view.target.function,
        queue=view.target.queue or None,
        paused=view.paused,
        completed=view.completed,
        next_run=_moment(view, view.next_us),
        last_run=_moment(view, view.last_us),
        last_fired=_moment(view, view.last_fired_us),
        lateness=Lateness(
            last=timedelta(microseconds=view.late_us),
            mean=timedelta(microseconds=view.late_sum_us // max(1, view.runs)),
            most=timedelta(microseconds=view.late_most_us),
        ),
        runs=view.runs,
        running=view.open,
        waiting=view.waiting,
        catch_up=policies.catch_up,
        overlap=policies.overlap,
        error=view.error,
        workflow=view.target.workflow or None,
    )


def planned(view: ScheduleView, n: int, now_us: int) -> list[PlannedRun]:
    """Return the next `n` runs of a schedule, as if it were not paused; fewer if it has no more."""
    count = check_int("n", n, least=0, most=MAX_PREVIEW)
    policies = view.policies
    if policies.max_runs is not None:
        count = min(count, policies.max_runs - view.runs - view.waiting)
    after_us = now_us if policies.start_us is None else max(now_us, policies.start_us - 1)
    if view.next_us is not None:  # past if jitter puts it off, later than the first if the clock was set back
        after_us = view.next_us - 1
    found: list[PlannedRun] = []
    if count <= 0 or view.completed:
        return found
    for firing in fires(view.spec, after_us):
        if policies.end_us is not None and firing.at_us > policies.end_us:
            break
        due_us = firing.at_us + jitter_us(view.name, firing.at_us, policies.jitter_us)
        zone = view.spec.timezone
        found.append(PlannedRun(to_datetime(zone, firing.at_us), firing.rule, to_datetime(zone, due_us)))
        if len(found) == count:
            break
    return found


def _moment(view: ScheduleView, at_us: int | None) -> datetime | None:
    return None if at_us is None else to_datetime_somehow(view.spec.timezone, at_us)
