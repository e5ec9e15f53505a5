"""The parameters of a run: declared by a workflow, given as texts or values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from actors.runtime.errors import InputError
from logistics.inputs import hint
from logistics.orchestration.parsing import ConfigError, json_value

if TYPE_CHECKING:
    from logistics.orchestration.config import WorkflowDefinition

ParameterType = Literal["str", "int", "float", "bool", "path", "json"]


@dataclass(frozen=True)
class ParameterDefinition:
    """A parameter that a run of the workflow takes."""

    name: str
    type: ParameterType = "str"
    default: Any = None
    has_default: bool = False
    required: bool = True
    description: str = ""


def run_parameters(definition: WorkflowDefinition, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for a run: texts (as a command line gives them) converted, defaults filled in.

    A `path` becomes absolute, so that a run that goes on elsewhere means the same folder. Raises
    `ConfigError` that names every parameter that is unknown, missing or of another type.
    """
    known = {each.name: each for each in definition.params or ()}
    problems = [
        f"there is no parameter {name!r}{hint(name, list(known)) or _expected(known)}"
        for name in given
        if name not in known
    ]
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if name in given or parameter.has_default:
            try:
                values[name] = converted(given.get(name, parameter.default), parameter.type)
            except InputError as error:
                problems.append(f"parameter {name!r}: {error}")
        elif parameter.required:
            problems.append(f"the parameter {name!r} ({parameter.type}) is missing")
    if problems:
        raise ConfigError(definition.path, problems)
    return values


def _expected(known: Mapping[str, Any]) -> str:
    return f", expected {', '.join(known)}" if known else ", this workflow takes none"


def converted(value: Any, kind: ParameterType) -> Any:
    """Return a value as one of a type; texts, as a command line gives them, are read. `InputError`."""
    try:
        return _CONVERTERS[kind](value)
    except (TypeError, ValueError) as error:
        shown = f": {error}" if kind == "json" else ""
        raise InputError(f"expected {kind}, got {value!r}{shown}") from error


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _as_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _as_bool(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise TypeError
    return value


def _as_path(value: Any) -> str:
    if not value:
        raise ValueError
    return str(Path(value).expanduser().absolute())


def _as_json(value: Any) -> Any:
    return json_value(value) if isinstance(value, str) else value


_CONVERTERS: Final[Mapping[ParameterType, Callable[[Any], Any]]] = MappingProxyType(
    {
        "str": _as_text,
        "int": _as_int,
        "float": _as_float,
        "bool": _as_bool,
        "path": _as_path,
        "json": _as_json,
    }
)
