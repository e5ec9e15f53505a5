"""The rules of the scheduler: what fires when, once each, and what is owed to the queue."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from actors.clock.zones import tzdata_version
from actors.queue.events import JobEnqueued
from actors.queue.messages import EnqueueJobs, JobEnded
from actors.queue.specs import JobStatus
from actors.runtime.errors import ConflictingIdError, InternalError
from actors.runtime.messages import Context, Decision, Message
from actors.schedule.backfill import backfill_schedule, jobs_of_backfill
from actors.schedule.catch_up import choose, due_upto_us, due_us, expected_us, next_instant
from actors.schedule.definitions import apply_schedules, leave_group, let_go, put_schedule, schedule_of
from actors.schedule.firings import FiringTurn, Turn, job_of, owner_of
from actors.schedule.messages import (
    SCHEDULE_EVENTS,
    ApplySchedules,
    BackfillSchedule,
    GetSchedules,
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    ScheduleClosed,
    ScheduleCompleted,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleTriggered,
    ScheduleView,
    TriggerSchedule,
)
from actors.schedule.moved import compare_zones
from actors.schedule.passed import passed_over
from actors.schedule.runs import begin_run, run_ended
from actors.schedule.spec import is_cron
from actors.schedule.state import Schedule, SchedulerState
from actors.workflow.messages import RunEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.runtime.messages import Event
    from actors.schedule.spec import Firing


class SchedulerRules:
    """The rules of the scheduler actor. Pure: the time comes with the context, cron is asked with it."""

    name = "scheduler"
    events: tuple[type[Event], ...] = SCHEDULE_EVENTS

    def initial(self) -> SchedulerState:
        """Return the state before the first event."""
        return SchedulerState()

    def restore(self, image: Any, /) -> SchedulerState:
        """Return the state whose `dump` was `image`."""
        return SchedulerState.restore(image)

    def lookups(self, state: SchedulerState, message: Message, /) -> Iterable[str]:
        """Name the jobs of a trigger or a backfill that memory may have forgotten."""
        if type(message) is TriggerSchedule and message.trigger_id not in state.firings:
            return (f"job:{message.trigger_id}",)
        return jobs_of_backfill(state, message) if type(message) is BackfillSchedule else ()

    def decide(self, state: SchedulerState, message: Message, context: Context, /) -> Decision:
        """Decide on one message; a refusal is raised and changes nothing."""
        decision = Decision()
        _RULES.get(type(message), _unknown)(state, message, context, decision)
        return decision

    def settle(self, state: SchedulerState, context: Context, /) -> Iterator[Decision]:
        """Fire what waited for a job that has ended, then what is due, then note what is over."""
        if state.tzdata != tzdata_version() and state.tzdata:
            yield compare_zones(state, context)
        if not context.scheduling:
            return
        if state.released:
            yield _fire_waiting(state, context)
        find_next(state)
        while due := state.agenda.take_due(context.now_us):
            yield _fire_due(state, due, context)
            find_next(state)
        if state.agenda.exhausted:
            yield _complete(state, context)

    def pending(self, state: SchedulerState, _context: Context, /) -> Decision:
        """Ask the queue again for the job of every firing; it answers with its end if it has ended (R8)."""
        turn = Turn()
        for firing in state.firings.values():
            turn.enqueue(firing.job_id, firing.name, firing.target)
            if firing.unwanted:
                turn.cancel(firing.job_id, firing.name)
        return turn.decided()

    def next_wake_us(self, state: SchedulerState, context: Context, /) -> int | None:
        """Return the earliest next instant of all schedules, while a scheduler is started."""
        if not context.scheduling:
            return None
        find_next(state)
        return state.agenda.first_us()


# -- time --------------------------------------------------------------------------------------------


def find_next(state: SchedulerState) -> None:
    """Fill the agenda: compute the next instants that are not known. It is a cache, no part of the state."""
    agenda = state.agenda
    for name in agenda.take_unknown():
        schedule = state.schedules.get(name)
        if schedule is None or schedule.paused or schedule.completed:
            continue
        try:
            firing = next_instant(schedule, schedule.cursor_us)
        except Exception as error:  # noqa: BLE001 -- one schedule's trouble, shown in its view, stops no other
            agenda.fail(name, _text_of(error))
            continue
        if firing is not None:
            agenda.note(name, firing, due_us(schedule, firing))
        elif not schedule.waiting:
            agenda.exhausted[name] = None


def _fire_due(state: SchedulerState, found: list[tuple[str, Firing]], context: Context) -> Decision:
    turn = FiringTurn(state, context)
    for name, first in found:
        schedule = state.schedules[name]
        try:
            due = choose(schedule, first, context.now_us)
            passed = passed_over(schedule, due.upto_us)
        except Exception as error:  # noqa: BLE001 -- as above
            state.agenda.fail(name, _text_of(error))
        else:
            turn.serve(schedule, due, passed)
    return turn.decided()


def _fire_waiting(state: SchedulerState, context: Context) -> Decision:
    turn = FiringTurn(state, context)
    for name in state.released:
        turn.serve_waiting(state.schedules[name])
    return turn.decided()


def _complete(state: SchedulerState, context: Context) -> Decision:
    decision = Decision()
    for name in state.agenda.exhausted:
        decision.emit(ScheduleCompleted(name, context.now_us))
    return decision


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# -- orders ----------------------------------------------------------------------------------------


def _remove(state: SchedulerState, message: RemoveSchedule, context: Context, decision: Decision) -> None:
    known = message.name in state.schedules
    if known:
        let_go(state.schedules[message.name], "remove", context, decision)
        decision.emit(ScheduleRemoved(message.name, context.now_us))
        leave_group(state, message.name, context, decision)
    decision.answer(known)


def _pause(state: SchedulerState, message: PauseSchedule, context: Context, decision: Decision) -> None:
    schedule = schedule_of(state, message.name)
    if not schedule.paused:
        let_go(schedule, "pause", context, decision)
        decision.emit(SchedulePaused(message.name, context.now_us))
    decision.answer(not schedule.paused)


def _resume(state: SchedulerState, message: ResumeSchedule, context: Context, decision: Decision) -> None:
    schedule = schedule_of(state, message.name)
    if schedule.paused:
        cursor_us = due_upto_us(schedule, context.now_us)
        next_us = expected_us(schedule.spec, cursor_us)
        decision.emit(ScheduleResumed(message.name, cursor_us, context.now_us, tzdata_version(), next_us))
    decision.answer(schedule.paused)


# -- jobs --------------------------------------------------------------------------------------------


def _trigger(state: SchedulerState, message: TriggerSchedule, context: Context, decision: Decision) -> None:
    job_id = message.trigger_id
    decision.answer(job_id)
    if _is_on_record(state, message, context):
        return
    schedule = schedule_of(state, message.name)
    decision.emit(ScheduleTriggered(message.name, job_id, context.now_us))
    decision.tell("queue", EnqueueJobs(jobs=(job_of(job_id, message.name, schedule.target),)))


def _is_on_record(state: SchedulerState, message: TriggerSchedule, context: Context) -> bool:
    """Return whether this trigger was taken before; `ConflictingIdError` if its id is another job's."""
    job_id = message.trigger_id
    if job_id in state.retired:
        return True
    firing = state.firings.get(job_id)
    known = context.known.get(f"job:{job_id}")
    if firing is not None:
        same = firing.name == message.name
    elif known is not None:
        first = known.history[0]
        same = isinstance(first, JobEnqueued) and first.spec.owner == owner_of(message.name)
    else:
        return False
    if not same:
        msg = f"job id {job_id!r} is on record for another job"
        raise ConflictingIdError(msg)
    return True


def _job_ended(state: SchedulerState, message: JobEnded, _context: Context, decision: Decision) -> None:
    """Record the end of a firing's job, once; the queue says it as often as it is asked."""
    firing = state.firings.get(message.job_id)
    if firing is None:
        return
    if firing.target.workflow and message.status == JobStatus.COMPLETED:
        begin_run(firing, message, decision)
    else:
        refusal = message.error if message.status == JobStatus.FAILED and not message.attempts else ""
        decision.emit(ScheduleClosed(firing.name, message.job_id, message.status, message.ended_us, refusal))


# -- questions ---------------------------------------------------------------------------------------


def _get_schedules(
    state: SchedulerState, message: GetSchedules, context: Context, decision: Decision
) -> None:
    find_next(state)
    names = sorted(message.names or state.schedules)
    decision.answer(
        tuple(_view(state, state.schedules[name], context) for name in names if name in state.schedules)
    )


def _view(state: SchedulerState, schedule: Schedule, context: Context) -> ScheduleView:
    next_us, error = _upcoming(state, schedule, context.now_us)
    return ScheduleView(
        name=schedule.name,
        schedule_id=schedule.schedule_id,
        kind="cron" if is_cron(schedule.spec) else "recurring",
        spec=schedule.spec,
        target=schedule.target,
        policies=schedule.policies,
        paused=schedule.paused,
        completed=schedule.completed or schedule.name in state.agenda.exhausted,
        next_us=next_us,
        last_us=schedule.last_us,
        runs=schedule.runs,
        open=len(state.open_jobs(schedule)),
        waiting=len(schedule.waiting),
        error=error,
        last_fired_us=schedule.last_fired_us,
        late_us=schedule.late_us,
        late_most_us=schedule.late_most_us,
        late_sum_us=schedule.late_sum_us,
    )


def _upcoming(state: SchedulerState, schedule: Schedule, now_us: int) -> tuple[int | None, str]:
    """Return the next instant that is still to come, and why it cannot be told."""
    firing, error = state.agenda.next_of(schedule.name), state.agenda.errors.get(schedule.name, "")
    if firing is not None and due_us(schedule, firing) < now_us:
        try:
            firing = next_instant(schedule, now_us - 1)
        except Exception as trouble:  # noqa: BLE001 -- one schedule's trouble keeps no other from being shown
            return None, _text_of(trouble)
    return None if firing is None else firing.at_us, error


def _unknown(_state: SchedulerState, message: Message, _context: Context, _decision: Decision) -> NoReturn:
    msg = f"the scheduler does not know what to do with {type(message).__name__}"
    raise InternalError(msg)


_RULES: Mapping[type[Message], Callable[[SchedulerState, Any, Context, Decision], None]] = MappingProxyType(
    {
        PutSchedule: put_schedule,
        ApplySchedules: apply_schedules,
        BackfillSchedule: backfill_schedule,
        RemoveSchedule: _remove,
        PauseSchedule: _pause,
        ResumeSchedule: _resume,
        TriggerSchedule: _trigger,
        GetSchedules: _get_schedules,
        JobEnded: _job_ended,
        RunEnded: run_ended,
    }
)
