"""Workflows in files: TOML, JSON or YAML becomes a plain definition, and every mistake is named with its place.

A file has `name`, `description`, `workflows` (other files, whose workflows are its steps), `params` (a table
for each parameter: `type`, `default`, `required`, `description`) and `steps` in order (`name`, `function` as
`module:function`, `dependencies`, `args`, `kwargs`, `when`, `compensate`, `finally`, and whatever
`StepOptions` has). In place of a function a step may have a `workflow`, with
`params`, or a `wait`, a table of `days`, `hours`, `minutes` and `seconds`, of `run`, or of `signal = true`
and a `schema`, these with a `timeout`. A step without `dependencies` follows the one before it, `[]` makes it
a root. Arguments and conditions may hold references, `{{step.output}}` and `{{params.name}}`; the first kind
brings its dependency along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from actors.runtime.binding import (
    PARAMS,
    BindingError,
    find_parameters,
    find_references,
    is_templated,
    refers_to_item,
)
from actors.runtime.errors import InputError
from actors.runtime.functions import parse_ref
from actors.workflow.condition import parse
from eventstore.decoding import converter, json_schemas
from logistics.inputs import check_name, duration_us, hint
from logistics.orchestration.lines import with_lines
from logistics.orchestration.parameters import ParameterDefinition, ParameterType, converted
from logistics.orchestration.parsing import ConfigError, parsed_file
from logistics.orchestration.schema import field_types
from logistics.orchestration.step_options import StepOptions
from logistics.task.life import conditions

ORDINARY: Final = StepOptions()
CONDITIONS: Final = ("retry_on", "give_up_on")
OPTIONS: Final = tuple(each.name for each in fields(StepOptions))


@dataclass(frozen=True)
class WaitDefinition:
    """What a step waits for."""

    kind: str
    """`time`, `signal` or `run`."""
    limit: float | None = None
    """Seconds until it comes, or until it has failed."""
    run: str | None = None
    schema: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StepDefinition:
    """A step: durations are seconds, `None` is the engine's own default."""

    name: str
    function: str = ""
    workflow: str = ""
    wait: WaitDefinition | None = None
    dependencies: tuple[str, ...] = ()
    """Everything it waits for: as written, or the step before it, and the steps it refers to."""
    declared: tuple[str, ...] = ()
    """The former alone."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    references: frozenset[str] = frozenset()
    """The steps whose outputs its arguments ask for by `{{step.output}}`."""
    parameters: frozenset[str] = frozenset()
    """The run parameters that its arguments ask for by `{{params.name}}`."""
    templated: bool = False
    """Whether its arguments have to go through `substitute`: they have references, or doubled braces."""
    when: str = ""
    when_function: str = ""
    compensate: str = ""
    options: StepOptions = ORDINARY

    @property
    def functions(self) -> Mapping[str, str]:
        """The functions that it names, by the key that does."""
        named = {
            "function": self.function,
            "when": self.when_function,
            "compensate": self.compensate,
        }
        return {key: function for key, function in named.items() if function}

    @property
    def conditions(self) -> Mapping[str, str]:
        """The exceptions, and functions of them, that it names, by the key that does."""
        named = {key: conditions(key, getattr(self.options, key)) for key in CONDITIONS}
        return {f"{key}[{n}]": str(name) for key, names in named.items() for n, name in enumerate(names)}


@dataclass(frozen=True)
class WorkflowDefinition:
    """A workflow as a file defines it."""

    name: str
    path: Path
    """The file, absolute."""
    description: str = ""
    params: tuple[ParameterDefinition, ...] | None = ()
    """None: whatever its steps take; what has no `params` says so, unless it is a file."""
    steps: tuple[StepDefinition, ...] = ()
    workflows: tuple[Path, ...] = ()
    """Files whose workflows are steps of this one."""


# --- what a file may say ------------------------------------------------------------------------------------


_Table = TypeVar("_Table", bound=msgspec.Struct)


class _Parameter(msgspec.Struct):
    type: ParameterType = "str"
    default: Any = msgspec.UNSET
    required: bool | None = None
    description: str = ""


class _Wait(msgspec.Struct, forbid_unknown_fields=True):
    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float | None = None
    signal: bool = False
    schema: dict[str, str] | None = None
    run: str | None = None
    timeout: float | None = None


class _Step(msgspec.Struct, rename={"last": "finally"}):
    name: str
    function: str = ""
    workflow: str = ""
    params: dict[str, Any] = {}
    wait: _Wait | None = None
    dependencies: list[str] | None = None
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    templated: bool | None = None
    map_over: str | None = None
    parallel: int | None = None
    compensate: str = ""
    cache_for: float | None = None
    cache_key: str | None = None
    max_retries: int = 0
    retry_delay: float | list[float] | None = None
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    jitter: bool | None = None
    retry_on: list[str] = []
    give_up_on: list[str] = []
    executor: Literal["thread", "process"] | None = None
    when: str = ""
    required: bool = True
    on_failure: Literal["skip", "skip_if_failed", "continue", "stop"] | None = None
    last: bool = False
    timeout: float | None = None
    heartbeat: float | None = None
    resources: dict[str, float] = {}
    queue: str | None = None
    priority: int = 0


class _Outline(msgspec.Struct):
    name: str
    steps: list[Any]
    description: str = ""
    params: dict[str, Any] | None = None
    workflows: list[str] = []


class _Whole(_Outline):
    """As the schema says it."""

    steps: list[_Step]
    params: dict[str, _Parameter] | None = None


class _File(NamedTuple):
    name: str
    description: str
    params: Mapping[str, _Parameter] | None
    steps: Sequence[_Step]
    workflows: Sequence[str]


def load_workflow_file(path: str | os.PathLike[str]) -> WorkflowDefinition:
    """Read a `.toml`, `.json` or `.yaml` file, importing nothing; `ConfigError` names every mistake."""
    file = Path(path).absolute()
    text, data = parsed_file(file)
    try:
        return workflow_of({"params": {}, **data} if isinstance(data, dict) else data, file)
    except ConfigError as error:
        raise ConfigError(file, with_lines(error.problems, text, file.suffix)) from None


def workflow_of(data: Any, file: Path) -> WorkflowDefinition:
    """Return the workflow that plain data define, as a file has them; `ConfigError`."""
    if not isinstance(data, dict):
        raise ConfigError(file, [f"expected an object with name and steps, got {type(data).__name__}"])
    reader = _Reader(_outline(data, file))
    definition = reader.definition(file)
    if reader.problems:
        raise ConfigError(file, reader.problems)
    return definition


def file_schema() -> dict[str, Any]:
    """Return the JSON Schema of files, for editors: what it forbids is refused here, too."""
    (whole,), parts = json_schemas([_Whole], "#/$defs/{name}")
    defs = {name.lstrip("_"): part for name, part in parts.items()}
    for part in defs.values():
        part["title"] = part["title"].lstrip("_")
        part["additionalProperties"] = False
        part.pop("description", None)
    text = msgspec.json.encode(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A workflow of logistics",
            "$ref": whole["$ref"],
            "$defs": defs,
        }
    )
    return dict(msgspec.json.decode(text.replace(b"#/$defs/_", b"#/$defs/")))


def _outline(data: dict[str, Any], file: Path) -> _File:
    problems: list[str] = []
    for outline in tables_of({"": data}, _Outline, problems):
        params = {f"params.{name}": each for name, each in (outline.params or {}).items()}
        steps = {f"steps[{index}]": each for index, each in enumerate(outline.steps)}
        found_params = tables_of(params, _Parameter, problems)
        found_steps = tables_of(steps, _Step, problems)
        if not problems:
            named = None if outline.params is None else dict(zip(outline.params, found_params, strict=True))
            return _File(outline.name, outline.description, named, found_steps, outline.workflows)
    raise ConfigError(file, problems)


def tables_of(places: Mapping[str, Any], kind: type[_Table], problems: list[str]) -> list[_Table]:
    """Those tables that are of their kind, by their places in the file."""
    found = []
    for place, table in places.items():
        prefix = f"{place}." if place else ""
        problems += [f"{prefix}{key}: unknown key, {hint}" for key, hint in _unknown_keys(table, kind)]
        try:
            found.append(converter(kind)(table))
        except msgspec.ValidationError as error:
            text, _, inside = str(error).partition(" - at `$")
            where = (place + inside.rstrip("`")).lstrip(".") or "the file"
            problems.append(f"{where}: {text[:1].lower()}{text[1:]}")
    return found


def _unknown_keys(table: Any, kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    known = kind.__struct_encode_fields__
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            yield key, f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"


# --- from data to a definition ------------------------------------------------------------------------------


class _Reader:
    """Turns what a file says into a definition, collecting what is wrong with it."""

    def __init__(self, raw: _File) -> None:
        self._raw = raw
        self.problems: list[str] = []

    def definition(self, file: Path) -> WorkflowDefinition:
        raw = self._raw
        self._try("name", lambda: check_name("name", raw.name))
        if not raw.steps:
            self.problems.append("steps: expected at least one step")
        params = None
        if raw.params is not None:
            params = tuple(self._parameter(name, each) for name, each in raw.params.items())
        steps = tuple(self._step(index, each) for index, each in enumerate(raw.steps))
        self._check_names()
        self._check_references(steps)
        beside = tuple(file.parent / each for each in raw.workflows)
        return WorkflowDefinition(raw.name, file, raw.description, params, steps, beside)

    def _try(self, place: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except BindingError as error:
            self.problems += [f"{place}: {problem}" for problem in error.problems]
        except InputError as error:
            self.problems.append(f"{place}: {str(error).removeprefix(place.rpartition('.')[2] + ': ')}")
        return None

    def _parameter(self, name: str, raw: _Parameter) -> ParameterDefinition:
        place = f"params.{name}"
        has_default = raw.default is not msgspec.UNSET
        if not name.isidentifier():
            self.problems.append(
                f"{place}: a parameter's name is a Python name, as functions ask for it by name"
            )
        if has_default and raw.required:
            self.problems.append(f"{place}: it is required and has a default, leave out one of both")
        default = None
        if has_default:
            # The default of a path stays as written: it is relative to where the workflow is started.
            checked = self._try(f"{place}.default", lambda: converted(raw.default, raw.type))
            default = raw.default if raw.type == "path" else checked
        return ParameterDefinition(
            name=name,
            type=raw.type,
            default=default,
            has_default=has_default,
            required=not has_default if raw.required is None else raw.required,
            description=raw.description,
        )

    def _step(self, index: int, raw: _Step) -> StepDefinition:
        place = f"steps[{index}]"
        args = [raw.wait.run] if raw.wait is not None and raw.wait.run is not None else raw.args
        kwargs = raw.params if raw.workflow else raw.kwargs
        arguments = (
            {} if raw.templated is False else {"args": args, "params" if raw.workflow else "kwargs": kwargs}
        )
        references: frozenset[str] = frozenset()
        parameters: frozenset[str] = frozenset()
        for name, value in arguments.items():
            found = self._try(f"{place}.{name}", partial(_asked_for, value, mapped=raw.map_over is not None))
            if found is not None:
                references, parameters = references | found[0], parameters | found[1]
        by_function = _is_reference(raw.when)
        if (
            raw.when
            and not by_function
            and (condition := self._try(f"{place}.when", lambda: parse(raw.when))) is not None
        ):
            references, parameters = references | condition.steps, parameters | condition.params
        if raw.map_over is not None:
            head, dot, tail = raw.map_over.partition(".")
            if head == PARAMS and dot:
                parameters |= {tail}
            else:
                references |= {raw.map_over}
        self._check_step(place, raw)
        return StepDefinition(
            name=raw.name,
            function=raw.function,
            workflow=raw.workflow,
            wait=self._wait(place, raw.wait),
            compensate=raw.compensate,
            dependencies=self._dependencies(self._declared(index, raw), references),
            declared=self._declared(index, raw),
            args=tuple(args),
            kwargs=MappingProxyType(kwargs),
            references=references,
            parameters=parameters,
            templated=(
                is_templated(args) or is_templated(kwargs) if raw.templated is None else raw.templated
            ),
            when="" if by_function else raw.when,
            when_function=raw.when if by_function else "",
            options=_options(raw),
        )

    def _check_step(self, place: str, raw: _Step) -> None:
        self._try(f"{place}.name", lambda: check_name("name", raw.name))
        kinds = [key for key in ("function", "workflow", "wait") if getattr(raw, key)]
        if len(kinds) != 1:
            got = " and ".join(kinds) or "none"
            self.problems.append(f"{place}: expected function, workflow or wait, got {got}")
        elif kinds[0] != "function":
            self._check_no_call(place, raw, kinds[0])
        for key, function in (("function", raw.function), ("compensate", raw.compensate)):
            if function and not _is_reference(function):
                self.problems.append(f"{place}.{key}: expected 'module:function', got {function!r}")
        if raw.workflow:
            self._try(f"{place}.workflow", lambda: check_name("workflow", raw.workflow))
        self.problems += [f"{place}.{problem}" for problem in _options(raw).problems()]

    def _check_no_call(self, place: str, raw: _Step, kind: str) -> None:
        """Refuse what only a step with a function can have."""
        ordinary = _Step(name="")
        for key in (
            "args",
            "kwargs",
            *(("map_over", "parallel") if kind == "wait" else ()),
            "compensate",
            "last",
            "queue",
            "resources",
            "executor",
        ):
            if getattr(raw, key) != getattr(ordinary, key):
                shown = "finally" if key == "last" else key
                self.problems.append(f"{place}.{shown}: a step with {kind} cannot have it")

    def _wait(self, place: str, raw: _Wait | None) -> WaitDefinition | None:
        if raw is None:
            return None
        spans = (raw.days, 86_400), (raw.hours, 3_600), (raw.minutes, 60), (raw.seconds or 0, 1)
        span = sum(number * seconds for number, seconds in spans)
        is_time = bool(span) or raw.seconds is not None
        kinds = {"time": is_time, "signal": raw.signal, "run": raw.run is not None}
        named = [kind for kind, given in kinds.items() if given]
        if len(named) != 1:
            self.problems.append(
                f"{place}.wait: expected a time, signal = true or run, got {named or 'none'}"
            )
            return None
        if raw.timeout is not None and is_time:
            self.problems.append(f"{place}.wait.timeout: a step that waits for a time ends by itself")
        if raw.schema is not None and not raw.signal:
            self.problems.append(f"{place}.wait.schema: only a signal has one")
        limit = span if is_time else raw.timeout
        if limit is not None:
            self._try(f"{place}.wait", lambda: duration_us("wait", limit))
        schema = self._try(f"{place}.wait.schema", lambda: field_types(raw.schema))
        return WaitDefinition(named[0], limit, raw.run, schema)

    def _declared(self, index: int, raw: _Step) -> tuple[str, ...]:
        if raw.dependencies is not None:
            return tuple(dict.fromkeys(raw.dependencies))
        before = (each.name for each in reversed(self._raw.steps[:index]) if each.last is raw.last)
        return tuple(islice(before, 1))

    def _dependencies(self, declared: tuple[str, ...], references: frozenset[str]) -> tuple[str, ...]:
        in_order = [each.name for each in self._raw.steps if each.name in references]
        return tuple(dict.fromkeys([*declared, *in_order]))

    def _check_names(self) -> None:
        names = [each.name for each in self._raw.steps]
        for index, name in enumerate(names):
            if name in names[:index]:
                self.problems.append(f"steps[{index}].name: there is a step {name!r} already")
            if name == PARAMS:
                self.problems.append(
                    f"steps[{index}].name: {PARAMS!r} means the run's parameters in references, "
                    "choose another name"
                )

    def _check_references(self, steps: tuple[StepDefinition, ...]) -> None:
        names = [each.name for each in steps]
        for index, step in enumerate(steps):
            place = f"steps[{index}]"
            written = self._raw.steps[index].dependencies or []
            for name in dict.fromkeys(written):
                if name not in names:
                    self.problems.append(
                        f"{place}.dependencies: there is no step {name!r}{hint(name, names)}"
                    )
            for name in sorted(step.references.difference(names)):
                self.problems.append(f"{place}: {{{{{name}.output}}}} refers to no step{hint(name, names)}")
            params = self._raw.params
            for name in sorted(step.parameters.difference(params)) if params is not None else ():
                meant = hint(name, list(params or ()))
                self.problems.append(f"{place}: {{{{params.{name}}}}} refers to no parameter{meant}")


def _is_reference(function: str) -> bool:
    """Whether a text may be that of a function: `module:function`, or one that a store has."""
    if "{" in function:
        return False
    parts = parse_ref(function)
    if parts.task or parts.script:
        return bool(parts.home)
    names = (*parts.module.split("."), *parts.qualname.split("."))
    return all(name.isidentifier() for name in names)


def _options(raw: _Step) -> StepOptions:
    given = {key: getattr(raw, key) for key in OPTIONS}
    return StepOptions(**given | {key: tuple(map(_condition, given[key])) for key in CONDITIONS})


def _condition(name: str) -> str:
    """Return the whole name of an exception: of those that are built in, files have the last part only."""
    return name if not name.isidentifier() else f"builtins:{name}"


def _asked_for(value: Any, *, mapped: bool) -> tuple[frozenset[str], frozenset[str]]:
    if not mapped and refers_to_item(value):
        raise BindingError(["it refers to {{item}}, and is not mapped over a list (map_over)"])
    return find_references(value), find_parameters(value)
