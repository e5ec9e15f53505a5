"""Combining schedules: working days, holidays, once, and what a year of them comes to."""

from __future__ import annotations

from datetime import UTC, datetime

from logistics import Calendar, CronExpression, OrchestrationEngine, RecurringSchedule, ScheduleManager


def report() -> None:
    """Be called by the schedules."""


def main() -> None:
    """Define schedules that leave days out, and look at what they come to."""
    closed = Calendar("weekends") | Calendar("2027-12-24")
    office = RecurringSchedule.daily(at="09:00") - closed
    print(office.next_runs(3, after=datetime(2027, 1, 1, 12, tzinfo=UTC)))

    either = CronExpression("0 9 * * mon") | CronExpression("30 17 * * fri")
    print(either.next_runs(3, after=datetime(2027, 1, 1, 12, tzinfo=UTC)))

    rule = RecurringSchedule.from_rrule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=16")
    print(rule, "|", rule.to_rrule())

    with OrchestrationEngine() as engine:
        manager = ScheduleManager("Europe/Zurich", engine=engine)
        manager.schedule_cron("nightly", "30 2 * * *", report, exclude=["weekends"], jitter=300)
        manager.schedule_once("launch", datetime(2099, 7, 1, 12, tzinfo=UTC), report)
        for run in manager.preview("nightly", 2):
            print(run.due - run.at, "after", run.at)
        made_up = manager.backfill(
            "nightly", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC), dry_run=True
        )
        print([run.at.day for run in made_up])
        for name in ("nightly", "launch"):
            manager.cancel(name)


if __name__ == "__main__":
    main()
