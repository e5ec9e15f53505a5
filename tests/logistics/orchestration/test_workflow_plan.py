"""A plan names where each parameter comes from, and equal plans have one fingerprint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from actors.queue.specs import Input
from actors.runtime.binding import BindingError
from actors.runtime.functions import FunctionRegistry
from logistics.errors import GraphError
from logistics.orchestration.definition import Definition, StepDefinition, define_step
from logistics.orchestration.plan import PlannedRun, make_plan
from logistics.orchestration.step_options import StepOptions
from tests.logistics.orchestration import steps

REGISTRY = FunctionRegistry()


def step(
    name: str,
    func: Any,
    *depends_on: str,
    templated: bool = False,
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> StepDefinition:
    return define_step(
        name,
        REGISTRY.register(func),
        StepOptions(**options),
        depends_on=depends_on,
        register=REGISTRY.register,
        max_payload=1000,
        templated=templated,
        args=args,
        kwargs=kwargs,
    )


def plan(*each: StepDefinition, params: tuple[str, ...] = ()) -> PlannedRun:
    return make_plan(Definition("w", steps=each), params=params, functions=REGISTRY)


def inputs(planned: PlannedRun) -> list[tuple[Input, ...]]:
    return [each.inputs for each in planned.plan.steps]


def test_inputs_name_steps_by_their_number() -> None:
    planned = plan(step("one", steps.one), step("two", steps.two), step("t", steps.total, "two", "one"))
    assert inputs(planned)[2] == (
        Input("one", "step", "0", positional=True),
        Input("two", "step", "1", positional=True),
    )
    assert planned.plan.steps[2].depends_on == (1, 0)


def test_inputs_name_parameters_and_the_context() -> None:
    planned = plan(step("a", steps.with_year), step("b", steps.describe), params=("year",))
    assert inputs(planned) == [(Input("year", "param", "year"),), (Input("ctx", "ctx", ""),)]


def test_references_bring_their_edges_along_and_are_not_guessed_for_another_parameter() -> None:
    constants = {"left": "{{two.output}}", "right": "{{params.year}}"}
    planned = plan(
        step("two", steps.two),
        step("sum", steps.add, kwargs=constants, templated=True),
        params=("year",),
    )
    assert planned.plan.steps[1].depends_on == (0,)
    assert inputs(planned)[1] == (Input("two", "ref-step", "0"), Input("year", "ref-param", "year"))


def test_doubled_braces_alone_are_undone() -> None:
    planned = plan(step("a", steps.anything, args=["{{{{"], templated=True))
    assert inputs(planned) == [(Input("", "ref", ""),)]
    assert inputs(plan(step("a", steps.anything, args=["plain"], templated=True))) == [()]


def test_a_reference_to_no_step_is_a_problem_of_the_graph() -> None:
    with pytest.raises(GraphError, match="step 'a' depends on 'nobody', which is no step"):
        plan(step("a", steps.anything, args=["{{nobody.output}}"], templated=True))


def test_a_reference_to_a_parameter_that_is_not_given_is_named() -> None:
    with pytest.raises(BindingError, match=r"refers to {{params.year}}, which the run is not given"):
        plan(step("a", steps.anything, args=["{{params.year}}"], templated=True))


def test_a_function_that_is_gone_and_one_that_hides_its_parameters_are_named() -> None:
    gone = StepDefinition("gone", "tests.logistics.orchestration.steps:gone", b"\x92\x90\x80")
    with pytest.raises(BindingError) as caught:
        plan(gone, step("hidden", max))
    first, second = caught.value.problems
    assert "step 'gone': 'tests.logistics.orchestration.steps:gone' cannot be resolved (NOT_FOUND)" in first
    assert "step 'hidden': the parameters of 'builtins:max' cannot be found out; write a function" in second


def test_equal_plans_have_one_fingerprint_and_different_ones_different_ones() -> None:
    first, again = (plan(step("a", steps.one), step("b", steps.add, args=[1, 2])) for _ in range(2))
    assert first == again
    others = [
        plan(step("a", steps.one), step("c", steps.add, args=[1, 2])),
        plan(step("a", steps.one), step("b", steps.add, args=[1, 3])),
        plan(step("a", steps.one), step("b", steps.add, "a", args=[1, 2])),
        plan(step("a", steps.one), step("b", steps.add, args=[1, 2], priority=1)),
        plan(step("a", steps.two), step("b", steps.add, args=[1, 2])),
    ]
    assert len({first.plan_id, *(other.plan_id for other in others)}) == 6


def test_ten_thousand_steps_are_planned_in_seconds() -> None:
    names = [f"step {number}" for number in range(10_000)]
    chain = [step(name, steps.nothing, *names[max(0, n - 1) : n]) for n, name in enumerate(names)]
    begin = time.perf_counter()
    assert len(plan(*chain).plan.steps) == 10_000
    assert time.perf_counter() - begin < 30
