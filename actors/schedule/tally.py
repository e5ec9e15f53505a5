"""How many firings lie between two instants: counted by months and spans of one offset, not walked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.zones import SECOND_US, YEAR_S
from actors.schedule.firing import next_fire, ready
from actors.schedule.timeline import timeline

if TYPE_CHECKING:
    from actors.schedule.firing import Ready
    from actors.schedule.spec import ScheduleSpec
    from actors.schedule.timeline import Piece


def count_fires(spec: ScheduleSpec, after_us: int, before_us: int) -> int:
    """Return the number of firings strictly between two instants.

    It costs months, not firings: about a millisecond for ten years, of whatever kind. Only the hour after a
    gap under the rule `preserve_offset` is walked.
    """
    from_s = after_us // SECOND_US + 1
    to_s = -(-before_us // SECOND_US)
    plan = ready(spec)
    found = 0
    for year in range(from_s // YEAR_S, (to_s - 1) // YEAR_S + 1):
        for piece in timeline(spec.timezone, plan.gap, plan.fold, year).pieces:
            start_s, end_s = max(piece.start_s, from_s), min(piece.end_s, to_s)
            if start_s < end_s:
                found += _in_piece(spec, plan, piece, start_s, end_s)
    return found


def _in_piece(spec: ScheduleSpec, plan: Ready, piece: Piece, start_s: int, end_s: int) -> int:
    if len(piece.offsets) == 1 and piece.lost is None:
        offset_s = piece.offsets[0][0]
        return plan.pattern.count(start_s + offset_s, end_s + offset_s)
    return _walked(spec, start_s, end_s) if piece.offsets else 0


def _walked(spec: ScheduleSpec, start_s: int, end_s: int) -> int:
    """Count one by one: here two wall times may share an instant, which fires once."""
    found = 0
    firing = next_fire(spec, start_s * SECOND_US - 1)
    while firing is not None and firing.at_us < end_s * SECOND_US:
        found += 1
        firing = next_fire(spec, firing.at_us)
    return found
