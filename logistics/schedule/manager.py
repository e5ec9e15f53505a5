"""ScheduleManager: all schedules of a store in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from msgspec.structs import replace

from actors.clock.zones import check_name as check_timezone
from actors.clock.zones import to_datetime
from actors.runtime.errors import InputError, UnknownIdError
from actors.schedule.messages import (
    ApplySchedules,
    BackfillSchedule,
    PauseSchedule,
    PutSchedule,
    ResumeSchedule,
    ScheduleChange,
    ScheduleView,
    TriggerSchedule,
)
from logistics.ids import new_id
from logistics.inputs import check_int, check_name, instant_us
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.given import refuse_engine
from logistics.orchestration.workflow import Workflow
from logistics.schedule.definition import (
    ScheduleDefinition,
    ScheduleOptions,
    check_recurring,
    cron_schedule,
    define,
)
from logistics.schedule.expression import CronExpression
from logistics.schedule.firings import FiredRun, fired_runs
from logistics.schedule.occurrences import CombinedSchedule, Occurrences
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.scheduled import MAX_PREVIEW, BackfilledRun, PlannedRun, ScheduledTask, planned
from logistics.schedule.starter import Starter
from logistics.schedule.target import Call, Target, save_workflows


class ScheduleManager(Starter):
    """Sees all schedules of a store: defines, pauses, triggers, previews and fires them.

    `timezone` is the zone of the schedules defined here that name none; the engine's, if it is left out.
    """

    def __init__(self, timezone: str | None = None, *, engine: OrchestrationEngine | None = None) -> None:
        super().__init__(engine=engine)
        refuse_engine("timezone", timezone, "ScheduleManager(engine=…)")
        if timezone is not None:
            check_timezone(timezone)
        self._timezone = timezone

    @property
    def timezone(self) -> str:
        """The zone of schedules that name none."""
        return self._timezone or self.engine.timezone

    def schedule_cron(
        self,
        name: str,
        expression: CronExpression | CombinedSchedule | str,
        func: Target,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` by a cron expression from now on; like `CronScheduler.schedule`."""
        self._define(name, cron_schedule(name, expression), Call(func, args, kwargs), options)

    def schedule_recurring(
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
        self._define(name, schedule, Call(func, args, kwargs), options)

    def schedule_once(
        self,
        name: str,
        at: datetime,
        func: Target,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Call `func` at one moment, an aware datetime; one that is past already runs nothing."""
        self._define(name, RecurringSchedule.once(at), Call(func, args, kwargs), options)

    def schedule_many(self, definitions: Iterable[ScheduleDefinition]) -> list[ScheduleChange]:
        """Put many schedules on record, all or none, in one commit; what became of each name."""
        return self._apply("", definitions, dry_run=False)

    def apply(
        self, group: str, definitions: Iterable[ScheduleDefinition], *, dry_run: bool = False
    ) -> list[ScheduleChange]:
        """Have these schedules be all that a group has: create, change, remove, all or nothing.

        What the group was given before and is not given now is removed; schedules outside of it are left
        alone, and a name that belongs to another group is an `InputError`. With `dry_run` nothing happens, and
        the answer says what would.
        """
        return self._apply(check_name("group", group), definitions, dry_run=dry_run)

    def _apply(
        self, group: str, definitions: Iterable[ScheduleDefinition], *, dry_run: bool
    ) -> list[ScheduleChange]:
        engine = self.engine
        given = list(definitions)
        puts = tuple(self._put_of(engine, each) for each in given)
        calls = [each.call for each in given]
        command = ApplySchedules(schedules=puts, group=group, dry_run=bool(dry_run))
        if not dry_run and any(isinstance(call.func, Workflow) for call in calls):
            engine.ask(
                "scheduler", replace(command, dry_run=True)
            )  # refused before anything is put on record
            save_workflows(engine, calls)
        return list(engine.ask("scheduler", command))

    def _put_of(self, engine: OrchestrationEngine, given: object) -> PutSchedule:
        if not isinstance(given, ScheduleDefinition):
            msg = f"definitions: expected ScheduleDefinitions, got {given!r}"
            raise InputError(msg)
        default = self._timezone
        return define(
            engine, given.name, given.schedule, given.call, default_timezone=default, **given.options
        )

    def backfill(
        self, name: str, start: datetime, end: datetime, *, dry_run: bool = False
    ) -> list[BackfilledRun]:
        """Run a schedule for each of its past instants from `start` to `end`, both included; at most 1,000.

        Instants that have run already, by this definition of it, are left out: one runs at most once. The
        jobs are enqueued at once, whatever `overlap` says, and do not count in `max_runs`. With `dry_run`
        nothing happens. `UnknownIdError`; `InputError` for a range that is not past or has more runs.
        """
        command = BackfillSchedule(
            name=check_name("name", name),
            from_us=instant_us("start", start),
            to_us=instant_us("end", end),
            dry_run=bool(dry_run),
        )
        found = self.engine.ask("scheduler", command)
        zone = self._must_view(name).spec.timezone
        return [BackfilledRun(to_datetime(zone, each.scheduled_us), each.rule, each.job_id) for each in found]

    def _define(self, name: str, schedule: Occurrences[Any], call: Call, options: ScheduleOptions) -> None:
        self._put(define(self.engine, name, schedule, call, default_timezone=self._timezone, **options), call)

    def pause(self, name: str) -> bool:
        """Fire nothing of a schedule until it is resumed; whether that changed anything. `UnknownIdError`."""
        return bool(self.engine.ask("scheduler", PauseSchedule(name=check_name("name", name))))

    def resume(self, name: str) -> bool:
        """Fire a schedule again, from now on; time spent paused is not caught up. `UnknownIdError`."""
        return bool(self.engine.ask("scheduler", ResumeSchedule(name=check_name("name", name))))

    def trigger(self, name: str) -> str:
        """Enqueue a schedule's job now, out of turn; the id of the job, and of the run if it is a workflow's.

        `UnknownIdError`.
        """
        trigger = TriggerSchedule(name=check_name("name", name), trigger_id=new_id())
        return str(self.engine.ask("scheduler", trigger))

    def preview(self, name: str, n: int = 10) -> list[PlannedRun]:
        """Return the next `n` runs of a schedule, marked where a gap or fold touches one. `UnknownIdError`.

        They are shown as if it were not paused, and as if each went on time.
        """
        return planned(self._must_view(name), n, self.engine.store.runtime.clock.now_us())

    def firings(self, name: str, limit: int = 20) -> list[FiredRun]:
        """Return the newest firings of a schedule, newest first, and what came of each.

        Those of earlier definitions of the name are among them, also when it has none any more.
        `UnknownIdError` for a name that never had one.
        """
        check_int("limit", limit, least=1, most=MAX_PREVIEW)
        found = fired_runs(self.engine, check_name("name", name), limit)
        if not found:
            self._must_view(name)
        return found

    def _must_view(self, name: str) -> ScheduleView:
        view = self._view(name)
        if view is None:
            msg = f"no schedule {name!r} on record"
            raise UnknownIdError(msg)
        return view

    def list_tasks(self) -> list[ScheduledTask]:
        """Return all schedules as they are now, in order of their names."""
        return self._tasks()
