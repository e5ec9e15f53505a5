"""Conditions are read by a grammar of their own, and say where they go wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.workflow.condition import DEEPEST, LONGEST, ConditionError, parse

OUTPUTS = {"a": {"ok": True, "list": [1, "x", None], "n": 3}, "my step": "text"}
PARAMS = {"n": 5, "f": 0.5}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("true", True),
        ("not true", False),
        ("not not true", True),
        ("1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3", True),
        ("1 == 2 or 1 != 2", True),
        ("false and {{params.missing}}", False),
        ("true or {{params.missing}}", True),
        ("{{a.output}}.ok", True),
        ("{{a.output}}['n'] == -3", False),
        ("{{a.output}}.list[1] == 'x'", True),
        ("null in {{a.output}}.list", True),
        ("4 not in {{a.output}}.list", True),
        ("len({{a.output}}.list) == 3", True),
        ('{{my step.output}} == "te\\xt"', True),
        ("{{params.f}} == 5e-1", True),
        ("{{params.n}} in [1, 5] and ({{params.n}} > 6 or {{params.n}} == 5)", True),
        ("[] or [[]]", True),
    ],
)
def test_a_condition_holds(text: str, holds: bool) -> None:
    assert parse(text).holds(OUTPUTS, PARAMS) is holds


def test_it_says_what_it_refers_to() -> None:
    condition = parse("{{a.output}}.ok and {{params.n}} > len({{my step.output}})")
    assert condition.steps == {"a", "my step"}
    assert condition.params == {"n"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a value at character 1, got the end"),
        ("1 + 2", "expected a value or an operator at character 3, got '[+]'"),
        ("(1", r"expected '\)' at character 3, got the end"),
        ("a == 1", "expected a value at character 1, got 'a'"),
        ("{{a}}", "'{{a}}' is no reference|is no reference"),
        ("1 == ", "expected a value at character 6, got the end"),
        ("{{a.output}}..b", "expected a name at character 14, got '.'"),
        ("{{a.output}}[true]", "expected a number or a text at character 14, got 'true'"),
        ("[1,,2]", "expected a value at character 4, got ','"),
        ("1 not 2", "expected 'in' at character 7, got '2'"),
        ("1 2", "expected the end at character 3, got '2'"),
        ("__import__('os')", "expected a value at character 1, got '__import__'"),
        ("len.x", r"expected '\(' at character 4, got '.'"),
        ("(" * (DEEPEST + 2), "nested deeper"),
        ("1" * (LONGEST + 1), "characters at most"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "text", ["{{a.output}}.gone", "{{a.output}} < 1", "{{a.output}}.list[9]", "{{params.n}}.x", "len(1)"]
)
def test_what_makes_no_sense_of_its_values_is_refused(text: str) -> None:
    with pytest.raises(ConditionError, match="makes no sense here"):
        parse(text).holds(OUTPUTS, PARAMS)


def test_the_longest_chains_do_not_run_out_of_stack() -> None:
    assert parse("{{params.n}}" + "[0]" * 300).text
    with pytest.raises(ConditionError):
        parse("{{params.n}}" + "[0]" * 300).holds(OUTPUTS, PARAMS)
    assert parse("1 or " * 190 + "1").holds({}, {})


@given(st.text(alphabet="{}()[].,'\"<>=! andornotinlen012ab\\", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionError:
        return
    with contextlib.suppress(ConditionError):
        condition.holds(dict.fromkeys(condition.steps, 1), dict.fromkeys(condition.params, 1))
