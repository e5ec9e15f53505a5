"""Workflows by the second in a process that is killed again and again: each firing is one run, and every one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.queue.events import JobCompleted
from actors.schedule.messages import ScheduleClosed, ScheduleFired
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.manager import ScheduleManager
from logistics.testing import VirtualClock, settle
from tests.logistics.orchestration.children import ROOT
from tests.support.scale import scaled

SECOND = 1_000_000
KILLS = scaled("SCHEDULED_RUN_KILLS", 3)
STEPS = """
import sys

def tick(at):
    sys.stdout.write(at + "\\n")
    sys.stdout.flush()
    return at

def tock(tick, ctx):
    assert ctx.scheduled_at.isoformat() == tick
    return tick
"""
SCRIPT = """
import ticking_steps
from logistics import CronExpression, OrchestrationEngine, ScheduleManager, WorkflowManager

engine = OrchestrationEngine("store")
flow = WorkflowManager(engine).create("flow")
flow.add_step("tick", ticking_steps.tick).add_step("tock", ticking_steps.tock)
manager = ScheduleManager(engine=engine)
every_second = CronExpression("* * * * * *", seconds="first")
options = {"kwargs": {"at": "{{scheduled_at}}"}, "catch_up": "all"}
manager.schedule_cron("beside", every_second, flow, overlap="allow", **options)
manager.schedule_cron("behind", every_second, flow, overlap="queue_all", **options)
manager.run_forever()
"""


@pytest.mark.no_cover
def test_each_firing_of_a_workflow_is_one_run_and_ends_whenever_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ticking_steps.py").write_text(STEPS)
    (tmp_path / "ticking.py").write_text(SCRIPT)
    for number in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "ticking.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(2 + number)]  # at another place each time
            assert all(lines), (lines, child.wait())
            child.send_signal(signal.SIGKILL)
    monkeypatch.syspath_prepend(str(tmp_path))
    clock = VirtualClock(datetime.now(UTC))
    with OrchestrationEngine(tmp_path / "store", clock=clock) as engine:
        manager = ScheduleManager(engine=engine)
        manager.start()
        settle(engine)
        flows = WorkflowManager(engine)
        runs = {run.run_id: run.result(0) for run in flows.list_runs()}
        for name in ("beside", "behind"):
            history = [event for _, event in engine.history(f"schedule:{name}")]
            fired = [event for event in history if isinstance(event, ScheduleFired)]
            closed = [event.job_id for event in history if isinstance(event, ScheduleClosed)]
            instants = [event.scheduled_us for event in fired]
            assert instants == list(range(instants[0], instants[-1] + SECOND, SECOND)), (
                "each once, none left out"
            )
            assert sorted(closed) == sorted(event.job_id for event in fired), (
                "each has ended, and is known to have"
            )
            for event in fired:
                assert runs.pop(event.job_id).success
                for step in (0, 1):
                    told = [each for _, each in engine.history(f"job:{event.job_id}.{step}")]
                    assert sum(isinstance(each, JobCompleted) for each in told) == 1
        assert runs == {}, "no run that no firing began"
