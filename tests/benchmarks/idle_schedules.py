"""`python -m tests.benchmarks.idle_schedules`: what ten thousand schedules cost while none of them is due."""

from __future__ import annotations

import argparse
import gc
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import available_timezones

from logistics import CronExpression, OrchestrationEngine, ScheduleManager
from logistics.schedule.definition import ScheduleDefinition
from tests.benchmarks import tasks
from tests.benchmarks.measure import anonymous_memory

MEBIBYTE = 1 << 20
ZONES = sorted(zone for zone in available_timezones() if zone.startswith("Europe/"))
MOST_CPU = 0.01
MOST_MEMORY = 100.0


def definitions(number: int) -> list[ScheduleDefinition]:
    """Schedules that all differ, in many zones, none of them due within weeks."""
    month = (datetime.now(UTC).month + 5) % 12 + 1
    found = []
    for each in range(number):
        text = f"{each % 60} {each // 60 % 24} {each // 1_440 % 28 + 1} {month} *"
        expression = CronExpression(text, timezone=ZONES[each % len(ZONES)])
        found.append(ScheduleDefinition(f"schedule {each}", expression, tasks.noop, (each,)))
    return found


def measure(number: int, seconds: float, folder: Path) -> dict[str, float]:
    """The share of a core while idle, and memory: of the whole process, and what the schedules add."""
    with OrchestrationEngine(folder / "empty") as engine:
        ScheduleManager(engine=engine).schedule_many(definitions(1))
    with OrchestrationEngine(folder / "store") as engine:
        before = _settled()
        manager = ScheduleManager(engine=engine)
        manager.schedule_many(definitions(number))
        manager.start()
        assert len(manager.list_tasks()) == number
        memory = _settled()
        cpu_s, begun = time.process_time(), time.perf_counter()
        threading.Event().wait(seconds)
        share = (time.process_time() - cpu_s) / (time.perf_counter() - begun)
        manager.stop()
    return {"core": share, "process_mb": memory / MEBIBYTE, "schedules_mb": (memory - before) / MEBIBYTE}


def _settled() -> int:
    gc.collect()
    return anonymous_memory()


def main() -> None:
    """Print the figures, and whether they are as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.schedules, arguments.seconds, Path(folder))
    kept = found["core"] < MOST_CPU and found["process_mb"] < MOST_MEMORY
    print(
        f"{arguments.schedules:,} schedules, none due for {arguments.seconds:g} s: {found['core']:.2%} of a core, "
        f"{found['process_mb']:.0f} MB of memory in all, {found['schedules_mb']:.1f} MB by the schedules "
        f"(goal: < 1 % and < 100 MB: {'yes' if kept else 'NO'})"
    )


if __name__ == "__main__":
    main()
