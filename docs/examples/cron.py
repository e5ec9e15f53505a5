"""Cron: a function that is called every second, a preview over a change of clocks, catching up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from logistics import CronExpression, CronScheduler, OrchestrationEngine, ScheduleManager

TICKED = threading.Event()


def tick() -> None:
    """Be called by the schedule."""
    TICKED.set()


def main() -> None:
    """Schedule, start, wait for one firing, stop."""
    engine = OrchestrationEngine()
    scheduler = CronScheduler(engine=engine)

    # Seconds come first, and only when they are asked for.
    scheduler.schedule("tick", CronExpression("* * * * * *", seconds="first"), tick)

    # Five fields, in a zone. Nights that were missed are made up by one run; a run that takes long is not doubled.
    nightly = CronExpression("30 2 * * *", timezone="Europe/Zurich")
    scheduler.schedule("nightly", nightly, tick, catch_up="latest", overlap="skip", max_retries=5)

    # 02:30 does not exist on the night when clocks go forward: the run is moved, never lost.
    print(nightly.next_runs(3, after=datetime(2027, 3, 27, tzinfo=UTC)))

    scheduler.start()  # returns at once
    TICKED.wait(timeout=3)
    scheduler.stop()

    for task in scheduler.list():
        print(task.name, "|", task.expression, "|", task.timezone, "|", task.next_run, "| runs:", task.runs)
    for run in ScheduleManager(engine=engine).preview("nightly", 2):
        print(run.at, run.rule or "by the clock")
    scheduler.cancel("tick")
    engine.close()


if __name__ == "__main__":
    main()
