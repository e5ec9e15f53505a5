"""Arguments and results of users' functions as bytes: msgpack, bounded in size and depth, never code.

Every value is what the codec gives back, live as after a restart: a tuple returns as a list, a `Decimal`
as text, an aware `datetime` in UTC, unless the function's annotation asks for more. Annotations are hints
and no checks, as in Python: `x: int` lets a text pass, while `when: datetime` or `order: Order` convert, and
fail where they cannot. What no annotation of msgspec's describes comes back as plain data.
"""

from __future__ import annotations

import copy
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.runtime.annotations import converted, converting, hints_of
from actors.runtime.depth import check_depth
from actors.runtime.errors import PayloadError
from actors.runtime.marks import Sealed, decode_extension
from actors.runtime.plain import MAX_DEPTH, SCALARS, TooDeepError, decode, encode, fields_of, located, short
from eventstore.decoding import msgpack_decoder
from eventstore.records import DECODE_ERRORS

DEFAULT_LIMIT: Final = 1024 * 1024
"""Bytes that the arguments of one call, or one result, may take (F62)."""

# A call is an array of its positional arguments and a map of its keyword arguments, in an array of both.
_CALL_LEVELS: Final = 2
# Those of them that can neither be too large nor be refused.
_SIZED: Final = frozenset({bool, float, types.NoneType})
_LARGE: Final = 1 << 63
_are_texts: Final = frozenset({str}).issuperset
_are_scalars: Final = SCALARS.issuperset
_EXTENSIONS: Final = (b"\xc7", b"\xc8", b"\xc9", b"\xd8")

_decode_call: Final = msgpack_decoder(tuple[tuple[Any, ...], dict[str, Any]], ext_hook=decode_extension)


# --- to bytes ---------------------------------------------------------------------------------------------


def encode_call(args: Sequence[Any], kwargs: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The arguments of a call as bytes; raises `PayloadError` naming what cannot be stored."""
    if not _is_plain_call(args, kwargs):
        args, kwargs = _checked_call(args, kwargs)
        return _encode_slowly({"args": args, "kwargs": kwargs}, _pack_call, limit=limit)
    try:
        data = encode((args, kwargs))
    except Exception as error:
        raise located({"args": args, "kwargs": kwargs}, error) from error
    if len(data) > limit:
        raise _too_large(f"the arguments take {len(data)} bytes", size=len(data), limit=limit)
    return data


def encode_result(value: Any, *, limit: int = DEFAULT_LIMIT, name: str = "result") -> bytes:
    """What a function returned as bytes; raises `PayloadError` naming what cannot be stored, by `name`."""
    kind = type(value)
    if kind in _SIZED or (kind is int and -_LARGE < value < _LARGE):
        return encode(value)
    return _encode_slowly({name: value}, _pack_one, limit=limit)


def _is_plain_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether nothing in the arguments needs a closer look: scalars only, as in most calls."""
    return (
        type(args) in {tuple, list}
        and _are_scalars(map(type, args))
        and (
            not kwargs
            or (
                type(kwargs) is dict
                and _are_texts(map(type, kwargs))
                and _are_scalars(map(type, kwargs.values()))
            )
        )
    )


def _checked_call(args: Any, kwargs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if not isinstance(args, list | tuple):
        raise PayloadError(f"args is a list or a tuple, got {type(args).__name__}", path="args")
    if not isinstance(kwargs, Mapping):
        raise PayloadError(f"kwargs is a dict, got {type(kwargs).__name__}", path="kwargs")
    for key in kwargs:
        if type(key) is not str:
            raise PayloadError(f"kwargs has names of parameters as keys, got {short(key)}", path="kwargs")
    return args, dict(kwargs)


def _pack_call(walk: _Canonical, roots: Mapping[str, Any]) -> Any:
    args = [walk(each, 0) for each in roots["args"]]
    return args, {key: walk(each, 0) for key, each in roots["kwargs"].items()}


def _pack_one(walk: _Canonical, roots: Mapping[str, Any]) -> Any:
    (value,) = roots.values()
    return walk(value, 0)


def _encode_slowly(
    roots: Mapping[str, Any], pack: Callable[[_Canonical, Mapping[str, Any]], Any], *, limit: int
) -> bytes:
    what = "arguments" if len(roots) > 1 else next(iter(roots))
    s = "" if what.endswith("s") else "s"
    walk = _Canonical(limit)
    try:
        data = encode(pack(walk, roots))
        if walk.met_other_types:
            # Some can be written and not be read again: records as keys of a map, raw bytes, say.
            check_depth(data, MAX_DEPTH + (len(roots) > 1) * _CALL_LEVELS)
            decode(data)
    except _TooManyError as error:
        raise _too_large(f"the {what} hold{s} more than {limit} values", size=0, limit=limit) from error
    except PayloadError:
        raise
    except Exception as error:
        raise located(roots, error) from error
    if len(data) > limit:
        raise _too_large(f"the {what} take{s} {len(data)} bytes", size=len(data), limit=limit)
    return data


class _TooManyError(Exception):
    """There are more values than bytes allowed; a few lists that hold each other often can be very many."""


class _Canonical:
    """Puts sets into an order that is the same in every process, and leaves everything else as it is."""

    __slots__ = ("_room", "met_other_types")

    def __init__(self, limit: int) -> None:
        self.met_other_types = False
        self._room = limit

    def __call__(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in SCALARS:
            return value
        if depth >= MAX_DEPTH:
            raise TooDeepError
        if kind is list or kind is tuple or kind is dict:
            self._room -= len(value)
            if self._room < 0:
                raise _TooManyError
            return self._mapping(value, depth) if kind is dict else self._sequence(value, depth)
        self.met_other_types = True
        return self._other(value, depth)

    def _sequence(self, value: Sequence[Any], depth: int) -> Sequence[Any]:
        if _are_scalars(map(type, value)):
            return value
        new = [self(each, depth + 1) for each in value]
        return value if all(map(operator.is_, new, value)) else new

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        if not _are_scalars(map(type, value)):
            self.met_other_types = True
            value = {self._key(key, depth): each for key, each in value.items()}
        if _are_scalars(map(type, value.values())):
            return value
        new = {key: self(each, depth + 1) for key, each in value.items()}
        return value if all(map(operator.is_, new.values(), value.values())) else new

    def _key(self, key: Any, depth: int) -> Any:
        new = self(key, depth + 1)
        return tuple(new) if type(new) is list else new

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, set | frozenset):
            # By their bytes: that orders what cannot be compared, too.
            return sorted((self(each, depth + 1) for each in value), key=encode)
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return self._sequence(value, depth)
        changed = {name: new for name, old in fields_of(value) if (new := self(old, depth + 1)) is not old}
        return _withfields_of(value, changed) if changed else value


def _withfields_of(value: Any, changed: Mapping[str, Any]) -> Any:
    """A copy of a record that is written with other fields; it is never shown to anybody."""
    clone = copy.copy(value)
    set_field = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for name, new in changed.items():
        set_field(clone, name, new)
    return clone


def _too_large(found: str, *, size: int, limit: int) -> PayloadError:
    return PayloadError(
        f"{found}, the limit is {limit} bytes (max_payload=); "
        "put the data into a file or a database and pass its name",
        size=size,
        limit=limit,
    )


# --- from bytes -------------------------------------------------------------------------------------------


def decode_call(
    data: bytes, func: Callable[..., Any] | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, converted by the annotations of `func`; raises `PayloadError`.

    No bytes at all are no arguments: whoever writes commands by hand need not encode them.
    """
    check_depth(data, MAX_DEPTH + _CALL_LEVELS)
    try:
        args, kwargs = _decode_call(data)
    except Exception as error:
        if not data:
            return (), {}
        if (mark := _sealed(data)) is not None:
            return (mark,), {}
        raise _unreadable("arguments", error) from error
    return (args, kwargs) if func is None else convert_call(args, kwargs, func)


def _sealed(data: bytes) -> Sealed | None:
    """Return the mark that stands where arguments were, if bytes are one."""
    if data[:1] not in _EXTENSIONS:
        return None
    try:
        mark = decode(data)
    except DECODE_ERRORS:
        return None
    return mark if isinstance(mark, Sealed) else None


def convert_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], func: Callable[..., Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Convert decoded arguments by the annotations of `func`; raises `PayloadError`."""
    parameters = hints_of(func).parameters
    return (args, kwargs) if parameters is None else parameters.convert(args, kwargs)


def decode_value(data: bytes, type: Any = Any) -> Any:  # noqa: A002 -- as msgspec calls it
    """One value, converted to `type` (any annotation); raises `PayloadError`."""
    check_depth(data, MAX_DEPTH)
    try:
        value = decode(data)
    except Exception as error:
        raise _unreadable("value", error) from error
    convert = None if type is Any else converting(type)
    return value if convert is None else converted(value, convert, "value")


def result_type(func: Callable[..., Any]) -> Any:
    """The type for `decode_value` of a result of `func`: its return annotation, or `Any` if that is plain."""
    return hints_of(func).result


def _unreadable(what: str, error: Exception) -> PayloadError:
    return PayloadError(f"the stored {what} cannot be read: {type(error).__name__}: {error}")
