"""A crash at any boundary of the log changes neither outputs nor the number of recorded successes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from actors.runtime.attempt import AttemptContext
from actors.workflow.specs import StepStatus
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from eventstore.records import Frame
from logistics.orchestration import stores
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.result import WorkflowResult
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration.steps import WAIT_S
from tests.support.scale import scaled

GRAPHS = scaled("CRASHED_GRAPHS", 6)
RUN_ENDS = ("run.completed", "run.failed", "run.cancelled")


def work(**given: Any) -> list[Any]:
    """Return something that depends on all inputs."""
    return sorted(given.items())


def flaky(ctx: AttemptContext, **given: Any) -> list[Any]:
    """Fail at first."""
    if ctx.attempt == 1:
        raise ValueError("at first")
    return work(**given)


def fail(**_given: Any) -> None:
    raise ValueError("always")


def numbers(**given: Any) -> list[int]:
    return list(range(len(given) + 2))


def double(item: int) -> int:
    return 2 * item


def random_workflow(manager: WorkflowManager, random: Random) -> Workflow:
    """Define a workflow of steps of several kinds, each of which needs some of those before it."""
    workflow = manager.create("w").add_step("list", numbers, depends_on=[])
    workflow.add_step("mapped", double, map_over="list", depends_on=["list"])
    manager.create("doubled").add_step("double", double)
    params = {"item": "{{item}}"}
    workflow.add_workflow("runs", "doubled", params=params, map_over="list", depends_on=["list"])
    names = ["list", "mapped", "runs"]
    for number in range(random.randint(3, 7)):
        needs = random.sample(names, random.randint(0, min(2, len(names))))
        func = random.choice((work, work, flaky, fail))
        workflow.add_step(
            f"s{number}",
            func,
            depends_on=needs,
            max_retries=1,
            retry_delay=0,
            required=random.random() < 0.6,
            when=random.choice((None, None, "{{list.output}}[1] == 1", "{{list.output}}[1] == 2")),
        )
        names.append(f"s{number}")
    return workflow


def outcome(result: WorkflowResult) -> Any:
    """Return all that a crash must not change."""
    return result.status, result.outputs, {name: step.status for name, step in result.steps.items()}


def copy_of(frames: Sequence[Frame]) -> MemoryLog:
    """Return a log that holds these frames."""
    log = MemoryLog()
    for frame in frames:
        log.append(
            frame.records, expected=log.head.position, epoch=frame.epoch, recorded_us=frame.recorded_us
        )
    return log


def successes(log: Log) -> Counter[str]:
    """Count the ends of each step, and of the runs."""
    ends = (*RUN_ENDS, "step.completed", "step.failed", "step.skipped", "item.ended")
    counted: Counter[str] = Counter()
    for frame in log.frames():
        for record in frame.records:
            if record.tag in ends:
                counted[record.tag] += 1
    return counted


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_a_crash_at_any_boundary_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[MemoryLog] = []
    monkeypatch.setattr(stores, "MemoryLog", lambda: made[-1])
    made.append(MemoryLog())
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        random_workflow(manager, Random(seed))
        run = manager.start("w")
        wanted = outcome(run.result(WAIT_S))
        frames = list(made[0].frames())
        counted = successes(made[0])
    assert len(wanted[2]) >= 5
    begun = next(n for n, frame in enumerate(frames) if any(r.tag == "run.created" for r in frame.records))
    for length in range(begun + 1, len(frames) + 1):
        made.append(copy_of(frames[:length]))
        with OrchestrationEngine(":memory:") as engine:
            again = WorkflowManager(engine).get_run(run.run_id)
            assert again is not None
            assert outcome(again.result(WAIT_S)) == wanted, f"cut behind frame {length} of {len(frames)}"
            assert successes(made[-1]) == counted
    assert StepStatus.COMPLETED in wanted[2].values()
