"""Giving names to schedules: one at a time, or a whole group, all or none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.clock.zones import tzdata_version
from actors.runtime.errors import ConflictingIdError, InputError, UnknownIdError
from actors.schedule.catch_up import expected_us, overdue, told_us
from actors.schedule.messages import (
    DROPPED,
    MAX_JITTER_US,
    MAX_LIMIT,
    PutSchedule,
    ScheduleChange,
    ScheduleGroupApplied,
    SchedulePut,
    ScheduleRemoved,
    ScheduleSkipped,
)
from eventstore.decoding import msgpack_decoder

if TYPE_CHECKING:
    from actors.runtime.messages import Context, Decision
    from actors.schedule.messages import ApplySchedules
    from actors.schedule.state import Schedule, SchedulerState

ENCODE = msgspec.msgpack.Encoder().encode
DECODE_PUT = msgpack_decoder(PutSchedule)


def schedule_of(state: SchedulerState, name: str) -> Schedule:
    """Return the schedule of a name; `UnknownIdError` if there is none."""
    schedule = state.schedules.get(name)
    if schedule is None:
        msg = f"no schedule {name!r} on record"
        raise UnknownIdError(msg)
    return schedule


def let_go(schedule: Schedule, policy: str, context: Context, decision: Decision) -> None:
    """Say of each instant that waits for a job to end, or is due, that it will not fire, because of such an order."""
    for instant in schedule.waiting:
        _skip(schedule, (instant.scheduled_us, 1, DROPPED), policy, context, decision)
    try:
        upto_us, count = overdue(schedule, context.now_us)
    except Exception:  # noqa: BLE001 -- a zone that is gone, say: what is due cannot be told, and the order holds
        return
    if count:
        _skip(schedule, (upto_us, count, "missed"), policy, context, decision)


def _skip(
    schedule: Schedule, what: tuple[int, int, str], policy: str, context: Context, decision: Decision
) -> None:
    upto_us, count, reason = what
    next_us = 0 if reason == DROPPED else told_us(schedule.spec, upto_us)
    decision.emit(
        ScheduleSkipped(
            schedule.name, upto_us, count, reason, context.now_us, tzdata_version(), policy, next_us
        )
    )


def put_schedule(state: SchedulerState, message: PutSchedule, context: Context, decision: Decision) -> None:
    """Give a name its schedule, unless it has this very one."""
    before = state.schedules.get(message.name)
    change = _put(state, message, context, decision)
    unchanged = before if change == "unchanged" else None
    decision.answer(message.schedule_id if unchanged is None else unchanged.schedule_id)


def apply_schedules(
    state: SchedulerState, message: ApplySchedules, context: Context, decision: Decision
) -> None:
    """Put a group of schedules, and remove what it has no more; or only say what that would be."""
    _check_names(state, message)
    changes = [ScheduleChange(put.name, _put(state, put, context, decision)) for put in message.schedules]
    if message.group:
        changes += _close_group(state, message, context, decision)
    if message.dry_run:
        decision.events.clear()
    decision.answer(tuple(sorted(changes, key=lambda change: change.name)))


def _close_group(
    state: SchedulerState, message: ApplySchedules, context: Context, decision: Decision
) -> list[ScheduleChange]:
    names = tuple(sorted(put.name for put in message.schedules))
    before = state.groups.get(message.group, ())
    gone = [name for name in before if name in state.schedules and name not in names]
    for name in gone:
        let_go(state.schedules[name], "remove", context, decision)
        decision.emit(ScheduleRemoved(name, context.now_us))
    if names != before:
        decision.emit(ScheduleGroupApplied(message.group, names, context.now_us))
    return [ScheduleChange(name, "removed") for name in gone]


def leave_group(state: SchedulerState, name: str, context: Context, decision: Decision) -> None:
    """Have a name that is removed belong to no group any more: it may be given again, to another one or none."""
    for group, names in state.groups.items():
        if name in names:
            left = tuple(each for each in names if each != name)
            decision.emit(ScheduleGroupApplied(group, left, context.now_us))


def _check_names(state: SchedulerState, message: ApplySchedules) -> None:
    seen: set[str] = set()
    for put in message.schedules:
        if put.name in seen:
            msg = f"schedule {put.name!r} is there twice"
            raise InputError(msg)
        seen.add(put.name)
    if not message.group:
        return
    for group, names in state.groups.items():
        taken = sorted(seen.intersection(names) & state.schedules.keys())
        if taken and group != message.group:
            msg = f"schedule {taken[0]!r} belongs to the group {group!r}, not to {message.group!r}"
            raise InputError(msg)


def _put(state: SchedulerState, message: PutSchedule, context: Context, decision: Decision) -> str:
    before = state.schedules.get(message.name)
    if before is not None:
        present = (before.spec, before.target, before.policies)
        if present == (message.spec, message.target, message.policies):
            return "unchanged"
    used = before is not None and before.schedule_id == message.schedule_id
    if used or message.schedule_id in state.open:
        msg = f"schedule id {message.schedule_id!r} is on record for another definition"
        raise ConflictingIdError(msg)
    next_us = _check(message, context.now_us)
    if before is not None:
        let_go(before, "replace", context, decision)
    decision.emit(
        SchedulePut(
            message.name,
            message.schedule_id,
            message.spec,
            message.target,
            message.policies,
            context.now_us,
            tzdata_version(),
            next_us,
        )
    )
    return "created" if before is None else "changed"


def _check(message: PutSchedule, now_us: int) -> int:
    """Refuse what could not be read back from the log, or never be served; the first instant, or 0."""
    try:
        DECODE_PUT(ENCODE(message))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        msg = f"schedule {message.name!r}: {error}"
        raise InputError(msg) from error
    policies = message.policies
    _check_number("limit", policies.limit, most=MAX_LIMIT)
    _check_number("window_us", policies.window_us)
    _check_number("max_runs", policies.max_runs)
    if not 0 <= policies.jitter_us <= MAX_JITTER_US:
        msg = f"jitter_us: expected 0 to {MAX_JITTER_US}, got {policies.jitter_us}"
        raise InputError(msg)
    if policies.start_us is not None and policies.end_us is not None and policies.end_us < policies.start_us:
        msg = f"schedule {message.name!r}: it would end before it starts"
        raise InputError(msg)
    begin_us = now_us if policies.start_us is None else max(now_us, policies.start_us - 1)
    return expected_us(message.spec, begin_us)


def _check_number(what: str, value: int | None, *, most: int | None = None) -> None:
    if value is not None and (value < 1 or (most is not None and value > most)):
        upto = "" if most is None else f" and at most {most}"
        msg = f"{what}: expected at least 1{upto}, got {value}"
        raise InputError(msg)
