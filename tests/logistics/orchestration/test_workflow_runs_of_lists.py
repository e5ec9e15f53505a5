"""Steps that are a run of a workflow for each item of a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.runtime.binding import BindingError
from actors.workflow.specs import RunStatus
from logistics.orchestration.config import load_workflow_file
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals

ITEM = {"item": "{{item}}"}


def test_each_item_is_a_run_and_the_outputs_are_joined_in_order(manager: WorkflowManager) -> None:
    manager.create("twice").add_step("double", steps.double)
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_workflow("runs", "twice", params=ITEM, map_over="extract", parallel=2)
    workflow.add_step("load", steps.load)
    result = manager.run("w")
    assert result.outputs == {"extract": [1, 2, 3], "runs": [2, 4, 6], "load": {"sum": 12}}
    assert (result.steps["runs"].items, result.steps["runs"].items_ended) == (3, 3)
    run = manager.get_run(f"{result.run_id}.1:2")
    assert run is not None
    assert (run.name, run.parent, run.output()) == ("twice", result.run_id, 6)


def test_lists_of_runs_are_lists_for_runs_and_calls_alike_and_kept_when_a_run_is_restarted(
    manager: WorkflowManager,
) -> None:
    manager.create("twice").add_step("double", steps.double)
    workflow = manager.create("w").add_workflow("one", "twice", params=ITEM, map_over="params.numbers")
    workflow.add_workflow("two", "twice", params=ITEM, map_over="one").add_step(
        "three", steps.double, map_over="two"
    )
    result = manager.run("w", numbers=[1, 2])
    assert result.outputs == {"one": [2, 4], "two": [4, 8], "three": [8, 16]}
    run = manager.get_run(result.run_id)
    assert run is not None
    again = run.restart("three").result(WAIT_S)
    assert again.output == [8, 16]
    assert again.steps["two"].kept_from == result.run_id
    assert again.outputs["two"] == [4, 8]
    assert manager.run("w", numbers=[]).output == []


def test_a_run_that_fails_fails_its_item(manager: WorkflowManager) -> None:
    manager.create("odd").add_step("odd", steps.fail_odd)
    manager.create("w").add_workflow("runs", "odd", params=ITEM, map_over="params.numbers")
    result = manager.run("w", numbers=[0, 1, 2])
    assert result.status is RunStatus.FAILED
    failed = f"item 1: run {result.run_id}.0:1 is FAILED: step 'odd' failed: ValueError: 1 is odd"
    assert result.error == f"step 'runs' failed: 1 of 3 items failed; {failed}"
    run = manager.get_run(result.run_id)
    assert run is not None
    assert "1 of 3 items failed" in str(run.retry().result(WAIT_S).error)


def test_cancelling_and_pausing_pass_on_to_the_runs_and_who_asks_is_told_of_them(
    manager: WorkflowManager, signals: Signals
) -> None:
    manager.create("inner").add_step("hold", steps.hold_unless_zero)
    manager.create("w").add_workflow("runs", "inner", params=ITEM, map_over="params.numbers", parallel=1)
    run = manager.start("w", numbers=[1, 2])
    assert signals.begun.wait(WAIT_S)
    inner = manager.get_run(f"{run.run_id}.0:0")
    assert inner is not None
    assert run.status is RunStatus.WAITING
    reasons = {each.code: each for each in manager.engine.why(f"run:{run.run_id}").reasons}
    assert reasons["items_running"].text == "step 'runs': 0 of 2 items have ended"
    assert reasons["step_awaits_run"].by == (f"run:{inner.run_id}",)
    run.pause()
    assert (run.status, inner.status) == (RunStatus.PAUSED, RunStatus.PAUSED)
    run.resume()
    assert run.cancel()
    assert (run.status, inner.status) == (RunStatus.CANCELLED, RunStatus.CANCELLED)
    assert manager.get_run(f"{run.run_id}.0:1") is None


def test_runs_of_items_are_of_the_session_and_need_no_place_of_it(manager: WorkflowManager) -> None:
    manager.create("twice").add_step("double", steps.double)
    manager.create("w").add_workflow("runs", "twice", params=ITEM, map_over="params.numbers")
    session_id = manager.engine.create_session(max_parallel_workflows=1, max_parallel_tasks=1)
    ended = manager.engine.execute_workflow("w", session_id, numbers=[1, 2])
    assert ended["success"], ended
    assert len(list(manager.list_runs(session_id=session_id))) == 3


def test_what_has_ended_is_not_done_again_after_a_restart(tmp_path: Path, signals: Signals) -> None:
    engine = OrchestrationEngine(tmp_path / "store")
    manager = WorkflowManager(engine)
    manager.create("inner").add_step("hold", steps.hold_unless_zero)
    manager.create("w").add_workflow("runs", "inner", params=ITEM, map_over="params.numbers", parallel=1)
    run_id = manager.start("w", numbers=[0, 1, 2]).run_id
    assert signals.begun.wait(WAIT_S)  # the second one: an item that is 0 is not held
    engine.close(grace=0)
    signals.go_on.set()
    with OrchestrationEngine(tmp_path / "store") as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        assert run.result(WAIT_S).output == [0, 1, 2]
        assert len(list(WorkflowManager(engine).list_runs())) == 4
    assert signals.calls.count("item 0") == 1


def test_what_makes_no_sense_is_refused_before_anything_runs(manager: WorkflowManager) -> None:
    manager.create("twice").add_step("double", steps.double)
    for params, map_over, problem in (
        (
            {"item": 1},
            "params.numbers",
            "map_over: no parameter refers to {{item}}, an item of 'params.numbers'",
        ),
        (ITEM, None, "it refers to {{item}}, and is not mapped over a list"),
        (ITEM, "params.others", "map_over: the run is not given a parameter 'others'"),
    ):
        manager.create("w").add_workflow("runs", "twice", params=params, map_over=map_over)
        with pytest.raises(BindingError) as refused:
            manager.run("w", numbers=[1])
        assert problem in str(refused.value)
    assert not list(manager.list_runs())


FILE = """
name = "w"

[params.numbers]
type = "json"

[[steps]]
name = "runs"
workflow = "twice"
map_over = "params.numbers"
parallel = 2
params = { item = "{{item}}" }

[[steps]]
name = "calls"
function = "tests.logistics.orchestration.steps:text"
map_over = "runs"
args = ["<{{item}}>"]
"""


def test_files_have_runs_for_each_item_and_calls_that_refer_to_it(
    manager: WorkflowManager, tmp_path: Path
) -> None:
    (tmp_path / "w.toml").write_text(FILE, encoding="utf-8")
    manager.create("twice").add_step("double", steps.double)
    workflow = manager.load(tmp_path / "w.toml")
    assert manager.run("w", numbers=[1, 2]).output == ["<2>", "<4>"]
    assert manager.from_dict(workflow.to_dict()).fingerprint == workflow.fingerprint
    (tmp_path / "w.toml").write_text(FILE.replace('map_over = "runs"', ""), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"steps\[1\].args: it refers to \{\{item\}\}, and is not mapped"):
        load_workflow_file(tmp_path / "w.toml")
