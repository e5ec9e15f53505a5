"""What sealed values look like: bytes that name the key they were sealed with, wherever they stand.

A sealed value is an extension of msgpack in the place of the value, a sealed text has brackets around it. So no
message and no event needs a field that says so, and whoever has no key can pass them on, and tell that they are sealed.
"""

from __future__ import annotations

import base64
import re
from types import MappingProxyType
from typing import Any, Final

import msgspec

MAGIC: Final = b"sealed1:"
"""Stands in everything that holds something sealed, value or text."""
SEALED, ERASED = 83, 84
"""Types of extensions: a sealed value, and what takes its place once its key is destroyed."""
_PREFIX_LENGTH: Final = MappingProxyType({0xC7: 3, 0xC8: 4, 0xC9: 6})
"""By the first byte of an extension of any length: where its data begins."""
ID_BYTES: Final = 16
_VALUE: Final = re.compile(rb"(?:\xc7.|\xc8..|\xc9.{4})S" + MAGIC + rb"(.{16})", re.DOTALL)
_TEXT: Final = re.compile(r"⟦sealed1:([A-Za-z0-9+/=]+)⟧")
_encode: Final = msgspec.msgpack.Encoder().encode


def key_in(data: bytes) -> str:
    """Return the id of the key that a value is sealed with; empty if it is not."""
    begin = _PREFIX_LENGTH.get(data[0], 0) if data else 0
    if not begin or data[begin - 1] != SEALED or not data.startswith(MAGIC, begin):
        return ""
    begin += len(MAGIC)
    return data[begin : begin + ID_BYTES].hex()


def keys_in(data: bytes) -> set[str]:
    """Return the ids of the keys of all sealed values that stand anywhere in these bytes."""
    return {key.hex() for key in _VALUE.findall(data)} if MAGIC in data else set()


def wrapped(key: str, secret: bytes) -> bytes:
    """Return a value that was encrypted, as it is stored."""
    return _encode(msgspec.msgpack.Ext(SEALED, MAGIC + bytes.fromhex(key) + secret))


def secret_in(data: bytes) -> bytes:
    """Return what was encrypted of a sealed value."""
    return data[_PREFIX_LENGTH[data[0]] + len(MAGIC) + ID_BYTES :]


def erased_mark(key: str) -> bytes:
    """Return what is decoded to an `Erased`."""
    return _encode(msgspec.msgpack.Ext(ERASED, bytes.fromhex(key)))


def wrapped_text(sealed: bytes) -> str:
    """Return a sealed value as a text."""
    return f"⟦sealed1:{base64.b64encode(sealed).decode()}⟧"


def with_texts(text: str, replace: Any) -> str:
    """Return a text in which each sealed part is what `replace` makes of the sealed value."""

    def found(match: re.Match[str]) -> str:
        try:
            sealed = base64.b64decode(match[1], validate=True)
        except ValueError:
            return match[0]
        return str(replace(sealed)) if key_in(sealed) else match[0]

    return _TEXT.sub(found, text) if "⟦sealed1:" in text else text


def shown(value: Any) -> Any:
    """Return plain data with marks for people in the place of what is sealed."""
    if isinstance(value, str):
        return with_texts(value, lambda sealed: f"⟦sealed: key {key_in(sealed)}⟧")
    if isinstance(value, bytes):
        key = key_in(value)
        return {"sealed": key} if key else value
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    return [shown(each) for each in value] if isinstance(value, list | tuple) else value
