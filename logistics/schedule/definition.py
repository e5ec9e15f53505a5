"""From what users say about a schedule to what the scheduler records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypedDict, Unpack

from actors.runtime.errors import InputError
from actors.schedule.errors import ScheduleError
from actors.schedule.messages import (
    CATCH_UPS,
    MAX_JITTER_US,
    MAX_LIMIT,
    OVERLAPS,
    CatchUp,
    Overlap,
    Policies,
    PutSchedule,
)
from actors.schedule.spec import ScheduleSpec, is_cron, is_zoned, zoned
from logistics.ids import new_id
from logistics.inputs import (
    COUNTLESS,
    Duration,
    check_int,
    check_name,
    check_options,
    duration_us,
    instant_us,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow import Workflow
from logistics.schedule.calendar import Calendar, Day
from logistics.schedule.expression import CronExpression
from logistics.schedule.occurrences import CombinedSchedule, Occurrences, zone_name
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.target import Call, Target, check_target, job_template, run_template
from logistics.task.job import Job

Excluded: TypeAlias = Day | datetime | Calendar
HASHED = re.compile(r"(^|[\s,])[hH]($|[\s,/(])")


class ScheduleOptions(TypedDict, total=False):
    """What may be said of a schedule besides when, and what to call; all by keyword, all optional."""

    timezone: str | None
    """The zone of a schedule that names none; the engine's, if this is left out too."""
    queue: str | None
    """Where its jobs go; the engine's own queue, served while a scheduler is started, if left out."""
    priority: int
    max_retries: int
    retry_delay: Duration
    """Of its jobs, as of any `Job`."""
    catch_up: CatchUp
    """What is made up of the runs that were missed: `none`, `latest` (one for all, the default), `all`."""
    limit: int
    """At most so many with `all`, the newest; and at most so many wait with `queue_all`. 100 if left out."""
    window: Duration | None
    """Nothing older than this is made up; no bound if left out."""
    overlap: Overlap
    """What to do while the run before has not ended: `skip` (the default; with `catch_up="all"` it is `queue_all`),
    `allow`, `queue` (one waits), `queue_all`, `cancel_previous`."""
    start: datetime | None
    end: datetime | None
    """Aware datetimes, both included: nothing runs before the one or after the other."""
    max_runs: int | None
    """How often it runs, at most; triggers do not count."""
    exclude: Iterable[Excluded]
    """When it does not run: days (`date`, `YYYY-MM-DD`, `"sat"`, `"weekends"`), a `Calendar`, aware datetimes."""
    jitter: Duration
    """A run starts up to so much later (a day at most), by an amount that is fixed by name and time."""
    subject: str | None
    """Whose data it is about: what its jobs or runs get and say is sealed with their key. Needs the extra `sign`."""


class ScheduleDefinition:
    """A schedule to be put on record with others: what `ScheduleManager.schedule_cron` and its like take.

    `schedule` is a cron expression, as a text too, or a schedule of any other kind; `func` a function or a
    `Workflow`, or a `Job`.
    """

    __slots__ = ("call", "name", "options", "schedule")

    def __init__(
        self,
        name: str,
        schedule: Occurrences[Any] | str,
        func: Target,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        self.name = name
        self.schedule: Occurrences[Any] = (
            schedule
            if isinstance(schedule, RecurringSchedule | CombinedSchedule)
            else cron_schedule(name, schedule)
        )
        self.call = Call(func, args, kwargs)
        self.options = options


def cron_schedule(name: str, expression: object) -> CronExpression | CombinedSchedule:
    """Return a cron expression for the schedule of this name, by which `H` hashes in a text."""
    if isinstance(expression, CronExpression):
        return expression
    if isinstance(expression, CombinedSchedule) and is_cron(expression.spec):
        return expression
    if not isinstance(expression, str):
        msg = f"expression: expected a CronExpression or text, got {expression!r}"
        raise InputError(msg)
    return CronExpression(expression, hash_name=name if HASHED.search(expression) else None)


def check_recurring(schedule: object) -> None:
    """Refuse what is no `RecurringSchedule`, alone or in a combination."""
    if not isinstance(schedule, RecurringSchedule | CombinedSchedule):
        msg = f"schedule: expected a RecurringSchedule, got {schedule!r}"
        raise InputError(msg)


def define(
    engine: OrchestrationEngine,
    name: str,
    schedule: Occurrences[Any],
    call: Call,
    *,
    default_timezone: str | None = None,
    **options: Unpack[ScheduleOptions],
) -> PutSchedule:
    """Return the command that gives a name this schedule; raises what is wrong with what was said."""
    check_options(f"schedule {name!r}", options, ScheduleOptions.__annotations__)
    check_target(name, call, options)
    return _defined(engine, name, schedule, call, default_timezone=default_timezone, **options)


def _defined(
    engine: OrchestrationEngine,
    name: str,
    schedule: Occurrences[Any],
    call: Call,
    *,
    default_timezone: str | None,
    timezone: str | None = None,
    queue: str | None = None,
    priority: int = 0,
    max_retries: int | None = None,
    retry_delay: Duration | None = None,
    catch_up: CatchUp = "latest",
    limit: int = 100,
    window: Duration | None = None,
    overlap: Overlap | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    max_runs: int | None = None,
    exclude: Iterable[Excluded] = (),
    jitter: Duration = 0,
    subject: str | None = None,
) -> PutSchedule:
    check_name("name", name)
    spec = _zoned(_without(schedule, exclude), timezone, default_timezone or engine.timezone)
    if isinstance(call.func, Workflow):
        target = run_template(engine, call.func, call.kwargs, spec.timezone, subject=subject)
    elif isinstance(call.func, Job):
        target = job_template(engine, call.func, queue)
    else:
        options: Any = {
            "priority": priority,
            "max_retries": max_retries,
            "retry_delay": retry_delay,
            "subject": subject,
        }
        target = job_template(engine, Job(name, call.func, call.args, call.kwargs, **options), queue)
    policies = Policies(
        catch_up=_one_of("catch_up", catch_up, CATCH_UPS),
        overlap=_overlap(catch_up) if overlap is None else _one_of("overlap", overlap, OVERLAPS),
        limit=check_int("limit", limit, least=1, most=MAX_LIMIT),
        window_us=None if window is None else duration_us("window", window, least_us=1),
        start_us=None if start is None else instant_us("start", start),
        end_us=None if end is None else instant_us("end", end),
        max_runs=None if max_runs is None else check_int("max_runs", max_runs, least=1, most=COUNTLESS),
        jitter_us=duration_us("jitter", jitter, most_s=MAX_JITTER_US // 1_000_000),
    )
    return PutSchedule(
        name=name,
        schedule_id=new_id(),
        spec=spec,
        target=target,
        policies=policies,
    )


def _without(schedule: Occurrences[Any], exclude: Iterable[Excluded]) -> Occurrences[Any]:
    """Leave days and moments out of a schedule."""
    if isinstance(exclude, str) or not isinstance(exclude, Iterable):
        msg = f"exclude: expected a list of days, calendars and aware datetimes, got {exclude!r}"
        raise InputError(msg)
    days = Calendar()
    moments: list[datetime] = []
    for each in exclude:
        if isinstance(each, datetime):
            moments.append(each)
        else:
            days |= each if isinstance(each, Calendar) else Calendar(each)
    if days != Calendar():
        schedule -= days
    return schedule - RecurringSchedule.once(moments, timezone=schedule.timezone) if moments else schedule


def _zoned(schedule: Occurrences[Any], timezone: str | None, default: str) -> ScheduleSpec:
    spec: ScheduleSpec = schedule.spec
    zone_name(timezone)
    if timezone is not None and is_zoned(spec) and timezone != spec.timezone:
        msg = f"timezone: the schedule is in {spec.timezone!r} already, got {timezone!r} as well"
        raise ScheduleError(msg)
    return spec if is_zoned(spec) else zoned(spec, timezone or default)


def _overlap(catch_up: CatchUp) -> Overlap:
    """Say what becomes of overlapping runs if nobody does: what is made up one by one must not pass itself over."""
    return "queue_all" if catch_up == "all" else "skip"


def _one_of(what: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        msg = f"{what}: expected one of {', '.join(allowed)}, got {value!r}"
        raise InputError(msg)
    return value
