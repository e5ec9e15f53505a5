"""The child of the kills under workflows: runs that wait, fan out, have runs as steps, and undo what they did.

Run as `python -m tests.faults.flows STORE LINES`. It says `open`, `run ID` for what was acknowledged, `ran` for
each execution, and, when every run has ended, `ended ID` with its status and output, then `idle`; a line on its
input has it close and end.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from actors.workflow.messages import StartRun
from logistics.errors import InputError, UnknownIdError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.running import known_workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.faults import flow_steps as steps
from tests.faults.children import say

KINDS = ("waits", "list", "each", "nested", "undone")
EACH = 3


def define(manager: WorkflowManager, path: str) -> None:
    """Define a workflow of each kind."""
    where = {"path": path}
    # What is killed while it runs is tried again more often than there are kills.
    sure: dict[str, Any] = {"kwargs": where, "max_retries": 20, "retry_delay": 0}
    waits = manager.create("waits").add_wait("nap", timedelta(milliseconds=20)).add_wait("approval")
    waits.add_step("after", steps.noted, **sure)
    listed = manager.create("list").add_step("numbers", steps.numbers, **sure)
    listed.add_step("square", steps.square, map_over="numbers", parallel=5, **sure)
    listed.add_step("total", steps.total, **sure)
    manager.create("squared").add_step("square", steps.square, **sure)
    each = manager.create("each").add_step("numbers", steps.numbers, **sure)
    each.add_workflow("square", "squared", params={"item": "{{item}}"}, map_over="numbers", parallel=5)
    each.add_step("total", steps.total, **sure)
    manager.create("inner").add_step("one", steps.noted, **sure).add_step("two", steps.noted, **sure)
    nested = manager.create("nested").add_step("before", steps.noted, **sure)
    nested.add_workflow("inside", "inner").add_step("after", steps.noted, **sure)
    undone = manager.create("undone").add_step("hotel", steps.book, compensate=steps.unbook, **sure)
    undone.add_step("flight", steps.book, compensate=steps.unbook, **sure)
    undone.add_step("fail", steps.fail, kwargs=where)


def order(engine: OrchestrationEngine, kind: str, run_id: str) -> None:
    """Begin a run, or be told that it was begun."""
    prepared = known_workflow(engine, kind)
    assert prepared is not None
    planned = prepared.plan(frozenset(), lambda name: known_workflow(engine, name))
    command = StartRun(
        run_id, planned.plan, planned.plan_id, b"\x80", blocking=False, children=planned.children
    )
    assert engine.send(command) == run_id
    say(f"run {run_id}")


def main(store: str, path: str) -> None:
    """Live one life."""
    with OrchestrationEngine(store, workers=4) as engine:
        manager = WorkflowManager(engine)
        define(manager, path)
        say("open")
        ids = [f"{kind}-{number}" for number in range(EACH) for kind in KINDS]
        for run_id in ids:
            order(engine, run_id.partition("-")[0], run_id)
            if run_id.startswith("waits"):
                with suppress(UnknownIdError, InputError):  # it has ended
                    found = manager.get_run(run_id)
                    assert found is not None
                    found.signal("approval", {"of": run_id})
        for run_id in ids:
            run = manager.get_run(run_id)
            assert run is not None
            result = run.result()
            say(f"ended {run_id} {result.status} {json.dumps(result.output)}")
        say("idle")
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
