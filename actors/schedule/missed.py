"""What a schedule missed while nobody looked: counted without a walk, and the newest of it kept."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice
from typing import NamedTuple

from actors.clock.zones import FIRST_S, LAST_S, SECOND_US, YEAR_S
from actors.schedule.days import DAY_US, spans
from actors.schedule.firing import fires, previous_fire, ready, zone_of
from actors.schedule.pattern import Pattern
from actors.schedule.spec import CombinedSpec, DaysSpec, Firing, InstantsSpec, PatternSpec, ScheduleSpec
from actors.schedule.timeline import Piece, timeline

MOST_COUNTED = 100_000
"""Firings of a combination of schedules that are counted, at most, if they can only be counted one by one."""
MOST_DAYS = 40_000
"""Days of a schedule that leaves out days, or keeps to them, that are counted, at most: a hundred years."""


class Missed(NamedTuple):
    """The newest missed firings, oldest first, and how many older ones were dropped."""

    kept: tuple[Firing, ...]
    dropped: int


def missed(spec: ScheduleSpec, after_us: int, upto_us: int, *, limit: int) -> Missed:
    """The firings after one instant, up to and with another: the newest `limit` of them, the rest counted.

    What it costs grows with the limit and the years between, not with the firings.
    """
    kept: list[Firing] = []
    cursor = upto_us + 1
    while len(kept) < limit:
        found = previous_fire(spec, cursor)
        if found is None or found.at_us <= after_us:
            return Missed(tuple(reversed(kept)), 0)
        kept.append(found)
        cursor = found.at_us
    return Missed(tuple(reversed(kept)), count_fires(spec, after_us, cursor - 1))


def count_fires(spec: ScheduleSpec, after_us: int, upto_us: int) -> int:
    """How many firings there are after one instant, up to and with another, as far as `counted` goes."""
    return counted(spec, after_us, upto_us)[0]


def counted(spec: ScheduleSpec, after_us: int, upto_us: int) -> tuple[int, int]:
    """How many firings there are after one instant, up to and with another; and up to when they were counted.

    A schedule that leaves out days or listed instants, or keeps to days, is counted span by span for `MOST_DAYS`;
    any other combination one by one, `MOST_COUNTED` at most.
    """
    if isinstance(spec, InstantsSpec):
        return bisect_right(spec.at_us, upto_us) - bisect_right(spec.at_us, after_us), upto_us
    if not isinstance(spec, CombinedSpec):
        return _count(spec, after_us, upto_us), upto_us
    if not _is_counted_by_days(spec):
        return _walked(spec, after_us, upto_us)
    upto_us = min(upto_us, after_us + MOST_DAYS * DAY_US)
    return _count_by_days(spec, after_us, upto_us), upto_us


def _is_counted_by_days(spec: ScheduleSpec | DaysSpec) -> bool:
    if not isinstance(spec, CombinedSpec):
        return True
    beside = (DaysSpec, InstantsSpec) if spec.how == "but" else DaysSpec
    first, *others = spec.parts
    return (
        spec.how != "any" and _is_counted_by_days(first) and all(isinstance(each, beside) for each in others)
    )


def _count_by_days(spec: CombinedSpec, after_us: int, upto_us: int) -> int:
    base, *others = spec.parts
    assert not isinstance(base, DaysSpec)
    days = [each for each in others if isinstance(each, DaysSpec)]
    kept = list(spans(days, spec.timezone, after_us + 1, upto_us + 1, held=spec.how == "all"))
    listed = {at_us for each in others if isinstance(each, InstantsSpec) for at_us in each.at_us}
    left_out = sum(
        any(start <= at_us < end for start, end in kept) and count_fires(base, at_us - 1, at_us)
        for at_us in listed
    )
    return sum(count_fires(base, start - 1, end - 1) for start, end in kept) - left_out


def _count(spec: PatternSpec, after_us: int, upto_us: int) -> int:
    plan, zone = ready(spec), zone_of(spec)
    cursor = max(after_us // SECOND_US + 1, FIRST_S)
    end = min(upto_us // SECOND_US + 1, LAST_S)
    count = 0
    while cursor < end:
        piece = timeline(zone, plan.gap, plan.fold, cursor // YEAR_S).at(cursor)
        count += _count_in(spec, plan.pattern, piece, cursor, min(end, piece.end_s))
        cursor = piece.end_s
    return count


def _walked(spec: ScheduleSpec, after_us: int, upto_us: int) -> tuple[int, int]:
    count, last_us = 0, after_us
    for firing in islice(fires(spec, after_us), MOST_COUNTED):
        if firing.at_us > upto_us:
            return count, upto_us
        count, last_us = count + 1, firing.at_us
    return count, upto_us if count < MOST_COUNTED else last_us


def _count_in(spec: PatternSpec, pattern: Pattern, piece: Piece, start: int, end: int) -> int:
    if piece.lost is None and len(piece.offsets) <= 1:
        return sum(pattern.count(start + offset, end + offset) for offset, _ in piece.offsets)
    found = 0
    for firing in fires(spec, start * SECOND_US - 1):
        if firing.at_us >= end * SECOND_US:
            break
        found += 1
    return found
