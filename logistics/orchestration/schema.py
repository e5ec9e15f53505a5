"""The fields of a value that is sent to a waiting step, and checking it at the sender's side."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from actors.runtime.errors import InputError
from logistics.inputs import check_name

TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {"str": str, "int": int, "float": float, "bool": bool, "json": Any}
)
"""Types of fields; with a question mark behind it, a field may be left out."""


def field_types(schema: Any) -> dict[str, str] | None:
    """Return a schema as a table of fields and types; a dataclass or `msgspec.Struct` has one, too.

    `InputError` for anything else, and for fields of other types than `TYPES`.
    """
    if schema is None:
        return None
    if isinstance(schema, type) and (dataclasses.is_dataclass(schema) or issubclass(schema, msgspec.Struct)):
        required = _required(schema)
        hints = typing.get_type_hints(schema)
        schema = {name: _named(name, hints[name], optional=not must) for name, must in required.items()}
    if not isinstance(schema, Mapping):
        msg = f"schema: expected a dict of fields and types, a dataclass or a Struct, got {schema!r}"
        raise InputError(msg)
    fields: dict[str, str] = {}
    for name, kind in schema.items():
        check_name("schema", name)
        if not isinstance(kind, str) or kind.removesuffix("?") not in TYPES:
            msg = f"schema: field {name!r}: expected one of {', '.join(TYPES)}, got {kind!r}"
            raise InputError(msg)
        fields[name] = kind
    return fields


def _required(schema: type) -> dict[str, bool]:
    if issubclass(schema, msgspec.Struct):
        return {field.name: field.required for field in msgspec.structs.fields(schema)}
    missing = dataclasses.MISSING
    return {
        field.name: field.default is missing and field.default_factory is missing
        for field in dataclasses.fields(schema)  # type: ignore[arg-type]  # the caller has looked
    }


def _named(name: str, hint: Any, *, optional: bool) -> str:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        inside = [each for each in typing.get_args(hint) if each is not type(None)]
        optional, hint = True, inside[0] if len(inside) == 1 else hint
    names = [known for known, kind in TYPES.items() if kind is hint]
    if not names:
        msg = f"schema: field {name!r}: expected one of {', '.join(TYPES)}, got {hint!r}"
        raise InputError(msg)
    return names[0] + "?" * optional


def check_value(schema: Mapping[str, str] | None, value: Any) -> Any:
    """Return a value that fits a schema, as plain data; `InputError` names every field that does not."""
    if schema is None:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    elif isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if not isinstance(value, Mapping):
        msg = f"payload: expected a dict with {', '.join(schema)}, got {value!r}"
        raise InputError(msg)
    problems = [f"{name!r} is no field" for name in value if name not in schema]
    for name, kind in schema.items():
        wanted = kind.removesuffix("?")
        if name not in value:
            problems += [f"{name!r} ({wanted}) is missing"] if wanted == kind else []
        elif not _fits(value[name], wanted) and not (value[name] is None and wanted != kind):
            problems.append(f"{name!r}: expected {wanted}, got {value[name]!r}")
    if problems:
        msg = f"payload: {'; '.join(problems)}"
        raise InputError(msg)
    return dict(value)


def _fits(value: Any, kind: str) -> bool:
    if kind == "json":
        return True
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, (int, float) if kind == "float" else TYPES[kind])
