"""Another release of the tz database: which schedules it moves. Asked once, at the first look after an opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.zones import tzdata_version
from actors.runtime.messages import Decision
from actors.schedule.catch_up import expected_us
from actors.schedule.messages import Moved, ZoneRulesChanged

if TYPE_CHECKING:
    from actors.runtime.messages import Context
    from actors.schedule.state import Schedule, SchedulerState


def compare_zones(state: SchedulerState, context: Context) -> Decision:
    """Compare the next instants that events tell of with those of the present release."""
    decision = Decision()
    found = (_moved(each) for each in state.schedules.values() if each.expected_us and not each.completed)
    moved = tuple(each for each in found if each is not None)
    decision.emit(ZoneRulesChanged(state.tzdata, tzdata_version(), moved, context.now_us))
    return decision


def _moved(schedule: Schedule) -> Moved | None:
    try:
        now_us = expected_us(schedule.spec, schedule.cursor_us)
    except Exception:  # noqa: BLE001 -- a zone that is gone, say; the schedule's view says why
        now_us = 0
    if now_us == schedule.expected_us:
        return None
    return Moved(schedule.name, schedule.expected_us, now_us or None)
