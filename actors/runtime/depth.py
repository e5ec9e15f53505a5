"""How deep containers of msgpack are inside each other, counted before a decoder follows them down."""

from __future__ import annotations

from typing import Final

from actors.runtime.errors import PayloadError

_CONTAINER_BYTES: Final = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])


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
