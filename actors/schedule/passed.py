"""What a schedule's own rules leave out before an instant: wall times in a gap, excluded days. For the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actors.clock.zones import SECOND_US, offset_changes
from actors.schedule.firing import previous_fire, ready
from actors.schedule.missed import count_fires, counted
from actors.schedule.spec import CombinedSpec, DaysSpec, InstantsSpec, PatternSpec, ScheduleSpec

if TYPE_CHECKING:
    from actors.schedule.state import Schedule


class Passed(NamedTuple):
    """Times that were none: the last `number` up to `upto_us`, why, and by which rule."""

    upto_us: int
    number: int
    reason: str
    policy: str


def passed_over(schedule: Schedule, before_us: int) -> list[Passed]:
    """Tell what was left out after the last instant and before another one, oldest first."""
    spec, after_us = schedule.spec, schedule.cursor_us
    found: list[Passed] = []
    if isinstance(spec, CombinedSpec) and spec.how == "but":
        base = spec.parts[0]
        assert not isinstance(base, DaysSpec)
        found += _excluded(spec, base, after_us, before_us)
        spec = base
    if isinstance(spec, PatternSpec) and spec.gap == "skip" and ready(spec).fold == spec.fold:
        found += _lost(spec, after_us, before_us)
    return sorted(found)


def _excluded(spec: CombinedSpec, base: ScheduleSpec, after_us: int, before_us: int) -> list[Passed]:
    last = previous_fire(base, before_us)
    if last is None or last.at_us <= after_us:
        return []
    kept, upto_us = counted(spec, after_us, last.at_us)
    count = count_fires(base, after_us, upto_us) - kept
    return [Passed(upto_us, count, "excluded", "exclude")] if count > 0 else []


def _lost(spec: PatternSpec, after_us: int, before_us: int) -> list[Passed]:
    if isinstance(spec, InstantsSpec):
        return []
    found = []
    pattern = ready(spec).pattern
    for change in offset_changes(spec.timezone, after_us // SECOND_US + 1, before_us // SECOND_US + 1):
        count = pattern.count(change.at_s + change.before_s, change.at_s + change.after_s)
        if count:
            found.append(Passed(change.at_s * SECOND_US, count, "gap", "gap.skip"))
    return found
