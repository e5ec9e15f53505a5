"""CronScheduler: functions that are called by cron expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from logistics.schedule.definition import Call, ScheduleOptions, cron_schedule, define
from logistics.schedule.expression import CronExpression
from logistics.schedule.occurrences import CombinedSchedule
from logistics.schedule.scheduled import ScheduledTask
from logistics.schedule.starter import Starter


class CronScheduler(Starter):
    """Calls functions by cron expressions, durably, while a scheduler of the store is started."""

    kind = "cron"

    def schedule(
        self,
        name: str,
        expression: CronExpression | CombinedSchedule | str,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` by a cron expression from now on; it is on disk when this returns.

        A known name gets the new definition and begins from now; the very same definition changes nothing.
        Each run is a job, in `queue` or the engine's own, and obeys the rules of queues. See
        `ScheduleOptions` for the options. `CronError`, `TimezoneError`, `FunctionError`, `PayloadError` or
        `InputError` say what is wrong.
        """
        call = Call(func, args, kwargs)
        self._put(define(self.engine, name, cron_schedule(name, expression), call, **options))

    def list(self) -> list[ScheduledTask]:
        """Return all cron schedules as they are now, in order of their names."""
        return self._tasks()
