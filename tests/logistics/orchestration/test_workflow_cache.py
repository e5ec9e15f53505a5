"""Outputs of identical calls are used again, across runs, for as long as they may be, and it can be seen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from actors.runtime.clock import VirtualClock
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import Signals


def define(manager: WorkflowManager, key: str = "v1") -> None:
    workflow = manager.create("w")
    workflow.add_step(
        "count", steps.count_calls, args=["x"], cache_for=timedelta(hours=1), cache_key=key
    ).add_step("after", steps.give_count)


def test_an_identical_call_is_not_made_again_and_says_where_its_output_is_from(
    manager: WorkflowManager, signals: Signals
) -> None:
    define(manager)
    first, second = manager.run("w"), manager.run("w")
    assert (first.output, second.output) == ("x 1", "x 1")
    assert first.steps["count"].cached_from is None
    assert second.steps["count"].cached_from == f"{first.run_id}.0"
    assert signals.calls == ["x"]


def test_another_argument_and_another_key_make_another_call(
    manager: WorkflowManager, signals: Signals
) -> None:
    define(manager)
    manager.run("w")
    define(manager, key="v2")
    assert manager.run("w").output == "x 2"
    workflow = manager.create("w")
    workflow.add_step("count", steps.count_calls, args=["y"], cache_for=3600, cache_key="v2")
    assert manager.run("w").output == "y 3"


def test_an_output_is_used_for_so_long_and_after_a_restart(tmp_path: Path, signals: Signals) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(tmp_path / "store", clock=clock) as engine:
        manager = WorkflowManager(engine)
        define(manager)
        manager.run("w")
    clock.advance(3_500_000_000)
    with OrchestrationEngine(tmp_path / "store", clock=clock) as engine:
        manager = WorkflowManager(engine)
        assert manager.run("w").output == "x 1"
        clock.advance(200_000_000)
        assert manager.run("w").output == "x 2"


def test_items_of_a_list_are_calls_of_their_own(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w")
    workflow.add_step(
        "count", steps.count_calls_of, map_over="params.names", depends_on=[], cache_for=60, parallel=1
    )
    assert manager.run("w", names=["a", "b"]).output == ["a 1", "b 2"]
    assert manager.run("w", names=["b", "c"]).output == ["b 2", "c 3"]


def test_a_failure_is_not_used_again(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("bad", steps.fail_once, cache_for=60)
    assert not manager.run("w")
    assert manager.run("w").output == "done"
