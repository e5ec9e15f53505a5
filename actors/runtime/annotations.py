"""What annotations of users' functions ask of plain data: what converts an argument, a result, any value."""

from __future__ import annotations

import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

import msgspec
from msgspec import inspect as msgspec_inspect

from actors.runtime.errors import PayloadError
from actors.runtime.plain import SCALARS
from eventstore.decoding import converter, type_info

Converter = Callable[[Any], object]


class Parameters(typing.NamedTuple):
    """What converts the arguments of a function; `None` leaves one as it is."""

    positional: tuple[Converter | None, ...]
    rest: Converter | None
    keywords: Mapping[str, Converter | None]
    others: Converter | None

    def convert(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        known = len(self.positional)
        positional = [
            value if convert is None else converted(value, convert, f"args[{index}]")
            for index, value in enumerate(args)
            for convert in [self.positional[index] if index < known else self.rest]
        ]
        for name, value in kwargs.items():
            convert = self.keywords.get(name, self.others)
            if convert is not None:
                kwargs[name] = converted(value, convert, f"kwargs[{name!r}]")
        return tuple(positional), kwargs


class Hints(typing.NamedTuple):
    """What the annotations of a function ask for: `None` and `Any` if that is nothing."""

    parameters: Parameters | None
    result: Any


@lru_cache(maxsize=1024)
def hints_of(func: Callable[..., Any]) -> Hints:
    """What the annotations of a function ask for."""
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):  # some functions written in C have none
        return Hints(None, Any)
    converters = {parameter.name: _parameter(func, parameter) for parameter in signature.parameters.values()}
    result = _resolved(func, signature.return_annotation)
    return Hints(
        _parameters(signature, converters)
        if any(convert is not None for convert in converters.values())
        else None,
        Any if converting(result) is None else result,
    )


def converted(value: Any, convert: Converter, path: str) -> Any:
    """Convert a value that is at a path; raises `PayloadError`."""
    try:
        return convert(value)
    except msgspec.ValidationError as error:
        text, _, inner = str(error).partition(" - at `$")
        where = path + inner.rstrip("`")
        raise PayloadError(f"{where}: {text[:1].lower()}{text[1:]}", path=where) from error
    except Exception as error:
        raise PayloadError(f"{path}: {type(error).__name__}: {error}", path=path) from error


def _parameters(signature: inspect.Signature, converters: Mapping[str, Converter | None]) -> Parameters:
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
    return Parameters(
        positional=tuple(converters[name] for name in [*only, *either]),
        rest=converters[rest[0]] if rest else None,
        keywords={name: converters[name] for name in [*either, *keyword]},
        others=converters[others[0]] if others else None,
    )


def _parameter(func: Callable[..., Any], parameter: inspect.Parameter) -> Converter | None:
    """What converts a parameter's argument, `None` if it is left as it is."""
    hint = _resolved(func, parameter.annotation)
    convert = converting(hint)
    if convert is None or parameter.default is not None:
        return convert
    # `when: datetime = None` is written often; the default must be able to be passed.
    return _converter(hint | None)


def _converter(hint: Any) -> Converter:
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


def converting(hint: Any) -> Converter | None:
    """What converts values to a type; None if they stay as they are: they are right, or msgspec cannot convert them."""
    if hint is Any or (isinstance(hint, type) and hint in SCALARS):
        return None
    for find in (_known, _found):  # what cannot be hashed is not known
        with contextlib.suppress(Exception):  # not supported, for one of many reasons
            return find(hint)
    return None


def _found(hint: Any) -> Converter | None:
    nodes = list(_nodes(type_info(hint), set()))
    is_unsupported = any(isinstance(node, msgspec_inspect.CustomType) for node in nodes)
    if is_unsupported or all(isinstance(node, _PLAIN_NODES) for node in nodes):
        return None
    return _converter(hint)


_known: Final = lru_cache(maxsize=1024)(_found)
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
