"""Long chains and wide lists cost the same per step, and a lone chain costs a commit for each."""

from __future__ import annotations

import sys
from random import Random

import pytest

from actors.queue.specs import Input
from actors.runtime.engine import Runtime
from actors.workflow.events import ItemsScheduled
from actors.workflow.lists import WINDOW
from actors.workflow.specs import Plan, PlanStep, StepOptions
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.actors.workflow.lives import EMPTY_CALL, Life
from tests.logistics.orchestration import steps
from tests.support.scale import scaled


def test_f90_a_chain_of_ten_thousand_steps_ends_without_recursion() -> None:
    length = scaled("chain_length", 10_000)
    plan = Plan(
        "w", tuple(PlanStep(f"s{i}", "m:f", EMPTY_CALL, (i - 1,) if i else ()) for i in range(length))
    )
    life = Life(plan, ["fail"] + ["ok"] * length, Random(0))
    life.start()
    life.play()
    ends, run = life.ends()
    assert run == "FAILED"
    assert list(ends.values()).count("SKIPPED") == length - 1
    life = Life(plan, ["ok"] * length, Random(0))
    life.start()
    life.play()
    assert life.ends()[1] == "COMPLETED"
    assert max(len(events) for events in life.log[1:]) <= 2


@pytest.mark.no_cover
def test_a_list_of_a_hundred_thousand_items_is_never_whole_anywhere() -> None:
    count = scaled("fan_out", 100_000)
    inputs = (Input("item", "item-param", "numbers"),)
    step = PlanStep("wide", "m:f", EMPTY_CALL, (), inputs, options=StepOptions(mapped=True))
    life = Life(Plan("w", (step,)), ["ok"], Random(0))
    life.start()
    life.end("r.0", b"=%d" % count)
    most = done = 0
    while life.jobs:
        most = max(most, len(life.jobs))
        life.log.clear()
        life.end(next(reversed(life.jobs)))
        done += 1
        scheduled = [event for events in life.log for event in events if isinstance(event, ItemsScheduled)]
        assert all(event.count <= WINDOW for event in scheduled)
    assert (done, most) == (count, WINDOW)
    assert not life.state.runs


def test_a_lone_chain_costs_one_synced_commit_for_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # What nobody waits for is held back for company: long enough here for the slowest machine.
    defaults = Runtime.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "hold_s", 1.0)
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("chain")
        for number in range(10):
            workflow.add_step(f"s{number}", steps.nothing)
        workflow.save()
        before = engine.get_metrics()["commits_total"]
        manager.run("chain")
        # And one for the beginning of the run, which its caller waits for, and one for its end.
        assert engine.get_metrics()["commits_total"] - before <= 12


def calls_per_step(length: int) -> float:
    """How many calls of Python functions the rules make for a step of a chain."""
    chain = (PlanStep(f"s{i}", "m:f", EMPTY_CALL, (i - 1,) if i else ()) for i in range(length))
    life = Life(Plan("w", tuple(chain)), ["ok"] * length, Random(0))
    life.start()
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        life.play()
    finally:
        sys.setprofile(None)
    return calls / length


def test_a_step_costs_as_much_in_a_long_chain_as_in_a_short_one() -> None:
    assert calls_per_step(2_000) == pytest.approx(calls_per_step(10), rel=0.2)
