"""A sample of each type of event, with no field left at its default, and one of each kind where there is a choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

MOST_CHOICES = 8
DEEPEST = 6


def samples(type_: type[msgspec.Struct]) -> Iterator[Any]:
    """Yield samples of a type, each different from the others."""
    info = inspect.type_info(type_)
    seen: set[bytes] = set()
    for choice in range(MOST_CHOICES):
        found = _sample(info, "", choice, 0)
        encoded = msgspec.msgpack.encode(found)
        if encoded not in seen:
            seen.add(encoded)
            yield found


def _sample(info: Any, name: str, choice: int, depth: int) -> Any:
    """Return a value of a type that is made of others, or else a plain one."""

    def inner(each: Any, its_name: str = name) -> Any:
        return _sample(each, its_name, choice, depth + 1)

    match info:
        case inspect.StructType():
            return info.cls(**{field.name: inner(field.type, field.name) for field in info.fields})
        case inspect.UnionType():
            sorts = [each for each in info.types if not isinstance(each, inspect.NoneType)]
            return _sample(sorts[choice % len(sorts)], name, choice, depth) if depth < DEEPEST else None
        case inspect.VarTupleType():
            return (inner(info.item_type),) if depth < DEEPEST else ()
        case inspect.TupleType():
            return tuple(map(inner, info.item_types))
        case inspect.LiteralType():
            return info.values[-1 - choice % len(info.values)]
        case inspect.EnumType():
            return list(info.cls)[-1 - choice % len(info.cls)]
    return _plain(info, name)


def _plain(info: Any, name: str) -> Any:
    match info:
        case inspect.StrType():
            return f"{name}·é"
        case inspect.BytesType():
            return name.encode() + b"\x00\xff"
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return (info.ge or 0) + 7 + len(name)
        case inspect.FloatType():
            return 1.5
    raise AssertionError(f"no sample is made of {info}")
