"""Definitions: what add_step refuses, what is kept and when, how names are replaced and forgotten."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.errors import EngineClosedError, FunctionError, InputError, PayloadError
from actors.workflow.messages import GetWorkflows
from eventstore.errors import CorruptStoreError
from logistics.orchestration.definition import Definition, decode_definition, encode_definition
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import Order, Signals


def on_record(engine: OrchestrationEngine) -> dict[str, Definition]:
    return {name: decode_definition(data) for name, data in engine.ask("supervisor", GetWorkflows()).items()}


def bound_to_an_object() -> Any:
    return [].append


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (lambda: None, "a lambda has no name that leads back to it"),
        (functools.partial(steps.add, 1), "a partial is not stored by name"),
        (bound_to_an_object(), "a method of a built-in object cannot be stored"),
        (Order, "a class is not a function"),
        (7, "this cannot be called"),
    ],
)
def test_a_function_that_cannot_be_found_again_is_refused_at_once(
    manager: WorkflowManager, func: Any, text: str
) -> None:
    workflow = manager.create("w")
    with pytest.raises(FunctionError, match=text):
        workflow.add_step("a", func)
    assert workflow.steps == ()


def test_a_closure_is_refused_at_once(manager: WorkflowManager) -> None:
    def inside() -> None:
        """It is gone with its function."""

    with pytest.raises(FunctionError, match="a function defined inside another one"):
        manager.create("w").add_step("a", inside)


def test_a_step_is_refused_twice(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("a", steps.one)
    with pytest.raises(InputError, match="workflow 'w' has a step 'a' already"):
        workflow.add_step("a", steps.two)
    assert manager.run("w").outputs == {"a": 1}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"depends_on": "a"}, r"depends_on: expected a list of names, got the text 'a'; write \['a'\]"),
        ({"depends_on": 7}, "depends_on: expected a list of names, got 7"),
        ({"depends_on": [steps.one]}, "depends_on: expected a name, got <function one"),
        ({"args": "abc"}, "args: expected a list or tuple of arguments, got 'abc'"),
        ({"max_retries": -1}, "max_retries: expected a whole number from 0"),
        ({"max_retries": True}, "max_retries: expected a whole number"),
        ({"retry_delay": -1}, "retry_delay: expected 0 to"),
        ({"retry_delay": "1s"}, "retry_delay: expected seconds or a timedelta"),
        ({"priority": 1.5}, "priority: expected a whole number"),
        ({"queue": ""}, "queue: expected 1 to 200 characters"),
        ({"queue": "@steps"}, "queue: names that begin with '@' are the engine's own"),
    ],
)
def test_a_bad_option_is_named(manager: WorkflowManager, options: dict[str, Any], text: str) -> None:
    workflow = manager.create("w")
    with pytest.raises(InputError, match=text):
        workflow.add_step("b", steps.one, **options)
    assert workflow.steps == ()


def test_arguments_must_be_plain_data_and_are_refused_at_that_line(manager: WorkflowManager) -> None:
    workflow = manager.create("w")
    with pytest.raises(PayloadError, match=r"args\[1\]\['x'\]: object cannot be stored"):
        workflow.add_step("a", steps.anything, args=[1, {"x": object()}])
    assert workflow.steps == ()


def test_arguments_that_have_another_form_are_refused_by_the_name_that_their_author_gave(
    manager: WorkflowManager, engine: OrchestrationEngine
) -> None:
    workflow = manager.create("w")
    wrong: Any = [1]
    for what, define in (
        ("kwargs", lambda: workflow.add_step("a", steps.anything, kwargs=wrong)),
        ("params", lambda: workflow.add_workflow("a", "other", params=wrong)),
        ("kwargs", lambda: CronScheduler(engine=engine).schedule("s", "0 0 * * *", workflow, kwargs=wrong)),
        ("kwargs", lambda: CronScheduler(engine=engine).schedule("s", "0 0 * * *", steps.one, kwargs=wrong)),
    ):
        text = (
            rf"^{what}: expected a mapping of names to arguments, got \[1\]; write {what}={{'name': value}}$"
        )
        with pytest.raises(InputError, match=text):
            define()
    for args in ({"a": 1}, {1, 2}):
        unordered: Any = args
        with pytest.raises(InputError, match=r"^args: expected a list or tuple of arguments, got "):
            workflow.add_step("a", steps.anything, args=unordered)
    assert workflow.steps == ()


def test_options_that_are_not_there_yet_are_no_parameters(manager: WorkflowManager) -> None:
    options: list[dict[str, Any]] = [{"retries": 1}, {"cache": True}]
    for option in options:
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            manager.create("w").add_step("a", steps.one, **option)


def test_a_misspelt_option_of_a_last_step_is_refused(manager: WorkflowManager) -> None:
    slip: dict[str, Any] = {"max_retrys": 1}
    with pytest.raises(InputError, match=r"add_finally: there is no option .*, did you mean 'max_retries'\?"):
        manager.create("w").add_finally("a", steps.one, **slip)


# --- what is kept -----------------------------------------------------------------------------------------


def test_a_definition_is_kept_when_it_is_run_started_or_saved_and_not_before(
    engine: OrchestrationEngine, manager: WorkflowManager
) -> None:
    for name in ("run", "started", "saved", "neither"):
        manager.create(name, description=f"to be {name}").add_step("one", steps.one)
    assert on_record(engine) == {}
    manager.run("run")
    _ = manager.start("started")
    workflow = manager.get_workflow("saved")
    assert workflow is not None
    workflow.save()
    kept = on_record(engine)
    assert sorted(kept) == ["run", "saved", "started"]
    assert kept["saved"].description == "to be saved"
    assert manager.list_workflows() == ["neither", "run", "saved", "started"]


def test_the_same_definition_is_recorded_once(engine: OrchestrationEngine, manager: WorkflowManager) -> None:
    for _ in range(2):
        manager.create("w").add_step("one", steps.one).add_step("two", steps.two, kwargs={}, args=[])
        manager.run("w")
    assert len(engine.history("workflow:w")) == 1
    plans = {run.steps["one"].status for run in manager.list_runs()}
    assert len(plans) == 1


def test_a_definition_survives_its_bytes(engine: OrchestrationEngine, manager: WorkflowManager) -> None:
    workflow = manager.create("w", description="all of it")
    workflow.add_step("a", steps.anything, args=[1, "x"], kwargs={"b": None}, max_retries=2, retry_delay=0.5)
    workflow.add_step("b", steps.nothing, queue="mail", priority=-3)
    definition = workflow.prepared().definition
    assert decode_definition(encode_definition(definition)) == definition
    assert [step.depends_on for step in definition.steps] == [(), ("a",)]
    assert (definition.steps[0].retry_us, definition.steps[1].queue) == (500_000, "mail")


def test_bytes_of_another_kind_are_named_as_such() -> None:
    for data in (b"", b"\x00", b"\x81\xa4name\x01", b"\x82\xa4name\xa1w\xa3new\xc0"):
        with pytest.raises(CorruptStoreError, match="a workflow's definition cannot be read"):
            decode_definition(data)


def test_a_new_definition_replaces_the_old_one_and_runs_in_progress_keep_theirs(
    manager: WorkflowManager, signals: Signals
) -> None:
    manager.create("w").add_step("hold", steps.hold).add_step("one", steps.one)
    run = manager.start("w")
    assert signals.begun.wait(steps.WAIT_S)
    manager.create("w").add_step("two", steps.two)
    assert manager.run("w").outputs == {"two": 2}
    signals.go_on.set()
    assert run.result(steps.WAIT_S).outputs == {"hold": "held", "one": 1}
    assert manager.list_workflows() == ["w"]


def test_a_step_added_later_is_part_of_later_runs(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    assert manager.run("w").outputs == {"one": 1}
    workflow.add_step("two", steps.two)
    assert manager.run("w").outputs == {"one": 1, "two": 2}


def test_a_forgotten_workflow_keeps_its_runs(engine: OrchestrationEngine, manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one)
    run_id = manager.run("w").run_id
    manager.create("never run")
    assert manager.delete("w")
    assert manager.delete("never run")
    assert not manager.delete("w")
    assert not manager.delete("nobody")
    assert manager.list_workflows() == []
    assert manager.get_workflow("w") is None
    assert on_record(engine) == {}
    run = manager.get_run(run_id)
    assert run is not None
    assert run.result().outputs == {"one": 1}


def test_every_manager_of_a_store_sees_the_same_workflows(engine: OrchestrationEngine) -> None:
    created = WorkflowManager(engine).create("w")
    found = WorkflowManager(engine).get_workflow("w")
    assert found is created
    assert isinstance(found, Workflow)
    found.add_step("one", steps.one)
    assert WorkflowManager(engine).run("w").outputs == {"one": 1}
    assert repr(created) == "Workflow('w', steps=['one'])"


def test_workflows_outlive_the_handle_that_created_them(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as first, OrchestrationEngine(tmp_path / "store") as second:
        workflow = WorkflowManager(first).create("w")
        first.close()
        workflow.add_step("one", steps.one)
        workflow.save()
        assert WorkflowManager(second).run("w").outputs == {"one": 1}
    with pytest.raises(EngineClosedError):
        workflow.save()


def test_a_workflow_on_record_is_run_by_another_process_without_being_created(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        workflow = WorkflowManager(engine).create("w", description="kept").add_step("extract", steps.extract)
        workflow.add_step("transform", steps.transform)
        workflow.save()
    with OrchestrationEngine(tmp_path / "store") as engine:
        manager = WorkflowManager(engine)
        found = manager.get_workflow("w")
        assert found is not None
        assert (found.name, found.description, found.steps) == ("w", "kept", ("extract", "transform"))
        assert manager.list_workflows() == ["w"]
        assert manager.run("w", factor=3).output == [3, 6, 9]


def test_what_is_no_engine_is_refused() -> None:
    with pytest.raises(InputError, match="engine: expected an OrchestrationEngine, got 'store'"):
        WorkflowManager("store")  # type: ignore[arg-type]  # that is the point


def test_a_description_is_text(manager: WorkflowManager) -> None:
    with pytest.raises(InputError, match="description: expected text, got 7"):
        manager.create("w", description=7)  # type: ignore[arg-type]  # that is the point
