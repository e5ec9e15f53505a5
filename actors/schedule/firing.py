"""When a schedule fires: the instants of a spec in its zone, under its rules for gaps and folds.

Each spec is made ready once and kept. A search goes 40 years far. All instants are microseconds UTC.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from actors.clock.zones import DAY_S, FIRST_S, LAST_S, SECOND_US, YEAR_S, utc_offset_s
from actors.clock.zones import zone as checked_zone
from actors.schedule.combined import Search, fire_beyond, instant_beyond
from actors.schedule.cron import checked_days, cron_days
from actors.schedule.cron_syntax import parsed
from actors.schedule.days import check_days
from actors.schedule.errors import ScheduleError
from actors.schedule.pattern import Pattern
from actors.schedule.recurring import calendar_days, interval_days
from actors.schedule.spec import (
    CalendarSpec,
    CombinedSpec,
    CronSpec,
    DaysSpec,
    Firing,
    FoldRule,
    GapRule,
    InstantsSpec,
    IntervalSpec,
    PatternSpec,
    ScheduleSpec,
)
from actors.schedule.timeline import Piece, timeline
from actors.schedule.times import ClockTimes, ListedTimes

_SEARCH_S = 41 * YEAR_S
_JUMP_S = 2 * DAY_S
"""More than any two offsets differ by: how far before a wall time its instant may lie elsewhere."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A spec made ready: its wall times, the rules that apply to it, its resolution, and what to warn of."""

    pattern: Pattern
    gap: GapRule
    fold: FoldRule
    resolution_s: int
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=16_384)
def ready(spec: PatternSpec) -> Ready:
    """The spec made ready; a `CronError` for an expression that is invalid or can never fire."""
    if isinstance(spec, CronSpec):
        return _ready_cron(spec)
    if isinstance(spec, IntervalSpec):
        window = range(spec.start_s, spec.end_s + 1, spec.interval_s)
        return Ready(Pattern.of(interval_days(spec), ListedTimes(window)), spec.gap, spec.fold, 1)
    return _ready_calendar(spec)


def _ready_cron(spec: CronSpec) -> Ready:
    fields = parsed(spec.text, days=spec.days, seconds=spec.seconds, hash_name=spec.hash_name)
    warnings = checked_days(spec.text, fields.days)
    gap, fold = spec.gap, spec.fold
    if fields.interval and not spec.apply_to_intervals:
        gap, fold = "skip", "both"
    times = ClockTimes(fields.hours, fields.minutes, fields.seconds)
    return Ready(Pattern.of(cron_days(fields.days), times), gap, fold, 1 if spec.seconds else 60, warnings)


def _ready_calendar(spec: CalendarSpec) -> Ready:
    times = ListedTimes(tuple(sorted(set(spec.at_s))))
    return Ready(Pattern.of(calendar_days(spec), times), spec.gap, spec.fold, 1)


def check(spec: ScheduleSpec) -> tuple[str, ...]:
    """Refuse a spec that cannot be served; the warnings about one that can."""
    if spec.timezone:
        checked_zone(spec.timezone)
    if isinstance(spec, CombinedSpec):
        return tuple(warning for part in spec.parts for warning in _check_part(part))
    return () if isinstance(spec, InstantsSpec) else ready(spec).warnings


def _check_part(part: ScheduleSpec | DaysSpec) -> tuple[str, ...]:
    if isinstance(part, DaysSpec):
        check_days(part)
        return ()
    return check(part)


def next_fire(spec: ScheduleSpec, after_us: int) -> Firing | None:
    """The first firing strictly after an instant; `None` if there is none for 40 years."""
    if isinstance(spec, CombinedSpec):
        return fire_beyond(spec, after_us, Search(1, next_fire, _skip))
    if isinstance(spec, InstantsSpec):
        return instant_beyond(spec, after_us, 1)
    plan, zone = ready(spec), zone_of(spec)
    at = max(after_us // SECOND_US + 1, FIRST_S)
    limit = min(at + _SEARCH_S, LAST_S)
    while at < limit:
        piece = timeline(zone, plan.gap, plan.fold, at // YEAR_S).at(at)
        if piece.plain is None:
            found = _first_in(plan.pattern, piece, at)
            if found is not None:
                return found
            at = piece.end_s
        else:
            wall = plan.pattern.next_wall(at + piece.plain)
            if wall is None or wall - piece.plain >= limit:
                return None
            instant = wall - piece.plain
            if instant < piece.end_s:
                return Firing(instant * SECOND_US, "")
            at = max(piece.end_s, instant - _JUMP_S)
    return None


def _first_in(pattern: Pattern, piece: Piece, at: int) -> Firing | None:
    """The first firing, from `at` on, of a piece that a gap or fold touched."""
    if _holds_lost(pattern, piece):
        return Firing(piece.start_s * SECOND_US, piece.lost_rule)
    best: Firing | None = None
    for offset, rule in piece.offsets:
        wall = pattern.next_wall(at + offset)
        if wall is not None and wall - offset < piece.end_s:
            found = Firing((wall - offset) * SECOND_US, rule)
            best = found if best is None or found.at_us < best.at_us else best
    return best


def _holds_lost(pattern: Pattern, piece: Piece) -> bool:
    """Whether the wall time that a gap swallowed holds any that is wanted."""
    if piece.lost is None:
        return False
    wall = pattern.next_wall(piece.lost[0])
    return wall is not None and wall < piece.lost[1]


def previous_fire(spec: ScheduleSpec, before_us: int) -> Firing | None:
    """The last firing strictly before an instant; `None` if there was none for 40 years."""
    if isinstance(spec, CombinedSpec):
        return fire_beyond(spec, before_us, Search(-1, previous_fire, _skip))
    if isinstance(spec, InstantsSpec):
        return instant_beyond(spec, before_us, -1)
    plan, zone = ready(spec), zone_of(spec)
    at = min((before_us - 1) // SECOND_US, LAST_S - 1)
    limit = max(at - _SEARCH_S, FIRST_S)
    while at > limit:
        piece = timeline(zone, plan.gap, plan.fold, at // YEAR_S).at(at)
        if piece.plain is None:
            found = _last_in(plan.pattern, piece, at)
            if found is not None:
                return found
            at = piece.start_s - 1
        else:
            wall = plan.pattern.previous_wall(at + piece.plain)
            if wall is None:
                return None
            instant = wall - piece.plain
            if instant >= piece.start_s:
                return Firing(instant * SECOND_US, "")
            at = min(piece.start_s - 1, instant + _JUMP_S)
    return None


def _last_in(pattern: Pattern, piece: Piece, at: int) -> Firing | None:
    """The last firing, up to `at`, of a piece that a gap or fold touched."""
    if _holds_lost(pattern, piece):
        return Firing(piece.start_s * SECOND_US, piece.lost_rule)
    best: Firing | None = None
    for offset, rule in piece.offsets:
        wall = pattern.previous_wall(at + offset)
        if wall is not None and wall - offset >= piece.start_s:
            found = Firing((wall - offset) * SECOND_US, rule)
            best = found if best is None or found.at_us > best.at_us else best
    return best


def _skip(spec: PatternSpec, other: PatternSpec, at_us: int, sign: int) -> int:
    """Whence to search on from an instant at which the other fires, over what it rules out of its own day or window.

    Days on which clocks change are walked.
    """
    at_s = at_us // SECOND_US
    piece, beside = (_piece(each, at_s) for each in (spec, other))
    if piece.plain is None or beside.plain is None:
        return at_us
    pattern = ready(other).pattern
    free = _free_times(spec, other, piece.plain - beside.plain)
    midnight = pattern.day_of(at_s + beside.plain) * DAY_S - beside.plain
    if sign > 0:
        place = bisect_right(free, at_s - midnight)
        until = midnight + (free[place] if place < len(free) else pattern.span_s)
        return min(until, piece.end_s, beside.end_s) * SECOND_US - 1
    place = bisect_left(free, at_s - midnight)
    until = midnight + (free[place - 1] if place else -1)
    return max(until, piece.start_s - 1, beside.start_s - 1) * SECOND_US + 1


def _piece(spec: PatternSpec, at_s: int) -> Piece:
    plan = ready(spec)
    return timeline(zone_of(spec), plan.gap, plan.fold, at_s // YEAR_S).at(at_s)


@lru_cache(maxsize=64)
def _free_times(spec: PatternSpec, other: PatternSpec, ahead_s: int) -> array[int]:
    """The times of the other's day or window at which the first may fire without it: at most one for each second.

    The wall of the first is `ahead_s` ahead of the other's.
    """
    times, pattern = ready(spec).pattern.times, ready(other).pattern
    own = set()
    second = times.at_or_after(0)
    while second >= 0:
        own.add((second - ahead_s) % DAY_S)
        second = times.at_or_after(second + 1)
    both = (day_s + second for day_s in range(0, pattern.span_s, DAY_S) for second in own)
    return array("l", sorted(each for each in both if each < pattern.span_s and not pattern.holds(each)))


def fires(spec: ScheduleSpec, after_us: int) -> Iterator[Firing]:
    """The firings strictly after an instant, one by one, as long as there are any."""
    found = next_fire(spec, after_us)
    while found is not None:
        yield found
        found = next_fire(spec, found.at_us)


def next_fires(spec: ScheduleSpec, after_us: int, count: int) -> tuple[Firing, ...]:
    """The next `count` firings strictly after an instant; fewer if there are no more."""
    return tuple(islice(fires(spec, after_us), count))


def matches(spec: ScheduleSpec, at_us: int) -> bool:
    """Whether the schedule fires in the minute (of an expression with seconds, the second) of an instant.

    The minute is the one that the wall shows. What a gap or fold moved counts where it fires.
    """
    resolution_s = _resolution_s(spec)
    at_s = at_us // SECOND_US
    offset = utc_offset_s(zone_of(spec), at_s)
    start = (at_s + offset) // resolution_s * resolution_s - offset
    found = next_fire(spec, start * SECOND_US - 1)
    return found is not None and found.at_us < (start + resolution_s) * SECOND_US


def _resolution_s(spec: ScheduleSpec) -> int:
    if isinstance(spec, CombinedSpec):
        return min(_resolution_s(part) for part in spec.parts if not isinstance(part, DaysSpec))
    return 1 if isinstance(spec, InstantsSpec) else ready(spec).resolution_s


def zone_of(spec: ScheduleSpec) -> str:
    """The name of the spec's zone; a `ScheduleError` if that is still to be chosen."""
    if not spec.timezone:
        raise ScheduleError("this schedule names no timezone and was not given one")
    return spec.timezone
