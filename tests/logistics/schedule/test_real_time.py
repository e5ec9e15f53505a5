"""Schedules by the second on the real clock, in a process of its own that is stopped (F15) and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from actors.schedule.messages import ScheduleFired, ScheduleSkipped
from logistics.orchestration.engine import OrchestrationEngine
from tests.logistics.orchestration.children import ROOT
from tests.support.scale import scaled

SECOND = 1_000_000
STOPPED_S = 3.0
"""How long the process stands still: time that has to pass, nothing is waited for."""
SCRIPT = """
import sys
from logistics import CronExpression, CronScheduler, OrchestrationEngine

def tick(name):
    sys.stdout.write(name + "\\n")  # in one piece: several threads tick
    sys.stdout.flush()

scheduler = CronScheduler(engine=OrchestrationEngine("store"))
for name in sys.argv[1:]:
    every_second = CronExpression("* * * * * *", seconds="first")
    scheduler.schedule(name, every_second, tick, (name,), catch_up=name, overlap="allow")
scheduler.run_forever()
"""


def test_by_the_second_nothing_is_lost_or_doubled_while_the_process_stands_still(tmp_path: Path) -> None:
    (tmp_path / "ticking.py").write_text(SCRIPT)
    ticks = scaled("real_ticks", 4)
    with subprocess.Popen(
        [sys.executable, "ticking.py", "all", "latest"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            assert child.stdout is not None
            for _ in range(ticks):
                assert child.stdout.readline().strip() in ("all", "latest")
            child.send_signal(signal.SIGSTOP)
            threading.Event().wait(STOPPED_S)
            child.send_signal(signal.SIGCONT)
            for _ in range(ticks):
                assert child.stdout.readline().strip() in ("all", "latest")
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=60)
        finally:
            child.kill()
    with OrchestrationEngine(tmp_path / "store") as engine:
        for name in ("all", "latest"):
            history = [event for _, event in engine.history(f"schedule:{name}")]
            fired = [event for event in history if isinstance(event, ScheduleFired)]
            instants = [event.scheduled_us for event in fired]
            assert instants == sorted(set(instants)), "each at most once, in order"
            told = len(fired) + sum(event.missed for event in fired)
            told += sum(event.count for event in history if isinstance(event, ScheduleSkipped))
            assert told - fired[0].missed == (instants[-1] - instants[0]) // SECOND + 1, "none in silence"
            if name == "latest":
                assert sum(event.missed for event in fired) >= STOPPED_S - 2
            else:
                assert not any(event.missed for event in fired)
