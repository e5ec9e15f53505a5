"""Parameters of steps are bound by the rules, and every problem is named before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.binding import (
    Binding,
    BindingError,
    assemble,
    find_parameters,
    find_references,
    plan_bindings,
    substitute,
)
from eventstore.errors import LogisticsError


def nothing() -> None: ...
def one(x: Any) -> None: ...
def two(x: Any, y: Any) -> None: ...
def transform(extract: Any, year: int) -> None: ...
def with_context(extract: Any, ctx: Any) -> None: ...
def with_defaults(x: Any, year: int = 1, other: int = 2) -> None: ...
def positional_only(first: Any, second: Any = 0, /, third: Any = 0) -> None: ...
def many(x: Any, *rest: Any, flag: Any = None, **others: Any) -> None: ...
def keyword_only(*, extract: Any, limit: int) -> None: ...


def _plan(func: Callable[..., Any], **given: Any) -> list[tuple[str, str, str, bool]]:
    plan = plan_bindings(inspect.signature(func), **given)
    return [(each.parameter, each.kind, each.source, each.positional) for each in plan]


def _problems(func: Callable[..., Any], **given: Any) -> tuple[str, ...]:
    with pytest.raises(BindingError) as caught:
        plan_bindings(inspect.signature(func), **given)
    assert isinstance(caught.value, LogisticsError)
    assert isinstance(caught.value, ValueError)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("func", "given", "plan"),
    [
        # called with nothing, whatever it follows
        (nothing, {"dependencies": ["a", "b"], "params": ["x"]}, []),
        # by name: a dependency, else a run parameter, else the context
        (
            transform,
            {"dependencies": ["extract"], "params": ["year"]},
            [("extract", "step", "extract", False), ("year", "param", "year", False)],
        ),
        (one, {"dependencies": ["x"], "params": ["x"]}, [("x", "step", "x", False)]),
        (
            with_context,
            {"dependencies": ["extract"]},
            [("extract", "step", "extract", False), ("ctx", "ctx", "", False)],
        ),
        (
            with_context,
            {"dependencies": ["extract", "ctx"]},
            [("extract", "step", "extract", False), ("ctx", "step", "ctx", False)],
        ),
        (
            with_context,
            {"dependencies": ["extract"], "params": ["ctx"]},
            [("extract", "step", "extract", False), ("ctx", "param", "ctx", False)],
        ),
        (
            keyword_only,
            {"dependencies": ["extract"], "params": ["limit"]},
            [("extract", "step", "extract", False), ("limit", "param", "limit", False)],
        ),
        # the only dependency for the only required parameter
        (one, {"dependencies": ["a"]}, [("x", "step", "a", False)]),
        (
            two,
            {"dependencies": ["a"], "params": ["y"]},
            [("x", "step", "a", False), ("y", "param", "y", False)],
        ),
        (two, {"dependencies": ["a"], "args": [1]}, [("x", "const", "0", True), ("y", "step", "a", False)]),
        # defaults are filled by name and never by guess
        (with_defaults, {"dependencies": ["a"]}, [("x", "step", "a", False)]),
        (
            with_defaults,
            {"dependencies": ["a"], "params": ["year"]},
            [("x", "step", "a", False), ("year", "param", "year", False)],
        ),
        # constants come first
        (
            transform,
            {"dependencies": ["extract"], "params": ["year"], "kwargs": {"extract": 1, "year": 2}},
            [("extract", "const", "extract", False), ("year", "const", "year", False)],
        ),
        (
            many,
            {"dependencies": ["a"], "args": [1, 2, 3], "kwargs": {"flag": 4, "more": 5}},
            [
                ("x", "const", "0", True),
                ("*rest", "const", "1", True),
                ("*rest", "const", "2", True),
                ("flag", "const", "flag", False),
                ("more", "const", "more", False),
            ],
        ),
        (many, {"dependencies": ["rest", "others"], "args": [1]}, [("x", "const", "0", True)]),
        # positional-only parameters are passed by position
        (positional_only, {"dependencies": ["a"]}, [("first", "step", "a", True)]),
        (
            positional_only,
            {"dependencies": ["first", "second", "third"]},
            [
                ("first", "step", "first", True),
                ("second", "step", "second", True),
                ("third", "step", "third", False),
            ],
        ),
    ],
)
def test_the_rules_of_parameters(
    func: Callable[..., Any], given: dict[str, Any], plan: list[tuple[str, str, str, bool]]
) -> None:
    assert _plan(func, **given) == plan


UNFILLED = "nothing fills the required parameter {!r}"


@pytest.mark.parametrize(
    ("func", "given", "problems"),
    [
        (one, {}, [UNFILLED.format("x")]),
        (one, {"dependencies": ["a", "b"]}, [UNFILLED.format("x")]),
        (two, {"dependencies": ["a"]}, [UNFILLED.format("x"), UNFILLED.format("y")]),
        # a dependency that has its place already is not guessed for another parameter
        (transform, {"dependencies": ["extract"]}, [UNFILLED.format("year")]),
        (
            two,
            {"dependencies": ["a"], "kwargs": {"x": "{{a.output}}"}, "used": ["a"]},
            [UNFILLED.format("y")],
        ),
        (nothing, {"args": [1]}, ["it takes no positional arguments, args has 1"]),
        (one, {"args": [1, 2, 3]}, ["it takes 1 positional argument, args has 3"]),
        (one, {"args": [1], "kwargs": {"x": 1}}, ["parameter 'x' is given by args and by kwargs"]),
        (
            two,
            {"kwargs": {"z": 1, "w": 2}},
            [
                "it has no parameter 'z', which kwargs gives",
                "it has no parameter 'w', which kwargs gives",
                UNFILLED.format("x"),
                UNFILLED.format("y"),
            ],
        ),
        (
            positional_only,
            {"args": [1], "kwargs": {"second": 1}},
            ["parameter 'second' is positional only, give it in args and not in kwargs"],
        ),
        (
            positional_only,
            {"dependencies": ["second", "a"]},
            [
                UNFILLED.format("first"),
                "parameter 'second' is positional only, 'first' before it must be filled",
            ],
        ),
        (
            lambda first=0, /, **others: None,
            {"kwargs": {"first": 1}},
            ["parameter 'first' is positional only, give it in args"],
        ),
        (
            keyword_only,
            {"args": [1], "dependencies": ["extract"], "params": ["limit"]},
            ["it takes no positional"],
        ),
    ],
)
def test_every_problem_is_named_at_once(
    func: Callable[..., Any], given: dict[str, Any], problems: list[str]
) -> None:
    found = _problems(func, **given)
    assert len(found) == len(problems)
    assert all(text.startswith(start) for text, start in zip(found, problems, strict=True)), found


def test_a_plan_is_assembled_into_a_call() -> None:
    plan = plan_bindings(
        inspect.signature(many), dependencies=["flag"], params=["none"], args=[1, 2], kwargs={"more": 3}
    )
    assert assemble(plan, outputs={"flag": 4}, params={}, args=[1, 2], kwargs={"more": 3}) == (
        (1, 2),
        {"flag": 4, "more": 3},
    )
    plan = plan_bindings(inspect.signature(with_context), dependencies=["extract"])
    assert assemble(plan, outputs={"extract": [1]}, params={}, ctx="the context") == (
        (),
        {"extract": [1], "ctx": "the context"},
    )


def test_a_plan_goes_through_the_codec() -> None:
    plan = plan_bindings(inspect.signature(transform), dependencies=["extract"], params=["year"])
    data = msgspec.msgpack.encode(plan)
    assert msgspec.msgpack.decode(data, type=tuple[Binding, ...]) == plan


@given(
    st.lists(st.integers(0, 4), max_size=5),
    st.data(),
)
def test_whatever_has_a_plan_can_be_called_with_it(kinds: list[int], data: st.DataObject) -> None:
    signature = _signature(sorted(kinds), data)
    sources = [each.name for each in signature.parameters.values()]
    constants = data.draw(st.dictionaries(st.sampled_from([*sources, "z"]), st.integers()))
    args = data.draw(st.lists(st.integers(), max_size=3))
    steps = data.draw(st.lists(st.sampled_from([*sources, "y"]), unique=True))
    params = data.draw(st.lists(st.sampled_from([*sources, "x"]), unique=True))
    try:
        plan = plan_bindings(signature, dependencies=steps, params=params, args=args, kwargs=constants)
    except BindingError:
        return
    positional, named = assemble(
        plan,
        outputs={name: f"output {name}" for name in steps},
        params={name: f"param {name}" for name in params},
        args=args,
        kwargs=constants,
        ctx="context",
    )
    bound = signature.bind(*positional, **named)
    assert [*positional[: len(args)]] == args
    assert all(named[name] == value for name, value in constants.items())
    for name, value in bound.arguments.items():
        if isinstance(value, str) and value.startswith(("output", "param")) and len(steps) != 1:
            assert value.endswith(name)


def _signature(kinds: list[int], data: st.DataObject) -> inspect.Signature:
    every = [
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    ]
    parameters: list[inspect.Parameter] = []
    for index, number in enumerate(kinds):
        kind = every[number]
        is_variable = kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
        if is_variable and any(each.kind is kind for each in parameters):
            continue
        follows_default = (
            bool(parameters)
            and parameters[-1].default is not inspect.Parameter.empty
            and kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        )
        has_default = not is_variable and (follows_default or data.draw(st.booleans()))
        default = 0 if has_default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(f"p{index}", kind, default=default))
    return inspect.Signature(parameters)


# --- references in files ----------------------------------------------------------------------------------

OUTPUTS = {"extract": [1, {"a": None}], "name": "Zürich", "a.b c": 3, "output": True}
PARAMS = {"year": 2027, "output": "/tmp/out", "a.b": 1.5}


@pytest.mark.parametrize(
    ("value", "result", "steps", "params"),
    [
        ("{{extract.output}}", [1, {"a": None}], {"extract"}, set()),
        ("{{ extract.output }}", [1, {"a": None}], {"extract"}, set()),
        ("{{params.year}}", 2027, set(), {"year"}),
        ("{{params.output}}", "/tmp/out", set(), {"output"}),
        ("{{params.a.b}}", 1.5, set(), {"a.b"}),
        ("{{output.output}}", True, {"output"}, set()),
        ("{{a.b c.output}}", 3, {"a.b c"}, set()),
        ("in {{params.year}}: {{name.output}}", "in 2027: Zürich", {"name"}, {"year"}),
        (
            "data={{extract.output}} {{output.output}}",
            'data=[1,{"a":null}] true',
            {"extract", "output"},
            set(),
        ),
        (
            {"x": ["{{params.year}}", 1, None], "{{not.a key}}": "{{name.output}}"},
            {"x": [2027, 1, None], "{{not.a key}}": "Zürich"},
            {"name"},
            {"year"},
        ),
        ("no reference } { }} {'a': {'b': 1}}", "no reference } { }} {'a': {'b': 1}}", set(), set()),
        ("{{{{name}}}} is {{name.output}}", "{{name}} is Zürich", {"name"}, set()),
        ("{{{{{{params.year}}}}}}", "{{2027}}", set(), {"year"}),
        ("{{{{", "{{", set(), set()),
        (7, 7, set(), set()),
    ],
)
def test_references_become_values(value: Any, result: Any, steps: set[str], params: set[str]) -> None:
    assert substitute(value, OUTPUTS, PARAMS) == result
    assert find_references(value) == steps
    assert find_parameters(value) == params


@pytest.mark.parametrize(
    "text",
    ["{{}}", "{{extract}}", "{{extract.result}}", "{{.output}}", "{{params.}}", "{{ open", "x {{a b}} y"],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    for function in (find_references, find_parameters, lambda value: substitute(value, {})):
        with pytest.raises(BindingError, match=r"is no reference: expected \{\{step\.output"):
            function({"key": [text]})


def test_all_bad_references_of_a_text_are_named() -> None:
    with pytest.raises(BindingError) as caught:
        find_references("{{one}} {{a.output}} {{two}}")
    assert len(caught.value.problems) == 2


def test_a_reference_without_a_value_is_an_error() -> None:
    with pytest.raises(BindingError, match="there is no output of step 'a'"):
        substitute("{{a.output}}", {})
    with pytest.raises(BindingError, match="there is no run parameter 'a'"):
        substitute("x {{params.a}}", {}, {})


@given(st.text(alphabet="{}a.outpms ", max_size=40))
def test_doubled_braces_stand_for_themselves(text: str) -> None:
    assert substitute(text.replace("{{", "{{{{").replace("}}", "}}}}"), {}) == text
