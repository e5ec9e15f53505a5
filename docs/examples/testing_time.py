"""A year of schedules in a moment: a clock that only the test moves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from logistics import AttemptContext, Calendar, OrchestrationEngine, RecurringSchedule, ScheduleManager
from logistics.testing import VirtualClock, pass_time

MADE: Counter[int] = Counter()


def report(ctx: AttemptContext) -> None:
    """Make a report of a day."""
    assert ctx.scheduled_at is not None
    MADE[ctx.scheduled_at.month] += 1


def main() -> None:
    """See how many reports a year has, and what a night of downtime does."""
    clock = VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        manager = ScheduleManager("Europe/Zurich", engine=engine)
        working_days = RecurringSchedule.daily(at="18:00") - Calendar("weekends")
        manager.schedule_recurring("report", working_days, report)
        manager.start()
        pass_time(engine, until=datetime(2028, 1, 1, tzinfo=UTC))
        print(MADE.total(), "reports in 2027, by month:", [MADE[month] for month in range(1, 13)])

        clock.advance(timedelta(days=14))  # nobody was there: one report for all that was missed
        pass_time(engine, timedelta(hours=1))
        print(MADE.total(), "after a fortnight of downtime")
        manager.stop()


if __name__ == "__main__":
    main()
