"""What a schedule missed while nobody looked: counted without a walk, and the newest of it kept."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from actors.clock.zones import FIRST_S, LAST_S, SECOND_US, YEAR_S
from actors.schedule.firing import fires, previous_fire, ready, zone_of
from actors.schedule.pattern import Pattern
from actors.schedule.spec import CombinedSpec, Firing, InstantsSpec, PatternSpec, ScheduleSpec
from actors.schedule.timeline import Piece, timeline

MOST_COUNTED = 100_000
"""Firings of a combination of schedules that are counted, at most."""


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
    """How many firings there are after one instant, up to and with another.

    Those of a combination are counted one by one: what is beyond `MOST_COUNTED` is not.
    """
    if isinstance(spec, CombinedSpec | InstantsSpec):
        return walked(spec, after_us, upto_us)[0]
    plan, zone = ready(spec), zone_of(spec)
    cursor = max(after_us // SECOND_US + 1, FIRST_S)
    end = min(upto_us // SECOND_US + 1, LAST_S)
    count = 0
    while cursor < end:
        piece = timeline(zone, plan.gap, plan.fold, cursor // YEAR_S).at(cursor)
        count += _count_in(spec, plan.pattern, piece, cursor, min(end, piece.end_s))
        cursor = piece.end_s
    return count


def walked(spec: ScheduleSpec, after_us: int, upto_us: int) -> tuple[int, int]:
    """How many firings there are, counted one by one, `MOST_COUNTED` at most, and up to when they were counted."""
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
