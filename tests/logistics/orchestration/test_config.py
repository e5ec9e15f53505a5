"""Workflow files become definitions, and every mistake in one is named with its place."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.runtime.binding import plan_bindings, substitute
from eventstore.errors import LogisticsError
from logistics.orchestration.config import WorkflowDefinition, file_schema, load_workflow_file
from logistics.orchestration.importing import import_functions
from logistics.orchestration.parameters import run_parameters
from logistics.orchestration.parsing import ConfigError

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"

FULL = """
name = "nightly"
description = "All keys"

[params.year]
type = "int"
description = "The year"

[params.folder]
type = "path"
default = "out"

[params.note]
required = false

[[steps]]
name = "first"
function = "pkg.mod:Class.method"
args = [1, "{{params.year}}"]
max_retries = 3
retry_delay = 0.5
timeout = 60
queue = "slow"
priority = -5

[[steps]]
name = "second"
function = "mod:func"
kwargs = { text = "in {{params.year}}", nested = [{ deep = "{{first.output}}" }] }

[[steps]]
name = "third"
function = "mod:func"
dependencies = []

[[steps]]
name = "fourth"
function = "mod:func"
dependencies = ["third"]
args = ["{{second.output}} and {{first.output}}"]

[[steps]]
name = "fifth"
function = "mod:func"
kwargs = { braces = "{{{{x}}}}" }
"""


@pytest.fixture(autouse=True)
def import_path() -> Iterator[None]:
    """Forget what a test has put on the import path and imported."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("logistics", "actors", "eventstore")):
            del sys.modules[name]


def _written(folder: Path, text: str, name: str = "flow.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _load(folder: Path, text: str, name: str = "flow.toml") -> WorkflowDefinition:
    return load_workflow_file(_written(folder, text, name))


def _problems(folder: Path, text: str, name: str = "flow.toml") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, name)
    assert isinstance(caught.value, LogisticsError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{folder / name}: ")
    return caught.value.problems


# --- definitions ------------------------------------------------------------------------------------------


def test_a_file_becomes_a_definition(tmp_path: Path) -> None:
    flow = _load(tmp_path, FULL)
    assert (flow.name, flow.description, flow.path) == ("nightly", "All keys", tmp_path / "flow.toml")
    assert flow.params is not None
    year, folder, note = flow.params
    assert (year.name, year.type, year.required, year.has_default) == ("year", "int", True, False)
    assert (folder.type, folder.default, folder.required) == ("path", "out", False)
    assert (note.type, note.required, note.has_default) == ("str", False, False)
    first = flow.steps[0]
    assert (first.name, first.function) == ("first", "pkg.mod:Class.method")
    assert (first.options.max_retries, first.options.retry_delay, first.options.timeout) == (3, 0.5, 60.0)
    assert (first.options.queue, first.options.priority) == ("slow", -5)
    second = flow.steps[1]
    options = second.options
    assert (options.max_retries, options.retry_delay, options.timeout, options.queue) == (0, None, None, None)


def test_dependencies_are_a_chain_unless_written_and_references_bring_their_own(tmp_path: Path) -> None:
    flow = _load(tmp_path, FULL)
    assert {each.name: each.dependencies for each in flow.steps} == {
        "first": (),
        "second": ("first",),
        "third": (),
        "fourth": ("third", "first", "second"),
        "fifth": ("fourth",),
    }
    assert [each.references for each in flow.steps] == [
        frozenset(),
        {"first"},
        frozenset(),
        {"first", "second"},
        frozenset(),
    ]
    assert [each.parameters for each in flow.steps[:2]] == [{"year"}, {"year"}]
    assert [each.templated for each in flow.steps] == [True, True, False, True, True]


def test_references_of_a_step_become_values(tmp_path: Path) -> None:
    second = _load(tmp_path, FULL).steps[1]
    assert substitute(second.kwargs, {"first": [1]}, {"year": 2027}) == {
        "text": "in 2027",
        "nested": [{"deep": [1]}],
    }


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    text = json.dumps(
        {
            "name": "x",
            "params": {"n": {"type": "int", "default": 3}},
            "steps": [
                {"name": "a", "function": "m:f", "dependencies": None, "args": [None, "{{params.n}}"]},
                {"name": "b", "function": "m:g", "dependencies": []},
            ],
        }
    )
    flow = _load(tmp_path, text, "flow.json")
    assert flow.steps[0].args == (None, "{{params.n}}")
    assert flow.steps[1].dependencies == ()
    assert flow.params is not None
    assert flow.params[0].default == 3


def test_the_demo_is_a_workflow_whose_parameters_can_all_be_bound() -> None:
    flow = load_workflow_file(EXAMPLES / "dst_calendar.toml")
    assert flow.name == "dst-calendar"
    functions = import_functions(flow)
    assert list(functions) == [f"dst_calendar:{name}" for name in ("extract", "changes_of", "join", "load")]
    params = run_parameters(flow, {"year": "2027", "output": "here"})
    assert params == {"year": 2027, "output": str(Path.cwd() / "here")}
    plans = [
        [
            (each.parameter, each.kind)
            for each in plan_bindings(
                inspect.signature(functions[step.function]), dependencies=step.dependencies, params=params
            )
        ]
        for step in flow.steps
    ]
    assert plans == [
        [],
        [("item", "step"), ("year", "param")],
        [("changes", "step")],
        [("transform", "step"), ("output", "param")],
    ]


def test_the_published_schema_is_that_of_the_files() -> None:
    published = EXAMPLES.parent / "workflow.schema.json"
    assert msgspec.json.decode(published.read_bytes()) == file_schema()


# --- mistakes ---------------------------------------------------------------------------------------------

STEP = '[[steps]]\nname = "a"\nfunction = "m:f"\n'


UNKNOWN_KEYS = """
name = "x"
steps_ = 1
max_retry = 1
[params.p]
typ = "int"
[[steps]]
name = "a"
function = "m:f"
depend = []
zzz = 1
[[steps]]
name = 1
function = "m:f"
"""

MANY_MISTAKES = """
name = ""
[params.p]
required = true
default = 1
type = "int"
[params.q-r]
[params.s]
type = "int"
default = "x"
[[steps]]
name = "params"
function = "lambda: 1"
max_retries = -1
timeout = 0
retry_delay = -1
queue = ""
[[steps]]
name = "b"
function = "m:f"
dependencies = ["a", "bb"]
args = ["{{c.output}}", "{{oops}}"]
[[steps]]
name = "b"
function = ".m:f"
kwargs = { x = "{{params.t}}" }
"""


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            UNKNOWN_KEYS,
            [
                "steps_: unknown key, did you mean 'steps'?",
                "max_retry: unknown key, expected one of name, steps, description, params",
                "params.p.typ: unknown key, did you mean 'type'?",
                "steps[0].depend: unknown key, did you mean 'dependencies'?",
                "steps[0].zzz: unknown key, expected one of name, function, workflow, params",
                "steps[1].name: expected `str`, got `int`",
            ],
        ),
        ('name = "x"', ["the file: object missing required field `steps`"]),
        ('name = "x"\nsteps = []', ["steps: expected at least one step"]),
        ("name = 3\n" + STEP, ["name: expected `str`, got `int`"]),
        ('name = "x"\n[[steps]]\nname = "a"', ["steps[0]: expected function, workflow or wait, got none"]),
        (f'name = "x"\n{STEP}timeout = "soon"', ["steps[0].timeout: expected `float | null`, got `str`"]),
        (f'name = "x"\n{STEP}args = {{}}', ["steps[0].args: expected `array`, got `object`"]),
        (
            f'name = "x"\n{STEP}dependencies = "b"',
            ["steps[0].dependencies: expected `array | null`, got `str`"],
        ),
        ('name = "x"\n[params.p]\ntype = "date"\n' + STEP, ["params.p.type: invalid enum value 'date'"]),
        (
            MANY_MISTAKES,
            [
                "name: expected 1 to 200 characters",
                "params.p: it is required and has a default",
                "params.q-r: a parameter's name is a Python name",
                "params.s.default: expected int, got 'x'",
                "steps[0].function: expected 'module:function', got 'lambda: 1'",
                "steps[0].max_retries: expected a whole number from 0",
                "steps[0].retry_delay: expected 0 to",
                "steps[0].timeout: expected more than 0 and at most",
                "steps[0].queue: expected 1 to 200 characters",
                "steps[1].args: '{{oops}}' in '{{oops}}' is no reference: expected {{step.output}}",
                "steps[2].function: expected 'module:function', got '.m:f'",
                "steps[0].name: 'params' means the run's parameters",
                "steps[2].name: there is a step 'b' already",
                "steps[1].dependencies: there is no step 'a'",
                "steps[1].dependencies: there is no step 'bb', did you mean 'b'?",
                "steps[2]: {{params.t}} refers to no parameter",
            ],
        ),
        (f'name = "x"\n{STEP}args = ["{{{{b.output}}}}"]', ["steps[0]: {{b.output}} refers to no step"]),
        ("name = ", ["is no TOML: Invalid value"]),
        ("[" * 5000, ["is no TOML: "]),
    ],
)
def test_every_mistake_is_named_with_its_place(tmp_path: Path, text: str, problems: list[str]) -> None:
    found = [re.sub(r"^line \d+: ", "", problem) for problem in _problems(tmp_path, text)]
    assert [text[: len(start)] for text, start in zip_longest(found, problems, fillvalue="")] == problems


SAME_MISTAKES = {
    "flow.toml": """name = "x"

[[steps]]
name = "a"
function = "m:f"

[[steps]]
name = "b"
function = "m:f"
max_retry = 3
""",
    "flow.json": """{
  "name": "x",
  "steps": [
    {"name": "a", "function": "m:f"},
    {
      "name": "b",
      "function": "m:f",
      "max_retry": 3
    }
  ]
}""",
    "flow.yaml": """name: x
steps:
  - name: a
    function: m:f
    kwargs:
      list:
        - 1
  - name: b
    function: m:f
    max_retry: 3
""",
}


@pytest.mark.parametrize(("name", "line"), [("flow.toml", 10), ("flow.json", 8), ("flow.yaml", 10)])
def test_a_mistake_is_named_with_its_line(tmp_path: Path, name: str, line: int) -> None:
    found = _problems(tmp_path, SAME_MISTAKES[name], name)
    assert found == (f"line {line}: steps[1].max_retry: unknown key, did you mean 'max_retries'?",)


def test_yaml_says_the_same_as_toml(tmp_path: Path) -> None:
    text = (
        "name: x\nsteps:\n- {name: a, function: 'm:f', args: [1, '{{params.p}}']}\nparams: {p: {type: int}}\n"
    )
    yaml = _load(tmp_path, text, "flow.yaml")
    toml = _load(
        tmp_path,
        'name = "x"\n[params.p]\ntype = "int"\n[[steps]]\nname = "a"\nfunction = "m:f"\nargs = [1, "{{params.p}}"]',
    )
    assert (yaml.steps, yaml.params) == (toml.steps, toml.params)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "is no YAML: while parsing"),
        ("a: 1\na: 2", "is no YAML: the key 'a' is there twice"),
        ("!!python/object:os.system {}", "is no YAML: could not determine a constructor"),
        ("- 1", "expected an object with name and steps, got list"),
    ],
)
def test_mistakes_of_yaml_are_named_too(tmp_path: Path, text: str, problem: str) -> None:
    assert _problems(tmp_path, text, "flow.yaml")[0].startswith(problem)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ('workflow = "w"\nargs = [1]', "args: a step with workflow cannot have it"),
        ("wait = { days = 1, timeout = 3 }", "wait.timeout: a step that waits for a time ends by itself"),
        ("wait = { days = 1, signal = true }", "wait: expected a time, signal = true or run, got "),
        ('wait = { run = "r", schema = { a = "int" } }', "wait.schema: only a signal has one"),
        ('wait = { signal = true, schema = { a = "date" } }', "wait.schema: field 'a': expected one of str"),
        (
            'wait = { seconds = 1 }\nfunction = "m:f"',
            ": expected function, workflow or wait, got function and",
        ),
        ('function = "m:f"\nmap_over = "x"', ": {{x.output}} refers to no step"),
        ('function = "m:f"\nmap_over = "params.x"', ": {{params.x}} refers to no parameter"),
        ('function = "m:f"\nparallel = 0', "parallel: expected a whole number from 1"),
        ('function = "m:f"\ncompensate = "f"', "compensate: expected 'module:function', got 'f'"),
    ],
)
def test_what_a_step_cannot_mean_is_named(tmp_path: Path, step: str, problem: str) -> None:
    found = _problems(tmp_path, f'name = "x"\n[[steps]]\nname = "a"\n{step}\n')
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "expected an object with name and steps, got list"),
        ('{"name": "x", "name": "y"}', "is no JSON: the key 'name' is there twice"),
        ('{"name": NaN}', "is no JSON: NaN is no JSON"),
        ("{", "is no JSON: Expecting property name"),
        ("[" * 100_000, "is no JSON: "),
    ],
)
def test_mistakes_of_json_are_named_too(tmp_path: Path, text: str, problem: str) -> None:
    assert _problems(tmp_path, text, "flow.json")[0].startswith(problem)


def test_files_of_other_kinds_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    wrong = ("expected a .toml, .json or .yaml file, got .ini",)
    assert _problems(tmp_path, "name: x", "flow.ini") == wrong
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read: No such file"):
        load_workflow_file(tmp_path / "nothing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no TOML"):
        load_workflow_file(str(binary))


# --- parameters of a run ----------------------------------------------------------------------------------

PARAMS = """
name = "x"
[params.n]
type = "int"
[params.f]
type = "float"
default = 1
[params.b]
type = "bool"
default = false
[params.p]
type = "path"
default = "some/where"
[params.j]
type = "json"
required = false
[params.s]
default = "text"
"""


def test_texts_are_converted_and_defaults_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = _load(tmp_path, PARAMS + STEP)
    monkeypatch.chdir(tmp_path)
    assert run_parameters(flow, {"n": "7"}) == {
        "n": 7,
        "f": 1.0,
        "b": False,
        "p": str(tmp_path / "some/where"),
        "s": "text",
    }
    given = {"n": 7, "f": "2.5", "b": "True", "p": tmp_path / "x", "j": '[1, {"a": null}]', "s": "7"}
    assert run_parameters(flow, given) == {
        "n": 7,
        "f": 2.5,
        "b": True,
        "p": str(tmp_path / "x"),
        "j": [1, {"a": None}],
        "s": "7",
    }


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({}, ["the parameter 'n' (int) is missing"]),
        (
            {"n": 1, "nn": 2, "zzz": 3},
            ["there is no parameter 'nn', did you mean 'n'?", "there is no parameter 'zzz', ex"],
        ),
        (
            {"n": "seven", "f": True, "b": "yes", "p": "", "j": "{", "s": 3},
            [
                "parameter 'n': expected int, got 'seven'",
                "parameter 'f': expected float, got True",
                "parameter 'b': expected bool, got 'yes'",
                "parameter 'p': expected path, got ''",
                "parameter 'j': expected json, got '{': Expecting",
                "parameter 's': expected str, got 3",
            ],
        ),
        ({"n": True}, ["parameter 'n': expected int, got True"]),
        ({"n": 1.0}, ["parameter 'n': expected int, got 1.0"]),
        ({"n": 1, "b": 1, "p": 1}, ["parameter 'b': expected bool", "parameter 'p': expected path"]),
    ],
)
def test_all_parameters_that_are_wrong_are_named(
    tmp_path: Path, given: dict[str, Any], problems: list[str]
) -> None:
    flow = _load(tmp_path, PARAMS + STEP)
    with pytest.raises(ConfigError) as caught:
        run_parameters(flow, given)
    found = caught.value.problems
    assert [text[: len(start)] for text, start in zip_longest(found, problems, fillvalue="")] == problems


def test_a_workflow_without_parameters_takes_none(tmp_path: Path) -> None:
    flow = _load(tmp_path, 'name = "x"\n' + STEP)
    assert run_parameters(flow, {}) == {}
    with pytest.raises(ConfigError, match="there is no parameter 'n', this workflow takes none"):
        run_parameters(flow, {"n": 1})


# --- functions --------------------------------------------------------------------------------------------


def _flow(folder: Path, *functions: str) -> WorkflowDefinition:
    steps = "".join(f'[[steps]]\nname = "s{i}"\nfunction = "{each}"\n' for i, each in enumerate(functions))
    return _load(folder, 'name = "x"\n' + steps)


def test_functions_are_found_beside_the_file_and_among_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "beside_the_file.py").write_text(
        "import helper_beside\nf = helper_beside.f\nclass C:\n @staticmethod\n def g(): return 2\n"
    )
    (tmp_path / "helper_beside.py").write_text("def f(): return 1\n")
    (tmp_path / "package_beside").mkdir()
    (tmp_path / "package_beside" / "__init__.py").write_text("")
    (tmp_path / "package_beside" / "mod.py").write_text("def f(): return 3\n")
    flow = _flow(
        tmp_path, "beside_the_file:f", "beside_the_file:C.g", "package_beside.mod:f", "textwrap:dedent"
    )
    functions = import_functions(flow)
    assert [functions[step.function]() for step in flow.steps[:3]] == [1, 2, 3]
    assert import_functions(flow) == functions


def test_every_function_that_is_not_found_is_named(tmp_path: Path) -> None:
    (tmp_path / "raises_on_import.py").write_text("raise SystemExit('no')\n")
    flow = _flow(
        tmp_path, "no_such_module_here:f", "raises_on_import:f", "textwrap:nothing", "textwrap:dedent"
    )
    with pytest.raises(ConfigError) as caught:
        import_functions(flow)
    missing = (
        "importing 'no_such_module_here' raised ModuleNotFoundError: No module named 'no_such_module_here'"
    )
    assert caught.value.problems == (
        f"steps[0].function: 'no_such_module_here:f': {missing}",
        "steps[1].function: 'raises_on_import:f': importing 'raises_on_import' raised SystemExit: no",
        "steps[2].function: 'textwrap:nothing': module 'textwrap' has no attribute 'nothing'",
    )


def test_a_module_beside_the_file_that_another_one_hides_is_named(tmp_path: Path) -> None:
    (tmp_path / "textwrap.py").write_text("def f(): return 1\n")
    (tmp_path / "sys.py").write_text("def f(): return 1\n")
    with pytest.raises(ConfigError) as caught:
        import_functions(_flow(tmp_path, "textwrap:f", "sys:f"))
    assert "textwrap.py beside the file is hidden by another module 'textwrap'" in caught.value.problems[0]
    assert "sys.py beside the file is hidden by another module 'sys'" in caught.value.problems[1]
