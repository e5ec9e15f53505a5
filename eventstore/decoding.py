"""Decoders and converters of types, made by one thread at a time: two that meet a type at once end the process.

What msgspec works out about a class it hangs on the class before it is whole, and then goes on to the classes
in it, for which Python code runs. A second thread that decodes into the class meanwhile reads what is not there yet
(decision 0080). Nothing else in the project makes a typed decoder, converts, or asks msgspec about a type.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")

_TYPES: Final = threading.RLock()
"""Held while msgspec meets types; again by the same thread if a module is imported for it."""
os.register_at_fork(before=_TYPES.acquire, after_in_parent=_TYPES.release, after_in_child=_TYPES.release)


def msgpack_decoder(
    kind: type[T], ext_hook: Callable[[int, memoryview], Any] | None = None
) -> Callable[[bytes | memoryview], T]:
    """Return what decodes msgpack into `kind`; raises `TypeError` for a kind that msgspec does not know."""
    with _TYPES:
        return msgspec.msgpack.Decoder(kind, ext_hook=ext_hook).decode


def json_decoder(kind: type[T]) -> Callable[[bytes | str], T]:
    """Return what decodes JSON into `kind`; raises `TypeError` for a kind that msgspec does not know."""
    with _TYPES:
        return msgspec.json.Decoder(kind).decode


def converter(kind: type[T]) -> Callable[[Any], T]:
    """Return what makes a `kind` of plain data; raises `TypeError` for a kind that msgspec does not know."""
    with _TYPES:
        msgspec.msgpack.Decoder(kind)
    return partial(msgspec.convert, type=kind)


def type_info(kind: Any) -> inspect.Type:
    """Return what a kind is made of; whatever msgspec raises for one that it does not know."""
    with _TYPES:
        return inspect.type_info(kind)


def json_schemas(kinds: Iterable[Any], template: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return the JSON schemas of kinds, and those of the parts that `template` (with `{name}`) refers to."""
    with _TYPES:
        return msgspec.json.schema_components(kinds, ref_template=template)
