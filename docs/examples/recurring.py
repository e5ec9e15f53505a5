"""Recurring schedules: intervals in a window, days of the week and of the month, without a line of cron."""

from __future__ import annotations

from datetime import UTC, datetime

from logistics import RecurringSchedule, RecurringScheduler, ScheduleManager


def health_check(target: str = "everything") -> str:
    """Be called by schedules."""
    return f"{target} is well"


def main() -> None:
    """Define some schedules, look ahead, have one run out of turn."""
    schedules = {
        "office-hours": RecurringSchedule(interval_minutes=30, start_time="09:00", end_time="17:00"),
        "weekly": RecurringSchedule.weekly(on=["mon", "thu"], at="08:15", timezone="America/New_York"),
        "month-end": RecurringSchedule.monthly(day="last", at="18:00"),
        "second-tuesday": RecurringSchedule.monthly(nth=2, weekday="tuesday", at="07:00"),
        "fortnight": RecurringSchedule.weekly(on="fri", at="16:00", every_n=2, starting="2027-01-01"),
    }
    scheduler = RecurringScheduler()
    for name, schedule in schedules.items():
        scheduler.add(name, schedule, health_check, kwargs={"target": name})

    after = datetime(2027, 1, 1, tzinfo=UTC)
    for name, schedule in schedules.items():
        print(f"{name}: {schedule}: {[at.isoformat() for at in schedule.next_runs(2, after)]}")

    manager = ScheduleManager()
    manager.pause("weekly")
    print([(task.name, task.paused) for task in manager.list_tasks()])
    job_id = manager.trigger("weekly")  # now, out of turn; a job like any other
    print("triggered", job_id)
    # Nothing fires before somebody calls scheduler.start() or scheduler.run_forever().


if __name__ == "__main__":
    main()
