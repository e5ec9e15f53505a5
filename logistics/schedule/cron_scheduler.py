"""CronScheduler: functions that are called by cron expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from logistics.schedule.definition import ScheduleOptions, cron_schedule, define
from logistics.schedule.expression import CronExpression
from logistics.schedule.occurrences import CombinedSchedule
from logistics.schedule.scheduled import ScheduledTask
from logistics.schedule.starter import Starter
from logistics.schedule.target import Call, Target


class CronScheduler(Starter):
    """Calls functions by cron expressions, durably, while a scheduler of the store is started."""

    kind = "cron"

    def schedule(
        self,
        name: str,
        expression: CronExpression | CombinedSchedule | str,
        func: Target,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` by a cron expression from now on; it is on disk when this returns.

        A known name gets the new definition and begins from now; the very same definition changes nothing.
        Each run is a job, in `queue` or the engine's own, and obeys the rules of queues. See
        `ScheduleOptions` for the options. `CronError`, `TimezoneError`, `FunctionError`, `PayloadError` or
        `InputError` say what is wrong.

        If `func` is a `Job`, each firing is a job like it, with all that it says of itself.

        If `func` is a `Workflow`, each firing is a run of it, and `kwargs` are its parameters; in their texts
        `{{scheduled_at}}`, `{{scheduled_date}}` and `{{fired_at}}` stand for times. It is put on record as it
        is now, and every firing takes the definition that is on record then; one that cannot be begun by that
        is parked. `BindingError`, `GraphError` and `ConfigError` say what no run could be begun with.
        """
        call = Call(func, args, kwargs)
        self._put(define(self.engine, name, cron_schedule(name, expression), call, **options), call)

    def list(self) -> list[ScheduledTask]:
        """Return all cron schedules as they are now, in order of their names."""
        return self._tasks()
