"""Making up past instants on somebody's order: bounded, and each at most once."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING

from actors.clock.zones import to_datetime, tzdata_version
from actors.runtime.errors import ForgottenIdError, InputError
from actors.runtime.ids import made_us
from actors.schedule.definitions import schedule_of
from actors.schedule.firing import fires
from actors.schedule.firings import Turn
from actors.schedule.messages import MAX_BACKFILL, Backfilled, ScheduleBackfilled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.messages import Context, Decision
    from actors.schedule.messages import BackfillSchedule
    from actors.schedule.spec import Firing
    from actors.schedule.state import Schedule, SchedulerState


def backfill_schedule(
    state: SchedulerState, message: BackfillSchedule, context: Context, decision: Decision
) -> None:
    """Fire the instants of a past range that have no job on record, or say which these are."""
    schedule = schedule_of(state, message.name)
    if not message.from_us <= message.to_us <= context.now_us:
        msg = f"backfill of {message.name!r}: expected a range that ends before now, and after it begins"
        raise InputError(msg)
    wanted = [
        firing for firing in _instants(schedule, message) if not _is_known(state, schedule, firing, context)
    ]
    _check_memory(schedule, wanted, context)
    decision.answer(
        tuple(Backfilled(firing.at_us, firing.rule, schedule.job_id(firing.at_us)) for firing in wanted)
    )
    if message.dry_run or not wanted:
        return
    instants = tuple((firing.at_us, firing.rule) for firing in wanted)
    decision.emit(ScheduleBackfilled(message.name, instants, context.now_us, tzdata_version()))
    turn = Turn(decision)
    for firing in wanted:
        turn.enqueue(schedule.job_id(firing.at_us), schedule.name, schedule.target)
    turn.decided()


def _check_memory(schedule: Schedule, wanted: list[Firing], context: Context) -> None:
    """Refuse instants that may have fired, so that nobody remembers: they would fire twice (R21)."""
    begun_us = made_us(f"schedule:{schedule.schedule_id}") or 0
    if begun_us <= context.horizon_us and any(each.at_us <= context.horizon_us for each in wanted):
        until = to_datetime(schedule.spec.timezone, context.horizon_us).isoformat(timespec="seconds")
        msg = (
            f"backfill of {schedule.name!r}: what fired up to {until} may have been forgotten, since the log was "
            "compacted up to then; expected a range that begins later"
        )
        raise ForgottenIdError(msg)


def jobs_of_backfill(state: SchedulerState, message: BackfillSchedule) -> Iterable[str]:
    """Name the jobs that the log may know of the instants of a range."""
    schedule = state.schedules.get(message.name)
    if schedule is None or message.from_us > message.to_us:
        return ()
    return [f"job:{schedule.job_id(firing.at_us)}" for firing in _instants(schedule, message)]


def _instants(schedule: Schedule, message: BackfillSchedule) -> list[Firing]:
    after_us = fires(schedule.spec, message.from_us - 1)
    found = list(islice(takewhile(lambda firing: firing.at_us <= message.to_us, after_us), MAX_BACKFILL + 1))
    if len(found) > MAX_BACKFILL:
        msg = f"backfill of {message.name!r}: expected at most {MAX_BACKFILL} runs at a time, the range has more"
        raise InputError(msg)
    return found


def _is_known(state: SchedulerState, schedule: Schedule, firing: Firing, context: Context) -> bool:
    job_id = schedule.job_id(firing.at_us)
    waits = any(waiting.scheduled_us == firing.at_us for waiting in schedule.waiting)
    return waits or job_id in state.firings or job_id in state.retired or f"job:{job_id}" in context.known
