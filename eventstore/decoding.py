"""Decoders and converters of types, made by one thread at a time: two that meet a type at once end the process.

What msgspec works out about a class it hangs on the class before it is whole, and then goes on to the classes
in it, for which Python code runs. A second thread that decodes into the class meanwhile reads what is not there yet
(decision 0080). Nothing else in the project makes a typed decoder, or converts; what asks msgspec about a type
holds `TYPES`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

TYPES: Final = threading.RLock()
"""Held while msgspec meets types; again by the same thread if a module is imported for it."""
os.register_at_fork(before=TYPES.acquire, after_in_parent=TYPES.release, after_in_child=TYPES.release)


def msgpack_decoder(
    kind: type[T], ext_hook: Callable[[int, memoryview], Any] | None = None
) -> Callable[[bytes | memoryview], T]:
    """Return what decodes msgpack into `kind`; raises `TypeError` for a kind that msgspec does not know."""
    with TYPES:
        return msgspec.msgpack.Decoder(kind, ext_hook=ext_hook).decode


def json_decoder(kind: type[T]) -> Callable[[bytes | str], T]:
    """Return what decodes JSON into `kind`; raises `TypeError` for a kind that msgspec does not know."""
    with TYPES:
        return msgspec.json.Decoder(kind).decode


def converter(kind: type[T]) -> Callable[[Any], T]:
    """Return what makes a `kind` of plain data; raises `TypeError` for a kind that msgspec does not know."""
    with TYPES:
        msgspec.msgpack.Decoder(kind)
    return partial(msgspec.convert, type=kind)
