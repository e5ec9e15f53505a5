"""Calls in the prose of the guide can be made: the method is there and takes such arguments."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import logistics
from tests.docs.pages import ROOT, words_in_backticks

CLASSES: Mapping[str, type] = {
    "engine": logistics.OrchestrationEngine,
    "queue": logistics.Queue,
    "run": logistics.WorkflowRun,
    "workflow": logistics.Workflow,
    "workflows": logistics.WorkflowManager,
    "view": logistics.StoreView,
}
"""What the pages call things."""
PAGES = sorted(each for each in (ROOT / "docs" / "guide").glob("*.md") if "coming_from" not in each.name)
"""But for those that name calls of other libraries."""


def mistakes(text: str) -> Iterator[str]:
    """Yield what is wrong with calls of things of ours in inline code."""
    for line, code in words_in_backticks(text):
        try:
            tree = ast.parse(code.removeprefix("await ").replace("…", "..."), mode="eval")
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (problem := _problem(node)):
                yield f"line {line}: `{code}`: {problem}"


def _problem(call: ast.Call) -> str:
    function = call.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return ""
    owner = CLASSES.get(function.value.id)
    if owner is None:
        return ""
    method = getattr(owner, function.attr, None)
    if not callable(method):
        return f"{owner.__name__} has no method {function.attr}"
    said = [each for each in call.args if not (isinstance(each, ast.Constant) and each.value is ...)]
    named = {each.arg: None for each in call.keywords if each.arg is not None}
    try:
        inspect.signature(method).bind_partial(None, *said, **named)
    except TypeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_calls_in_the_prose_can_be_made(page: Path) -> None:
    assert list(mistakes(page.read_text(encoding="utf-8"))) == []


def test_mistakes_are_found() -> None:
    page = (
        '`engine.why("job", job_id)`, `queue.enqeue(job)`, `run.wait(…)`, `await queue.future(id)`, `x.y()`'
    )
    assert [each.split("`: ")[1] for each in mistakes(page)] == [
        "too many positional arguments",
        "Queue has no method enqeue",
    ]
