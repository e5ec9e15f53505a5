"""Workflows written as classes and functions are those that are built step by step."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import logistics
from actors.runtime.errors import FunctionError, InputError
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager

A_TEXT: Any = "double"


@logistics.workflow(name="report")
class Report:
    """What came in that day.

    And more.
    """

    @staticmethod
    def numbers(count: int) -> list[int]:
        return list(range(count))

    @logistics.step(map_over="numbers", max_retries=2)
    @staticmethod
    def doubled(item: int) -> int:
        return 2 * item

    @staticmethod
    def total(doubled: list[int], numbers: list[int]) -> int:
        return sum(doubled) - sum(numbers)


@logistics.workflow
def wired(workflow: Workflow) -> None:
    """Wire two steps."""
    workflow.add_step("numbers", Report.numbers)
    workflow.add_step("sum", sum_up)


@logistics.task(name="tests.sum")
def sum_up(numbers: list[int]) -> int:
    return sum(numbers)


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (
            lambda: logistics.step(max_retrys=2),
            "there is no option 'max_retrys', did you mean 'max_retries'?",
        ),
        (lambda: logistics.step(depends=["a"]), "there is no option 'depends', did you mean 'depends_on'?"),
        (lambda: logistics.step(zzz=1), "there is no option 'zzz', expected depends_on, args, kwargs, "),
        (lambda: logistics.step(A_TEXT), "step: expected a function, or options by name, got 'double'"),
        (
            lambda: logistics.workflow(A_TEXT),
            "workflow: expected a class or a function, or name=…, got 'double'",
        ),
    ],
)
def test_a_slip_is_told_where_the_decorator_stands(mark: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        mark()


def test_a_class_is_a_workflow(manager: WorkflowManager) -> None:
    workflow = manager.define(Report)
    built = manager.create("report", description="What came in that day.")
    built.add_step("numbers", Report.numbers, depends_on=[])
    built.add_step("doubled", Report.doubled, depends_on=[], map_over="numbers", max_retries=2)
    built.add_step("total", Report.total, depends_on=["doubled", "numbers"])
    assert workflow.to_dict() == built.to_dict()
    assert workflow.fingerprint == built.fingerprint
    assert manager.run("report", count=4).output == 6


def test_a_function_wires_a_workflow(manager: WorkflowManager) -> None:
    manager.define(wired)
    assert manager.run("wired", count=4).output == 6


def test_a_named_task_is_stored_by_its_name(manager: WorkflowManager) -> None:
    steps = manager.define(wired).to_dict()["steps"]
    assert steps[1]["function"].startswith("tests.sum@")
    assert manager.from_dict(manager.define(wired).to_dict()).fingerprint == manager.define(wired).fingerprint


def test_a_step_that_says_nothing_of_itself_needs_no_parentheses(manager: WorkflowManager) -> None:
    @logistics.workflow(name="bare")
    class Bare:
        numbers = logistics.step(staticmethod(Report.numbers))

    assert manager.define(Bare).steps == ("numbers",)


def test_a_function_that_is_meant_to_be_run_itself_is_refused(manager: WorkflowManager) -> None:
    @logistics.workflow
    def daily(day: str) -> list[int]:
        return Report.numbers(len(str(day)))

    @logistics.workflow
    def monthly(month: str, year: int) -> list[int]:
        return Report.numbers(len(month) + year)

    with pytest.raises(
        InputError, match=r"a function of a Workflow .* daily\(.* added none: parameters of a run go"
    ):
        manager.define(daily)
    with pytest.raises(InputError, match=r"a function of a Workflow .* got monthly\("):
        manager.define(monthly)
    assert manager.list_workflows() == []


def test_what_is_no_workflow_is_refused(manager: WorkflowManager) -> None:
    with pytest.raises(InputError, match="expected a class or function with @logistics"):
        manager.define(sum_up)

    class Inherited(Report):
        pass

    with pytest.raises(InputError, match="expected a class or function with @logistics"):
        manager.define(Inherited)

    @logistics.workflow
    class Empty:
        pass

    with pytest.raises(InputError, match="class Empty has no static method"):
        manager.define(Empty)
    with pytest.raises(FunctionError, match=r"the task name 'tests\.sum' is taken"):
        logistics.task(name="tests.sum")(Report.total)


@pytest.mark.parametrize("what", [sum_up, "sum_up"])
def test_a_task_without_its_name_is_told_how_to_write_it(what: object) -> None:
    with pytest.raises(InputError, match=r'write @task\(name="sum_up"\)'):
        logistics.task(what)  # type: ignore[arg-type]  # checkers say it too
    with pytest.raises(InputError, match=r"needs a name"):
        logistics.task()
