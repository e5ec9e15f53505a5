"""Arguments and results of users' functions as bytes: msgpack, bounded in size and depth, never code.

Every value is what the codec gives back, live as after a restart: a tuple returns as a list, a `Decimal`
as text, an aware `datetime` in UTC, unless the function's annotation asks for more. Annotations are hints
and no checks, as in Python: `x: int` lets a text pass, while `when: datetime` or `order: Order` convert, and
fail where they cannot. What no annotation of msgspec's describes comes back as plain data.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import operator
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import msgspec
from msgspec import inspect as msgspec_inspect

from actors.runtime.errors import PayloadError
from actors.runtime.marks import Sealed, decode_extension
from eventstore.decoding import converter, msgpack_decoder, type_info
from eventstore.records import DECODE_ERRORS

DEFAULT_LIMIT: Final = 1024 * 1024
"""Bytes that the arguments of one call, or one result, may take (F62)."""

MAX_DEPTH: Final = 64
"""Lists, maps and records that may be inside each other in one value (F64)."""

# A call is an array of its positional arguments and a map of its keyword arguments, in an array of both.
_CALL_LEVELS: Final = 2
# Those of them that can neither be too large nor be refused.
_SIZED: Final = frozenset({bool, float, types.NoneType})
_LARGE: Final = 1 << 63
_TEXT: Final = frozenset({str})
_SCALARS: Final = frozenset({str, int, float, bool, bytes, types.NoneType})
_CONTAINER_BYTES: Final = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
_LONGEST_SHOWN: Final = 40
_EXTENSIONS: Final = (b"\xc7", b"\xc8", b"\xc9", b"\xd8")
_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels; flatten it"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(ext_hook=decode_extension).decode
_decode_call: Final = msgpack_decoder(tuple[tuple[Any, ...], dict[str, Any]], ext_hook=decode_extension)

# --- to bytes ---------------------------------------------------------------------------------------------


def encode_call(args: Sequence[Any], kwargs: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The arguments of a call as bytes; raises `PayloadError` naming what cannot be stored."""
    if not _is_plain_call(args, kwargs):
        args, kwargs = _checked_call(args, kwargs)
        return _encode_slowly({"args": args, "kwargs": kwargs}, _pack_call, limit=limit)
    try:
        data = _encode((args, kwargs))
    except Exception as error:
        raise _located({"args": args, "kwargs": kwargs}, error) from error
    if len(data) > limit:
        raise _too_large(f"the arguments take {len(data)} bytes", size=len(data), limit=limit)
    return data


def encode_result(value: Any, *, limit: int = DEFAULT_LIMIT) -> bytes:
    """What a function returned as bytes; raises `PayloadError` naming what cannot be stored."""
    kind = type(value)
    if kind in _SIZED or (kind is int and -_LARGE < value < _LARGE):
        return _encode(value)
    return _encode_slowly({"result": value}, _pack_result, limit=limit)


def _is_plain_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether nothing in the arguments needs a closer look: scalars only, as in most calls."""
    return (
        type(args) in {tuple, list}
        and _SCALARS.issuperset(map(type, args))
        and (
            not kwargs
            or (
                type(kwargs) is dict
                and _TEXT.issuperset(map(type, kwargs))
                and _SCALARS.issuperset(map(type, kwargs.values()))
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
            raise PayloadError(f"kwargs has names of parameters as keys, got {_short(key)}", path="kwargs")
    return args, dict(kwargs)


def _pack_call(walk: _Canonical, roots: Mapping[str, Any]) -> Any:
    args = [walk(each, 0) for each in roots["args"]]
    return args, {key: walk(each, 0) for key, each in roots["kwargs"].items()}


def _pack_result(walk: _Canonical, roots: Mapping[str, Any]) -> Any:
    return walk(roots["result"], 0)


def _encode_slowly(
    roots: Mapping[str, Any], pack: Callable[[_Canonical, Mapping[str, Any]], Any], *, limit: int
) -> bytes:
    what = " and ".join(roots)
    walk = _Canonical(limit)
    try:
        data = _encode(pack(walk, roots))
        if walk.met_other_types:
            # Some can be written and not be read again: records as keys of a map, raw bytes, say.
            check_depth(data, MAX_DEPTH + (len(roots) > 1) * _CALL_LEVELS)
            _decode(data)
    except _TooManyError as error:
        raise _too_large(f"{what} hold more than {limit} values", size=0, limit=limit) from error
    except PayloadError:
        raise
    except Exception as error:
        raise _located(roots, error) from error
    if len(data) > limit:
        raise _too_large(f"{what} take {len(data)} bytes", size=len(data), limit=limit)
    return data


class _TooManyError(Exception):
    """There are more values than bytes allowed; a few lists that hold each other often can be very many."""


class _TooDeepError(Exception):
    """A value goes on after the last level allowed; it may contain itself."""


class _Canonical:
    """Puts sets into an order that is the same in every process, and leaves everything else as it is."""

    __slots__ = ("_room", "met_other_types")

    def __init__(self, limit: int) -> None:
        self.met_other_types = False
        self._room = limit

    def __call__(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if depth >= MAX_DEPTH:
            raise _TooDeepError
        if kind is list or kind is tuple or kind is dict:
            self._room -= len(value)
            if self._room < 0:
                raise _TooManyError
            return self._mapping(value, depth) if kind is dict else self._sequence(value, depth)
        self.met_other_types = True
        return self._other(value, depth)

    def _sequence(self, value: Sequence[Any], depth: int) -> Sequence[Any]:
        if _SCALARS.issuperset(map(type, value)):
            return value
        new = [self(each, depth + 1) for each in value]
        return value if all(map(operator.is_, new, value)) else new

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        if not _SCALARS.issuperset(map(type, value)):
            self.met_other_types = True
            value = {self._key(key, depth): each for key, each in value.items()}
        if _SCALARS.issuperset(map(type, value.values())):
            return value
        new = {key: self(each, depth + 1) for key, each in value.items()}
        return value if all(map(operator.is_, new.values(), value.values())) else new

    def _key(self, key: Any, depth: int) -> Any:
        new = self(key, depth + 1)
        return tuple(new) if type(new) is list else new

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, set | frozenset):
            # By their bytes: that orders what cannot be compared, too.
            return sorted((self(each, depth + 1) for each in value), key=_encode)
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return self._sequence(value, depth)
        changed = {name: new for name, old in _fields(value) if (new := self(old, depth + 1)) is not old}
        return _with_fields(value, changed) if changed else value


def _with_fields(value: Any, changed: Mapping[str, Any]) -> Any:
    """A copy of a record that is written with other fields; it is never shown to anybody."""
    clone = copy.copy(value)
    set_field = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for name, new in changed.items():
        set_field(clone, name, new)
    return clone


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields that msgspec writes of a record; nothing for anything else."""
    names: tuple[str, ...] = ()
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in dataclasses.fields(value))
    elif hasattr(type(value), "__attrs_attrs__"):
        names = tuple(field.name for field in type(value).__attrs_attrs__)
    return ((name, getattr(value, name)) for name in names if hasattr(value, name))


def _too_large(found: str, *, size: int, limit: int) -> PayloadError:
    return PayloadError(
        f"{found}, the limit is {limit} bytes (max_payload=); "
        "put the data into a file or a database and pass its name",
        size=size,
        limit=limit,
    )


# --- what is wrong with a value ---------------------------------------------------------------------------


def _located(roots: Mapping[str, Any], error: Exception) -> PayloadError:
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
            _decode(_encode({value.key: None} if isinstance(value, _Key) else value))
        except Exception as error:  # noqa: BLE001 -- users' types may raise anything
            return path, _why(value, error)
        return None


def _children(value: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield (key if type(key) in _SCALARS else _Key(key)), f" (the key {_short(key)})"
            yield each, f"[{_short(key)}]"
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield each, f"[{index}]"
    elif isinstance(value, set | frozenset):
        for each in value:
            yield each, f"{{{_short(each)}}}"
    else:
        for name, each in _fields(value):
            yield each, f".{name}"


class _Key:
    """A key that is no scalar, to be tried as a key."""

    def __init__(self, key: Any) -> None:
        self.key = key


def _why(value: Any, error: Exception) -> str:
    if isinstance(error, OverflowError):
        return f"{_short(value)} does not fit into 64 bits; pass it as text"
    if isinstance(error, UnicodeEncodeError):
        return "the text has a lone surrogate and is no Unicode; decode it properly, or pass bytes"
    if isinstance(error, _TooDeepError | RecursionError):
        return _TOO_DEEP
    if isinstance(value, _Key):
        return "a key must be text, a number, bytes or a tuple of these"
    return (
        f"{type(value).__name__} cannot be stored ({error}); pass plain data (None, bool, int, float, str, "
        "bytes, list, dict), a dataclass, a msgspec.Struct, or a name by which the function finds it"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


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
        mark = _decode(data)
    except DECODE_ERRORS:
        return None
    return mark if isinstance(mark, Sealed) else None


def convert_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], func: Callable[..., Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Convert decoded arguments by the annotations of `func`; raises `PayloadError`."""
    parameters = _hints(func).parameters
    return (args, kwargs) if parameters is None else parameters.convert(args, kwargs)


def decode_value(data: bytes, type: Any = Any) -> Any:  # noqa: A002 -- as msgspec calls it
    """One value, converted to `type` (any annotation); raises `PayloadError`."""
    check_depth(data, MAX_DEPTH)
    try:
        value = _decode(data)
    except Exception as error:
        raise _unreadable("value", error) from error
    return value if type is Any or not _converts(type) else _convert(value, _converter(type), "value")


def result_type(func: Callable[..., Any]) -> Any:
    """The type for `decode_value` of a result of `func`: its return annotation, or `Any` if that is plain."""
    return _hints(func).result


def _unreadable(what: str, error: Exception) -> PayloadError:
    return PayloadError(f"the stored {what} cannot be read: {type(error).__name__}: {error}")


def _convert(value: Any, convert: Callable[[Any], object], path: str) -> Any:
    try:
        return convert(value)
    except msgspec.ValidationError as error:
        text, _, inner = str(error).partition(" - at `$")
        where = path + inner.rstrip("`")
        raise PayloadError(f"{where}: {text[:1].lower()}{text[1:]}", path=where) from error
    except Exception as error:
        raise PayloadError(f"{path}: {type(error).__name__}: {error}", path=path) from error


def check_depth(data: bytes, levels: int) -> None:
    """Refuse bytes with more than `levels` containers inside each other, before a decoder follows them down.

    A decoder that recurses can end the process where the stack is small or the recursion limit was raised.
    Each level costs a byte out of a few, so two counts at the speed of memory settle it for most data.
    """
    if len(data) > levels and len(data) - len(data.translate(None, _CONTAINER_BYTES)) > levels:
        _scan_depth(data, levels)


def _scan_depth(data: bytes, levels: int) -> None:
    end = len(data)
    position = 0
    left = 1
    above: list[int] = []
    while True:
        while not left:
            if not above:
                return
            left = above.pop()
        if position >= end:
            return  # cut off: the decoder says so
        first = data[position]
        position += 1
        left -= 1
        bytes_of_length = _LENGTH[first]
        size = _SIZE[first]
        if bytes_of_length:
            size += int.from_bytes(data[position : position + bytes_of_length], "big")
            position += bytes_of_length
        items_per_size = _ITEMS[first]
        if not items_per_size:
            position += size
            continue
        above.append(left)
        left = size * items_per_size
        if len(above) > levels:
            raise PayloadError(f"the stored data is nested deeper than {levels} levels")


# What a first byte announces in msgpack, by runs of first bytes: small numbers, maps, arrays and texts, then
# 0xc0 to 0xdf one by one, then small negative numbers. An extension has a byte for its type besides its data.
_SIZE: Final = (
    *(0,) * 128,
    *range(16),
    *range(16),
    *range(32),
    *(0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0),
    *(0,) * 32,
)
"""Bytes, or entries of a container, that follow."""
_LENGTH: Final = (
    *(0,) * 196,
    *(1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4),
    *(0,) * 32,
)
"""Bytes that hold a number to be added to the size."""
_ITEMS: Final = (*(0,) * 128, *(2,) * 16, *(1,) * 16, *(0,) * 60, 1, 1, 2, 2, *(0,) * 32)
"""Values in an entry: two in a map's, one in an array's, none where there is no container."""


# --- annotations ------------------------------------------------------------------------------------------


class _Parameters(typing.NamedTuple):
    """What converts the arguments of a function; `None` leaves one as it is."""

    positional: tuple[Callable[[Any], object] | None, ...]
    rest: Callable[[Any], object] | None
    keywords: Mapping[str, Callable[[Any], object] | None]
    others: Callable[[Any], object] | None

    def convert(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        known = len(self.positional)
        converted = [
            value if convert is None else _convert(value, convert, f"args[{index}]")
            for index, value in enumerate(args)
            for convert in [self.positional[index] if index < known else self.rest]
        ]
        for name, value in kwargs.items():
            convert = self.keywords.get(name, self.others)
            if convert is not None:
                kwargs[name] = _convert(value, convert, f"kwargs[{name!r}]")
        return tuple(converted), kwargs


class _Hints(typing.NamedTuple):
    parameters: _Parameters | None
    result: Any


@lru_cache(maxsize=1024)
def _hints(func: Callable[..., Any]) -> _Hints:
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):  # some functions written in C have none
        return _Hints(None, Any)
    converters = {parameter.name: _parameter(func, parameter) for parameter in signature.parameters.values()}
    result = _resolved(func, signature.return_annotation)
    return _Hints(
        _parameters(signature, converters)
        if any(convert is not None for convert in converters.values())
        else None,
        result if _converts(result) else Any,
    )


def _parameters(
    signature: inspect.Signature, converters: Mapping[str, Callable[[Any], object] | None]
) -> _Parameters:
    by_kind: dict[Any, list[str]] = {}
    for parameter in signature.parameters.values():
        by_kind.setdefault(parameter.kind, []).append(parameter.name)
    only, either, keyword = (
        by_kind.get(kind, [])
        for kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        )
    )
    rest = by_kind.get(inspect.Parameter.VAR_POSITIONAL, [])
    others = by_kind.get(inspect.Parameter.VAR_KEYWORD, [])
    return _Parameters(
        positional=tuple(converters[name] for name in [*only, *either]),
        rest=converters[rest[0]] if rest else None,
        keywords={name: converters[name] for name in [*either, *keyword]},
        others=converters[others[0]] if others else None,
    )


def _parameter(func: Callable[..., Any], parameter: inspect.Parameter) -> Callable[[Any], object] | None:
    """What converts a parameter's argument, `None` if it is left as it is."""
    hint = _resolved(func, parameter.annotation)
    if not _converts(hint):
        return None
    # `when: datetime = None` is written often; the default must be able to be passed.
    return _converter(hint | None if parameter.default is None else hint)


def _converter(hint: Any) -> Callable[[Any], object]:
    """What converts to a type; one that msgspec refuses is refused with each value, as a wrong value is."""
    try:
        return converter(hint)
    except Exception as error:  # noqa: BLE001 -- not supported, for one of many reasons
        refusal = error

    def refuse(_value: object) -> NoReturn:
        raise refusal.with_traceback(None)

    return refuse


def _resolved(func: Callable[..., Any], annotation: Any) -> Any:
    """An annotation as a type; `Any` if there is none, or it means nothing where the function is defined."""
    if annotation is inspect.Signature.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    namespace = getattr(inspect.unwrap(getattr(func, "__func__", func)), "__globals__", {})
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, globalns=namespace, include_extras=True)["it"]
    except Exception:  # noqa: BLE001 -- evaluating an annotation may raise anything; it is a hint only
        return Any


def _converts(hint: Any) -> bool:
    """Whether values have to be converted for this annotation, and msgspec can."""
    if hint is Any or (isinstance(hint, type) and hint in _SCALARS):
        return False
    try:
        nodes = list(_nodes(type_info(hint), set()))
    except Exception:  # noqa: BLE001 -- not supported, for one of many reasons
        return False
    return not any(isinstance(node, msgspec_inspect.CustomType) for node in nodes) and not all(
        isinstance(node, _PLAIN_NODES) for node in nodes
    )


_PLAIN_NODES: Final = (
    msgspec_inspect.AnyType,
    msgspec_inspect.NoneType,
    msgspec_inspect.BoolType,
    msgspec_inspect.IntType,
    msgspec_inspect.FloatType,
    msgspec_inspect.StrType,
    msgspec_inspect.BytesType,
    msgspec_inspect.LiteralType,
    msgspec_inspect.ListType,
    msgspec_inspect.DictType,
    msgspec_inspect.UnionType,
    msgspec_inspect.TypedDictType,
)


def _nodes(node: msgspec_inspect.Type, seen: set[int]) -> Iterator[msgspec_inspect.Type]:
    """A type and the types in it, as far as plain containers go."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    inside: tuple[msgspec_inspect.Type, ...] = ()
    if isinstance(node, msgspec_inspect.ListType):
        inside = (node.item_type,)
    elif isinstance(node, msgspec_inspect.DictType):
        inside = (node.key_type, node.value_type)
    elif isinstance(node, msgspec_inspect.UnionType):
        inside = node.types
    elif isinstance(node, msgspec_inspect.TypedDictType):
        inside = tuple(field.type for field in node.fields)
    for each in inside:
        yield from _nodes(each, seen)
