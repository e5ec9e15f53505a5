"""RecurringScheduler: functions that are called by recurring schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from logistics.schedule.definition import Call, ScheduleOptions, check_recurring, define
from logistics.schedule.occurrences import CombinedSchedule
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.scheduled import ScheduledTask
from logistics.schedule.starter import Starter


class RecurringScheduler(Starter):
    """Calls functions by recurring schedules, durably, while a scheduler of the store is started."""

    kind = "recurring"

    def add(
        self,
        name: str,
        schedule: RecurringSchedule | CombinedSchedule,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` by a recurring schedule from now on; like `CronScheduler.schedule`."""
        check_recurring(schedule)
        self._put(define(self.engine, name, schedule, Call(func, args, kwargs), **options))

    def list(self) -> list[ScheduledTask]:
        """Return all recurring schedules as they are now, in order of their names."""
        return self._tasks()
