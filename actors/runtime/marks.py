"""What a reader gets in the place of a value that cannot be read."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.runtime.seals import ERASED, ID_BYTES, MAGIC, SEALED


class Sealed:
    """In the place of a value that cannot be read here: the key that it names is not here."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()}: key {self.key[:8]}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.key == self.key

    def __hash__(self) -> int:
        return hash((type(self), self.key))


class Erased(Sealed):
    """In the place of a value that nobody can read any more: its subject was erased."""


def decode_extension(code: int, data: memoryview) -> Any:
    """Return the mark that stands for what is sealed; any other extension as it is."""
    content = bytes(data)
    if code == SEALED and content.startswith(MAGIC):
        return Sealed(content[len(MAGIC) :][:ID_BYTES].hex())
    if code == ERASED:
        return Erased(content.hex())
    return msgspec.msgpack.Ext(code, content)
