"""Placing a naive local date and time in a zone: the one reading of it, or an error that names them all."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from actors.clock.errors import TimezoneError
from actors.clock.zones import (
    DAY_S,
    FIRST_S,
    LAST_S,
    SECOND_US,
    offset_changes,
    to_datetime,
    wall_of,
    wall_to_instants,
)

MissingTime: TypeAlias = Literal["shift_forward", "preserve_offset"]


def localized(moment: datetime, zone: str, *, gap: MissingTime | None = None) -> datetime:
    """The naive `moment` as a date and time of the zone; of two, the one that its `fold` says.

    One that the zone's clocks skip is a `TimezoneError`, unless `gap` says where it goes: `shift_forward` to
    the end of the gap, `preserve_offset` as far behind the gap as it is in it.
    """
    if not isinstance(moment, datetime):
        raise TimezoneError(f"localize takes a naive datetime, got {type(moment).__name__}")
    if moment.tzinfo is not None:
        raise TimezoneError(
            f"localize takes a naive datetime, got the aware {moment.isoformat(sep=' ')}: to_timezone(…) "
            "says what another zone's clocks show then"
        )
    if gap not in (None, "shift_forward", "preserve_offset"):
        raise TimezoneError(f"gap must be 'shift_forward', 'preserve_offset' or None, got {gap!r}")
    wall_us = wall_of(moment)
    if not FIRST_S * SECOND_US <= wall_us <= LAST_S * SECOND_US:
        raise TimezoneError(f"{moment.isoformat(sep=' ')} is too close to the ends of the years 1 to 9999")
    instants = wall_to_instants(zone, wall_us)
    if instants:
        return to_datetime(zone, instants[-1 if moment.fold else 0])
    return to_datetime(zone, _after_gap(zone, wall_us, moment, gap))


def _after_gap(zone: str, wall_us: int, moment: datetime, gap: MissingTime | None) -> int:
    wall_s = wall_us // SECOND_US
    around = offset_changes(zone, wall_s - 2 * DAY_S, wall_s + 2 * DAY_S)
    change = next(each for each in around if each.at_s + each.before_s <= wall_s < each.at_s + each.after_s)
    if gap == "shift_forward":
        return change.at_s * SECOND_US
    if gap == "preserve_offset":
        return wall_us - change.before_s * SECOND_US
    end = to_datetime(zone, change.at_s * SECOND_US)
    raise TimezoneError(
        f"{moment.isoformat(sep=' ')} does not exist in {zone}: clocks were put forward to "
        f"{end.isoformat(sep=' ')}; say gap='shift_forward' (that time) or gap='preserve_offset' "
        f"(as far behind it as {moment:%H:%M} is in the gap)"
    )
