"""The child that runs a workflow as a user does, and is killed while it waits for it.

Run as `python -m tests.faults.adoption STORE LINES`. It says `begin`, then `run ID STATUS ADOPTED`.
"""

from __future__ import annotations

import sys

from actors.runtime.attempt import AttemptContext
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.faults import tasks
from tests.faults.children import say

STEPS = 12


def step(path: str, ctx: AttemptContext) -> str:
    """Do the work of a step, and say so."""
    tasks.step(path, ctx, pause_ms=1)
    say(f"ran {ctx.job_id}")
    return path


def main(store: str, lines: str) -> None:
    """Run a chain of steps, whatever has become of it before."""
    say("begin")
    with OrchestrationEngine(store, workers=2) as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("chain")
        for number in range(STEPS):
            workflow.add_step(f"step{number}", step, args=(lines,))
        result = manager.run("chain")
        say(f"run {result.run_id} {result.status} {result.adopted}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
