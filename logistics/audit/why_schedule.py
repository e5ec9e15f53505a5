"""What became of an instant of a schedule, and why: its rules asked again, and the log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.clock.zones import SECOND_US, offset_changes, to_datetime, utc_offset_s, wall_of, wall_to_instants
from actors.runtime.errors import InputError, UnknownIdError
from actors.schedule.firing import next_fire, previous_fire, ready
from actors.schedule.messages import (
    GetSchedules,
    ScheduleBackfilled,
    ScheduleCompleted,
    ScheduleDeferred,
    ScheduleFired,
    SchedulePaused,
    SchedulePut,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSkipped,
)
from actors.schedule.missed import count_fires
from actors.schedule.spec import CombinedSpec, DaysSpec, PatternSpec
from logistics.audit.words import Reason, Why, instant
from logistics.inputs import as_datetime, instant_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actors.runtime.messages import Message
    from actors.schedule.messages import Policies, ScheduleView
    from actors.schedule.spec import ScheduleSpec
    from actors.schedule.state import Schedule
    from logistics.audit.past import Past, RecordedEvent

AROUND_S = 2 * 86_400
"""More than a change of the clocks moves anything."""


def explain_schedule(
    ask: Callable[[Message], Any], log: Past, now_us: int, name: str, at: datetime | str | None
) -> Why:
    """Say why a schedule is where it is; with `at`, what became of that time of it. `UnknownIdError`.

    `at` is an aware datetime, or a text like `2027-03-28T02:30`: without an offset, as the wall of the schedule's
    zone shows it.
    """
    past = log.of(f"schedule:{name}")
    views: tuple[ScheduleView, ...] = ask(GetSchedules(names=(name,)))
    view = views[0] if views else None
    if view is None and not past:
        msg = f"no schedule {name!r} on record"
        raise UnknownIdError(msg)
    incarnations, begin_us = list(_incarnations(past, log.schedule_at_begin(name))), log.begin.recorded_us
    if at is None:
        reasons = _present(view, past, now_us)
    elif incarnations:
        reasons = _Asked(past, incarnations, view, now_us, at, begin_us=begin_us).reasons()
    else:
        reasons = iter((_forgotten("its definition", begin_us),))
    return Why(f"schedule:{name}", _status(view), tuple(reasons))


def _status(view: ScheduleView | None) -> str:
    if view is None:
        return "REMOVED"
    return "COMPLETED" if view.completed else "PAUSED" if view.paused else "ACTIVE"


def _newest(past: Iterable[RecordedEvent], *types: type[Any]) -> RecordedEvent | None:
    return next((each for each in reversed(list(past)) if isinstance(each.event, types)), None)


def _said(event: RecordedEvent | None, code: str, text: str) -> Reason:
    """Return a reason that an event has given."""
    if event is None:
        return Reason(code, text)
    by = (event.cause,) if event.cause else ()
    whose = f" by {event.cause}" if event.cause else ""
    return Reason(code, f"{text}{whose} at {instant(event.recorded_at)}", by=by, since=event.recorded_at)


def _forgotten(what: str, begin_us: int) -> Reason:
    upto = instant(as_datetime(begin_us))
    return Reason("forgotten", f"{what} is not on record any more: the log was compacted up to {upto}")


def _present(view: ScheduleView | None, past: list[RecordedEvent], now_us: int) -> Iterator[Reason]:
    """Say what a schedule waits for."""
    if view is None:
        yield _said(_newest(past, ScheduleRemoved), "removed", "it was removed")
        return
    if view.paused:
        yield _said(_newest(past, SchedulePaused), "schedule_paused", "it was paused")
    if view.completed:
        yield _said(
            _newest(past, ScheduleCompleted), "completed", "it has no more instants, and was completed"
        )
    if view.error:
        yield Reason("broken", f"its next instant cannot be told: {view.error}")
    if view.waiting:
        yield Reason("overlap", f"{view.waiting} of its instants wait for its {view.open} open jobs to end")
    if view.next_us is not None and not view.paused:
        yield from _ahead(view, view.next_us, now_us)
        until = to_datetime(view.spec.timezone, view.next_us)
        text = f"its next instant is {until.isoformat()}; it fires while a scheduler is started"
        yield Reason("next", text, until=until)


def _ahead(view: ScheduleView, next_us: int, now_us: int) -> Iterator[Reason]:
    """Say if there are instants between now and the next: the clock was ahead, and was set back."""
    passed = previous_fire(view.spec, next_us)
    if passed is None or passed.at_us <= max(now_us, (view.policies.start_us or 0) - 1):
        return
    until = to_datetime(view.spec.timezone, passed.at_us)
    text = f"its instants up to {until.isoformat()} are over: the clock was ahead of them, and was set back"
    yield Reason("clock_set_back", f"{text}; cancelled and scheduled anew it begins from now", until=until)


class _Incarnation(NamedTuple):
    """A definition of the schedule, and how long it held."""

    put: SchedulePut
    recorded: RecordedEvent | None
    """None if the log was compacted behind it: it is known from the state."""
    end: RecordedEvent | None
    """What replaced or removed it."""


class _Asked:
    """One question about one time of one schedule."""

    def __init__(
        self,
        past: list[RecordedEvent],
        incarnations: list[_Incarnation],
        view: ScheduleView | None,
        now_us: int,
        at: datetime | str,
        *,
        begin_us: int,
    ) -> None:
        """`begin_us`: when the newest of what is not on record any more was recorded."""
        self._past = past
        self._view = view
        self._now_us = now_us
        self._begin_us = begin_us
        self._incarnations = incarnations
        newest = incarnations[-1].put.spec
        self._zone = newest.timezone
        self._time = _read(at, self._zone)
        self._wall_us, self._asked_us = self._time.wall_us, self._time.at_us
        self._one = self._incarnation_at(self._asked_us)
        self._spec: ScheduleSpec = self._one.put.spec if self._one is not None else newest

    def _incarnation_at(self, at_us: int) -> _Incarnation | None:
        return next((each for each in reversed(self._incarnations) if each.put.at_us < at_us), None)

    def reasons(self) -> Iterator[Reason]:
        """Say whether it is a time of the schedule, by which rule, and what became of it."""
        found = self._instants()
        yield from self._touched(found)
        for firing_us, rule in found:
            yield from self._became(firing_us, rule)

    # -- is it a time of the schedule? -----------------------------------------------------------------------

    def _instants(self) -> list[tuple[int, str]]:
        """Return the instants at which the schedule serves that wall time: none, one, or two in a fold."""
        found = []
        for at_us in self._candidates():
            firing = next_fire(self._spec, at_us - 1)
            if firing is not None and firing.at_us == at_us:
                if self._shown() or (firing.rule.startswith("gap.") and self._wanted(self._spec)):
                    found.append((at_us, firing.rule))
        return found

    def _shown(self) -> tuple[int, ...]:
        """Return when the wall shows that time: never in a gap, twice in a fold."""
        return wall_to_instants(self._zone, self._wall_us)

    def _gap(self) -> Any:
        """Return the change of the clocks that swallowed that time; None if it was there."""
        if self._shown():
            return None
        wall_s = self._wall_us // SECOND_US
        changes = offset_changes(self._zone, wall_s - AROUND_S, wall_s + AROUND_S)
        return next(
            each for each in changes if each.at_s + each.before_s <= wall_s < each.at_s + each.after_s
        )

    def _candidates(self) -> list[int]:
        gap = self._gap()
        if self._time.exact:
            return [self._asked_us]
        if gap is None:
            return list(self._shown())
        return sorted({gap.at_s * SECOND_US, self._wall_us - gap.before_s * SECOND_US})

    def _wanted(self, spec: ScheduleSpec) -> bool:
        """Whether a pattern names that wall time, shown or not."""
        if isinstance(spec, CombinedSpec):
            parts = spec.parts if spec.how == "any" else spec.parts[:1]
            return any(self._wanted(part) for part in parts if not isinstance(part, DaysSpec))
        if not isinstance(spec, PatternSpec):
            return False
        wall_s = self._wall_us // SECOND_US
        return self._wall_us % SECOND_US == 0 and ready(spec).pattern.next_wall(wall_s) == wall_s

    def _touched(self, found: list[tuple[int, str]]) -> Iterator[Reason]:
        """Say what the clocks did at that time, and why nothing fires then, if that is so."""
        text = as_datetime(self._wall_us).replace(tzinfo=None).isoformat(timespec="seconds")
        shown, wanted = self._shown(), self._wanted(self._spec)
        first = self._spec.parts[0] if isinstance(self._spec, CombinedSpec) else self._spec
        if not shown and wanted and isinstance(first, PatternSpec):
            rule = f"policy {ready(first).gap}"
            yield Reason("gap", f"{text} is in a gap of {self._zone}: the clocks skip it; {rule}")
        elif len(shown) > 1 and wanted and isinstance(first, PatternSpec):
            rule = f"policy {ready(first).fold}"
            yield Reason("fold", f"{text} comes twice in {self._zone}: the clocks go back; {rule}")
        if found:
            return
        if wanted and isinstance(self._spec, CombinedSpec):
            yield Reason("excluded", f"{text} is left out: the schedule is a combination ({self._spec.how})")
        elif wanted:
            yield Reason("left_out", f"{text} is no time of the schedule: its policy leaves it out")
        else:
            yield Reason("no_time", f"{text} is no time of the schedule{self._around()}")

    def _around(self) -> str:
        before, after = previous_fire(self._spec, self._asked_us), next_fire(self._spec, self._asked_us)
        times = [to_datetime(self._zone, each.at_us).isoformat() for each in (before, after) if each]
        return f"; the nearest are {' and '.join(times)}" if times else ""

    # -- what became of it -----------------------------------------------------------------------------------

    def _became(self, at_us: int, rule: str) -> Iterator[Reason]:
        shown = to_datetime(self._zone, at_us).isoformat()
        by_rule = f" (by {rule})" if rule else ""
        yield from self._recorded(at_us, f"{shown}{by_rule}")

    def _recorded(self, at_us: int, shown: str) -> Iterator[Reason]:
        """Say what the log says of an instant; else why it says nothing."""
        one = self._one
        if one is None and at_us <= self._begin_us:
            yield _forgotten(f"what became of {shown}", self._begin_us)
            return
        if one is None:
            put = self._incarnations[0]
            text = f"{shown} was before the schedule was defined: instants up to then are none of its own,"
            yield _said(put.recorded, "not_defined", text)
            return
        said = [reason for event in self._past_of(one) if (reason := self._told(event, at_us, shown))]
        if not said and at_us <= self._begin_us:
            said = [_forgotten(f"what became of {shown}", self._begin_us)]
        yield from said or (self._silent(one, at_us, shown),)

    def _past_of(self, one: _Incarnation) -> Iterator[RecordedEvent]:
        begin = 0 if one.recorded is None else one.recorded.position
        end = None if one.end is None else one.end.position
        return (each for each in self._past if begin < each.position and (end is None or each.position < end))

    def _told(self, recorded: RecordedEvent, at_us: int, shown: str) -> Reason | None:
        event, since = recorded.event, recorded.recorded_at
        if isinstance(event, ScheduleFired) and event.scheduled_us == at_us:
            policy = f", {event.policy}" if event.policy else ""
            when = instant(as_datetime(event.fired_us))
            assert self._one is not None
            kind = "run" if self._one.put.target.workflow else "job"
            text = f"{shown} fired at {when} as {kind}:{event.job_id}{policy}"
            return Reason("fired", text, by=(f"{kind}:{event.job_id}",), since=since)
        if isinstance(event, ScheduleBackfilled) and at_us in dict(event.instants):
            return _said(recorded, "backfilled", f"{shown} was made up")
        if isinstance(event, ScheduleDeferred) and event.scheduled_us == at_us:
            text = f"{shown} had to wait for an earlier job of the schedule to end ({event.policy}), since"
            return Reason("deferred", f"{text} {instant(since)}", since=since)
        if isinstance(event, ScheduleSkipped) and self._is_among(at_us, event.upto_us, event.count):
            text = f"{shown} was passed over at {instant(since)}: {event.reason} ({event.policy})"
            return Reason(f"skipped_{event.reason}", text, since=since)
        if isinstance(event, ScheduleFired | ScheduleDeferred) and at_us < event.scheduled_us:
            if self._is_among(at_us, event.scheduled_us, event.missed + 1):
                text = (
                    f"{shown} was missed, and passed over with a later instant ({event.policy or 'missed'})"
                )
                return Reason("skipped_missed", f"{text} at {instant(since)}", since=since)
        return None

    def _is_among(self, at_us: int, upto_us: int, count: int) -> bool:
        """Whether an instant is among the last `count` up to another one."""
        return at_us <= upto_us and count_fires(self._spec, at_us - 1, upto_us) <= count

    def _silent(self, one: _Incarnation, at_us: int, shown: str) -> Reason:
        """Say why nothing is on record of an instant."""
        policies = one.put.policies
        paused, pause = self._paused(one, at_us)
        bound = _out_of_bounds(policies, at_us)
        if bound:
            return Reason("out_of_bounds", f"{shown} is {bound}")
        if paused:
            return _said(pause, "schedule_paused", f"{shown} was not served: the schedule was paused")
        if one.end is not None and at_us >= one.end.recorded_at.timestamp() * SECOND_US:
            what = "removed" if isinstance(one.end.event, ScheduleRemoved) else "replaced"
            return _said(one.end, what, f"{shown} was not served: the schedule was {what}")
        if self._view is not None and self._view.completed:
            return Reason("completed", f"{shown} is not served: the schedule is completed")
        until = to_datetime(self._zone, at_us)
        if at_us > self._now_us:
            return Reason("to_come", f"{shown} is to come, if a scheduler is started then", until=until)
        text = f"{shown} is due and not served: no scheduler was started since"
        return Reason("not_served", text, since=until)

    def _paused(self, one: _Incarnation, at_us: int) -> tuple[bool, RecordedEvent | None]:
        """Return whether an instant fell into a pause, which lasts until the schedule is resumed, and its beginning.

        The beginning of one that was there before the log's is not on record.
        """
        pause, unknown = None, self._begin_us > 0
        for each in self._past:
            if isinstance(each.event, SchedulePaused):
                pause, unknown = each, False
            elif isinstance(each.event, ScheduleResumed):
                if (pause or unknown) and one.put.at_us < at_us <= each.event.cursor_us:
                    return True, pause
                pause, unknown = None, False
        return pause is not None or (unknown and self._view is not None and self._view.paused), pause


def _incarnations(past: list[RecordedEvent], before: Schedule | None) -> Iterator[_Incarnation]:
    """Return the definitions that are on record, and the one that a schedule had when its log was compacted."""
    changes = [each for each in past if isinstance(each.event, SchedulePut | ScheduleRemoved)]
    known = {each.event.schedule_id for each in changes if isinstance(each.event, SchedulePut)}
    if before is not None and before.schedule_id not in known:
        put = SchedulePut(
            before.name, before.schedule_id, before.spec, before.target, before.policies, at_us=0
        )
        yield _Incarnation(put, None, changes[0] if changes else None)
    for each, following in zip(changes, [*changes[1:], None], strict=False):
        if isinstance(each.event, SchedulePut):
            yield _Incarnation(each.event, each, following)


def _out_of_bounds(policies: Policies, at_us: int) -> str:
    if policies.start_us is not None and at_us < policies.start_us:
        return f"before the schedule's start, {instant(as_datetime(policies.start_us))}"
    if policies.end_us is not None and at_us > policies.end_us:
        return f"after the schedule's end, {instant(as_datetime(policies.end_us))}"
    return ""


class _Time(NamedTuple):
    """A time that is asked about."""

    wall_us: int
    """What the wall of the schedule's zone shows then."""
    at_us: int
    """The instant; of two the first, of none the one behind the gap."""
    exact: bool
    """Whether that instant is meant and no other."""


def _read(at: datetime | str, zone: str) -> _Time:
    time = _understood(at, zone)
    try:
        as_datetime(time.wall_us)
    except OverflowError as error:
        msg = f"at: expected a time in the years 1 to 9999 of {zone}, got {at!r}"
        raise InputError(msg) from error
    return time


def _understood(at: datetime | str, zone: str) -> _Time:
    moment = at
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError as error:
            msg = f"at: expected a time like 2027-03-28T02:30, got {at!r}"
            raise InputError(msg) from error
        if moment.tzinfo is None:
            return _on_the_wall(wall_of(moment), zone)
    at_us = instant_us("at", moment)
    assert isinstance(moment, datetime)
    if getattr(moment.tzinfo, "key", None) == zone and not wall_to_instants(zone, wall_of(moment)):
        return _on_the_wall(wall_of(moment), zone)
    return _Time(at_us + utc_offset_s(zone, at_us // SECOND_US) * SECOND_US, at_us, exact=True)


def _on_the_wall(wall_us: int, zone: str) -> _Time:
    shown = wall_to_instants(zone, wall_us)
    if shown:
        return _Time(wall_us, shown[0], exact=False)
    before_s = utc_offset_s(zone, wall_us // SECOND_US - AROUND_S)
    return _Time(wall_us, wall_us - before_s * SECOND_US, exact=False)
