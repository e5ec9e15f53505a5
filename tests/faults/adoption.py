"""The child that runs a workflow as a user does, and is killed while it waits for it.

Run as `python -m tests.faults.adoption STORE LINES`. It says `begin`, then `run ID STATUS ADOPTED`. The last step
ends when the child is told a line: else the run might be over while whoever is to kill it looks away.
"""

from __future__ import annotations

import sys

from actors.runtime.attempt import AttemptContext
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.faults import tasks
from tests.faults.children import say

STEPS = 12
LAST = f".{STEPS - 1}"
"""How the job of the last step is called."""


def step(path: str, ctx: AttemptContext) -> str:
    """Do the work of a step, and say so."""
    tasks.step(path, ctx, pause_ms=1)
    say(f"ran {ctx.job_id}")
    if ctx.job_id.endswith(LAST):
        sys.stdin.readline()
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
