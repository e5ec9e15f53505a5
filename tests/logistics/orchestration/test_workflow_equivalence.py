"""A workflow means the same however it is defined: built in code, as data, in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps

TEXTS = st.sampled_from(["", "a", "{{one.output}}", "{{{{x}}}}", "{{", "}}", "ü"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | TEXTS
    | st.binary(max_size=3),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=5,
)
FUNCTIONS: list[Callable[..., Any]] = [steps.anything, steps.one]
RETRY_ON: st.SearchStrategy[Any] = st.sampled_from([(), ValueError, (OSError, steps.is_busy)])
SPANS = st.sampled_from([0, 0.25, 1, 3600, 86_400.5])
COMMON: dict[str, Any] = {
    "when": st.none() | st.just("{{one.output}} == 1") | st.just(steps.is_even),
    "required": st.booleans(),
    "on_failure": st.sampled_from([None, "skip", "stop", "continue"]),
    "depends_on": st.none() | st.just([]) | st.just(["one"]),
}


@st.composite
def workflows(draw: st.DrawFn, manager: WorkflowManager) -> Workflow:
    workflow = manager.create("w", description=draw(TEXTS)).add_step("one", steps.one)
    for number in range(draw(st.integers(0, 5))):
        name = f"s{number}"
        common = {key: draw(strategy) for key, strategy in COMMON.items()}
        kind = draw(st.sampled_from(["step", "finally", "wait", "signal", "run", "workflow"]))
        if kind == "step":
            workflow.add_step(
                name,
                draw(st.sampled_from(FUNCTIONS)),
                args=draw(st.lists(VALUES, max_size=2)),
                kwargs=draw(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=2)),
                max_retries=draw(st.integers(0, 3)),
                retry_delay=draw(SPANS | st.just([1, 0.5])),
                backoff=draw(st.sampled_from(["exponential", "linear", "fixed"])),
                jitter=draw(st.none() | st.booleans()),
                retry_on=draw(RETRY_ON),
                give_up_on=draw(st.sampled_from([(), [KeyError]])),
                executor=draw(st.none() | st.just("process")),
                timeout=draw(st.none() | st.just(2.5)),
                cache_for=draw(st.none() | st.just(3600)),
                cache_key=draw(st.none() | st.just("v1")),
                heartbeat=draw(st.none() | st.just(60)),
                map_over=draw(st.sampled_from([None, "one", "params.list"])),
                parallel=draw(st.none() | st.integers(1, 5)),
                compensate=draw(st.none() | st.just(steps.nothing)),
                resources=draw(st.none() | st.just({"gpu": 1.5})),
                queue=draw(st.none() | st.just("q")),
                priority=draw(st.integers(-3, 3)),
                **common,
            )
        elif kind == "finally":
            del common["on_failure"]
            workflow.add_finally(name, steps.one, **common)
        elif kind == "wait":
            workflow.add_wait(name, draw(SPANS), **common)
        elif kind == "signal":
            schema = draw(st.none() | st.just({"ok": "bool", "why": "str?"}))
            workflow.add_wait(name, schema=schema, timeout=draw(st.none() | st.just(5)), **common)
        elif kind == "run":
            workflow.add_wait(name, run=draw(st.sampled_from(["r", "{{params.r}}"])), **common)
        else:
            params = draw(
                st.dictionaries(st.sampled_from("xyz"), VALUES.filter(is_reference_free), max_size=2)
            )
            mapped: dict[str, Any] = draw(st.sampled_from([{}, {"map_over": "params.r", "parallel": 2}]))
            workflow.add_workflow(
                name, "other", params=params | ({"i": "{{item}}"} if mapped else {}), **common, **mapped
            )
    return workflow


def is_reference_free(value: Any) -> bool:
    """Whether a value has no braces that mean nothing: those are refused where references are read."""
    return "{" not in repr(value) and "}" not in repr(value)


@pytest.mark.no_cover
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_from_dict_of_to_dict_is_the_same_workflow(manager: WorkflowManager, data: st.DataObject) -> None:
    workflow = data.draw(workflows(manager))
    encoded, fingerprint, plain = workflow.prepared().encoded, workflow.fingerprint, workflow.to_dict()
    again = manager.from_dict(plain)
    assert again.prepared().encoded == encoded
    assert again.fingerprint == fingerprint
    assert again.to_dict() == plain


def test_plain_data_are_what_a_file_says(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract, max_retries=2)
    workflow.add_step("double", steps.double, map_over="extract", parallel=3)
    workflow.add_wait("approval", schema={"ok": "bool"}, timeout=60)
    workflow.add_workflow("ship", "shipping", params={"x": "{{double.output}}"})
    assert workflow.to_dict() == {
        "name": "w",
        "steps": [
            {"name": "extract", "function": f"{steps.__name__}:extract", "max_retries": 2},
            {
                "name": "double",
                "function": f"{steps.__name__}:double",
                "map_over": "extract",
                "parallel": 3,
            },
            {"name": "approval", "wait": {"signal": True, "schema": {"ok": "bool"}, "timeout": 60.0}},
            {
                "name": "ship",
                "workflow": "shipping",
                "params": {"x": "{{double.output}}"},
            },
        ],
    }


def test_a_file_and_code_define_the_same(manager: WorkflowManager, tmp_path: Any) -> None:
    code = (
        manager.create("w")
        .add_step("extract", steps.extract)
        .add_step("double", steps.double, map_over="extract")
    )
    data = code.to_dict()
    (tmp_path / "w.json").write_bytes(msgspec.json.encode(data))
    loaded = manager.load(tmp_path / "w.json")
    assert loaded.to_dict() == data | {"params": {}}
    assert loaded.prepared().definition.steps == code.prepared().definition.steps


def test_data_that_are_no_workflow_are_refused(manager: WorkflowManager) -> None:
    with pytest.raises(ConfigError, match=r"steps\[0\].functoin: unknown key, did you mean 'function'"):
        manager.from_dict({"name": "w", "steps": [{"name": "a", "functoin": "m:f"}]})
    with pytest.raises(ConfigError, match="expected an object with name and steps, got list"):
        manager.from_dict([])  # type: ignore[arg-type]


def test_what_data_define_runs(engine: OrchestrationEngine) -> None:
    manager = WorkflowManager(engine)
    module = steps.__name__
    manager.from_dict(
        {
            "name": "w",
            "params": {"numbers": {"type": "json"}},
            "steps": [
                {"name": "double", "function": f"{module}:double", "map_over": "params.numbers"},
                {"name": "load", "function": f"{module}:load"},
            ],
        }
    )
    assert manager.run("w", numbers=[1, 2]).output == {"sum": 6}
