"""What a schedule missed while nobody looked: counted without a walk, and the newest of it kept."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from actors.clock.zones import FIRST_S, LAST_S, SECOND_US, YEAR_S
from actors.schedule.alike import DaysAlike
from actors.schedule.days import DAY_US
from actors.schedule.firing import fires, previous_fire, ready, zone_of
from actors.schedule.pattern import Pattern
from actors.schedule.spec import CombinedSpec, Firing, InstantsSpec, PatternSpec, ScheduleSpec
from actors.schedule.timeline import Piece, timeline

MOST_DAYS = 40_000
"""Days of a combination of schedules that are counted, at most: a hundred years."""
MOST_WALKED = 1_000_000
"""Firings of its parts that are found one by one for that, about: some seconds of work, for what fires each second."""


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

    A combination of schedules is counted day by day, for `MOST_DAYS` of them, and until `MOST_WALKED` is reached.
    """
    if isinstance(spec, InstantsSpec):
        return bisect_right(spec.at_us, upto_us) - bisect_right(spec.at_us, after_us), upto_us
    if not isinstance(spec, CombinedSpec):
        return _count(spec, after_us, upto_us), upto_us
    upto_us = min(upto_us, after_us + MOST_DAYS * DAY_US)
    begin_us, end_us = max(after_us + 1, FIRST_S * SECOND_US), min(upto_us + 1, LAST_S * SECOND_US)
    days, count = DaysAlike(), 0
    for start_us in range(begin_us // DAY_US * DAY_US, end_us, DAY_US):
        if days.walked > MOST_WALKED:
            return count, start_us - 1
        found = days.firings_of(spec, start_us)
        if start_us < begin_us or end_us < start_us + DAY_US:
            found = frozenset(each for each in found if begin_us <= start_us + each < end_us)
        count += len(found)
    return count, upto_us


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


def _count_in(spec: PatternSpec, pattern: Pattern, piece: Piece, start: int, end: int) -> int:
    if piece.lost is None and len(piece.offsets) <= 1:
        return sum(pattern.count(start + offset, end + offset) for offset, _ in piece.offsets)
    found = 0
    for firing in fires(spec, start * SECOND_US - 1):
        if firing.at_us >= end * SECOND_US:
            break
        found += 1
    return found
