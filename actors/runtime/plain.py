"""What plain data is, and what is wrong with a value that is none: said with the place where it is."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from actors.runtime.errors import PayloadError
from actors.runtime.marks import decode_extension

MAX_DEPTH: Final = 64
"""Lists, maps and records that may be inside each other in one value (F64)."""
SCALARS: Final = frozenset({str, int, float, bool, bytes, types.NoneType})
"""Types that are inside of nothing, and have nothing inside."""

_LONGEST_SHOWN: Final = 40
_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels; flatten it"

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(ext_hook=decode_extension).decode


class TooDeepError(Exception):
    """A value goes on after the last level allowed; it may contain itself."""


def fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields that msgspec writes of a record; nothing for anything else."""
    names: tuple[str, ...] = ()
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in dataclasses.fields(value))
    elif hasattr(type(value), "__attrs_attrs__"):
        names = tuple(field.name for field in type(value).__attrs_attrs__)
    return ((name, getattr(value, name)) for name in names if hasattr(value, name))


def located(roots: Mapping[str, Any], error: Exception) -> PayloadError:
    """Say where the value is that cannot be stored; looked for only once it is known that there is one."""
    find_fault = _Search()
    for name, root in roots.items():
        found = find_fault(root, name, ())
        if found is not None:
            path, why = found
            return PayloadError(f"{path}: {why}", path=path)
    path = " and ".join(roots)
    return PayloadError(f"{path}: {type(error).__name__}: {error}", path=path)


class _Search:
    """Finds the first value that cannot be stored, with its path and what is wrong with it."""

    def __init__(self) -> None:
        self._fine: set[int] = set()

    def __call__(self, value: Any, path: str, above: tuple[int, ...]) -> tuple[str, str] | None:
        identity = id(value)
        if identity in above:
            return path, "contains itself; plain data is a tree"
        if len(above) > MAX_DEPTH + 1:
            return f"{path[:_LONGEST_SHOWN]}…", _TOO_DEEP
        if identity in self._fine:
            return None
        children = list(_children(value))
        for child, suffix in children:
            found = self(child, path + suffix, (*above, identity))
            if found is not None:
                return found
        if not children:
            return self._leaf(value, path)
        self._fine.add(identity)
        return None

    def _leaf(self, value: Any, path: str) -> tuple[str, str] | None:
        try:
            decode(encode({value.key: None} if isinstance(value, _Key) else value))
        except Exception as error:  # noqa: BLE001 -- users' types may raise anything
            return path, _why(value, error)
        return None


def _children(value: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield (key if type(key) in SCALARS else _Key(key)), f" (the key {short(key)})"
            yield each, f"[{short(key)}]"
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield each, f"[{index}]"
    elif isinstance(value, set | frozenset):
        for each in value:
            yield each, f"{{{short(each)}}}"
    else:
        for name, each in fields_of(value):
            yield each, f".{name}"


class _Key:
    """A key that is no scalar, to be tried as a key."""

    def __init__(self, key: Any) -> None:
        self.key = key


def _why(value: Any, error: Exception) -> str:
    if isinstance(error, OverflowError):
        return f"{short(value)} does not fit into 64 bits; pass it as text"
    if isinstance(error, UnicodeEncodeError):
        return "the text has a lone surrogate and is no Unicode; decode it properly, or pass bytes"
    if isinstance(error, TooDeepError | RecursionError):
        return _TOO_DEEP
    if isinstance(value, _Key):
        return "a key must be text, a number, bytes or a tuple of these"
    if hasattr(value, "__fspath__"):
        return f"{type(value).__name__} cannot be stored; pass it as text, str(…)"
    return (
        f"{type(value).__name__} cannot be stored ({error}); pass plain data (None, bool, int, float, str, "
        "bytes, list, dict), a dataclass, a msgspec.Struct, or a name by which the function finds it"
    )


def short(value: Any) -> str:
    """Return what a message shows of a value."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
