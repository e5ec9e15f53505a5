"""RecurringScheduler: functions that are called by recurring schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from logistics.schedule.definition import ScheduleOptions, check_recurring, define
from logistics.schedule.occurrences import CombinedSchedule
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.scheduled import ScheduledTask
from logistics.schedule.starter import Starter
from logistics.schedule.target import Call, Target


class RecurringScheduler(Starter):
    """Calls functions by recurring schedules, durably, while a scheduler of the store is started."""

    kind = "recurring"

    def add(
        self,
        name: str,
        schedule: RecurringSchedule | CombinedSchedule,
        func: Target,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` by a recurring schedule from now on; like `CronScheduler.schedule`."""
        check_recurring(schedule)
        call = Call(func, args, kwargs)
        self._put(define(self.engine, name, schedule, call, **options), call)

    def list(self) -> list[ScheduledTask]:
        """Return all recurring schedules as they are now, in order of their names."""
        return self._tasks()
