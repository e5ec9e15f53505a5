"""The firings of whole days of UTC: those of days that are alike are found once.

Two days are alike to a pattern if its wall shows the same times on both, no gap or fold touches them, and what it says
of the local days that lie in them is the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from itertools import takewhile

from actors.clock.zones import DAY_S, SECOND_US, YEAR_S, transitions
from actors.schedule.days import DAY_US, holds, holds_day
from actors.schedule.firing import fires, ready, zone_of
from actors.schedule.spec import CombinedSpec, DaysSpec, InstantsSpec, ScheduleSpec
from actors.schedule.timeline import timeline


class DaysAlike:
    """Finds the firings of days, and remembers them for those that are alike."""

    def __init__(self) -> None:
        self.walked = 0
        """Firings of patterns that were found one by one so far."""
        self._known: dict[Hashable, frozenset[int]] = {}

    def firings_of(self, spec: ScheduleSpec, start_us: int) -> frozenset[int]:
        """The firings within a day from an instant on, in microseconds after it."""
        alike = _likeness(spec, start_us)
        if alike is None:
            return self._found(spec, start_us)
        found = self._known.get((spec, alike))
        if found is None:
            found = self._known[spec, alike] = self._found(spec, start_us)
        return found

    def _found(self, spec: ScheduleSpec, start_us: int) -> frozenset[int]:
        if not isinstance(spec, CombinedSpec):
            of_the_day = takewhile(lambda firing: firing.at_us < start_us + DAY_US, fires(spec, start_us - 1))
            walked = frozenset(firing.at_us - start_us for firing in of_the_day)
            self.walked += len(walked)
            return walked
        first, *others = spec.parts
        assert not isinstance(first, DaysSpec)
        found = self.firings_of(first, start_us)
        for other in others:
            if isinstance(other, DaysSpec):
                held = frozenset(each for each in found if holds(other, spec.timezone, start_us + each))
            else:
                held = self.firings_of(other, start_us)
            found = found | held if spec.how == "any" else found & held if spec.how == "all" else found - held
        return found


def _likeness(spec: ScheduleSpec | DaysSpec, start_us: int, zone: str = "") -> Hashable | None:
    """What two days have in common on which a schedule fires at the same times; None if a day is like no other."""
    if isinstance(spec, CombinedSpec):
        parts = tuple(_likeness(part, start_us, spec.timezone) for part in spec.parts)
        return None if None in parts else parts
    if isinstance(spec, InstantsSpec):
        begin, end = (bisect_left(spec.at_us, at_us) for at_us in (start_us, start_us + DAY_US))
        return tuple(at_us - start_us for at_us in spec.at_us[begin:end])
    if isinstance(spec, DaysSpec):
        (_, _, offset_us), *more = transitions(zone, start_us, start_us + DAY_US)
        day, ahead_us = divmod(start_us + offset_us, DAY_US)
        return None if more else (ahead_us, holds_day(spec, day), holds_day(spec, day + 1))
    plan = ready(spec)
    start_s = start_us // SECOND_US
    first, last = (
        timeline(zone_of(spec), plan.gap, plan.fold, at_s // YEAR_S).at(at_s)
        for at_s in (start_s, start_s + DAY_S - 1)
    )
    if first.plain is None or first.plain != last.plain or first.end_s < last.start_s:
        return None
    day, ahead_s = divmod(start_s + first.plain, DAY_S)
    return ahead_s, tuple(map(plan.pattern.has_day, range(day - plan.pattern.spill, day + 2)))
