"""A workflow by the clock: each firing is a run, which knows the time for which it fired."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from logistics import AttemptContext, OrchestrationEngine, ScheduleManager, WorkflowManager


def extract(day: str) -> list[int]:
    """Fetch the figures of a day."""
    return [len(day), 2, 3]


def load(extract: list[int], ctx: AttemptContext) -> str:
    """Store them."""
    return f"{sum(extract)} for {ctx.scheduled_at}"


def main() -> None:
    """Schedule a workflow, and make up its last three days."""
    with OrchestrationEngine() as engine:
        workflows = WorkflowManager(engine)
        nightly = workflows.create("nightly").add_step("extract", extract).add_step("load", load)

        manager = ScheduleManager("Europe/Zurich", engine=engine)
        # The same line in the next version of this script changes what runs, and keeps the schedule's place.
        manager.schedule_cron("nightly", "30 2 * * *", nightly, kwargs={"day": "{{scheduled_date}}"})
        print([str(run.at) for run in manager.preview("nightly", 3)])

        yesterday = datetime.now(UTC) - timedelta(days=1)
        made_up = manager.backfill("nightly", yesterday - timedelta(days=2), yesterday)
        over = threading.Semaphore(0)
        engine.subscribe("run.completed", lambda *_: over.release())
        manager.start()  # from here on it fires by itself, and what was made up begins
        for _ in made_up:
            over.acquire(timeout=30)
        for run in workflows.list_runs(limit=3):
            print(run.run_id, run.schedule, run.result().output)
        manager.stop()


if __name__ == "__main__":
    main()
