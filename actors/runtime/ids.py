"""Ids that say when they were made: 13 hexadecimal digits of microseconds, then 11 that tell processes apart."""

from __future__ import annotations

import re

_MADE = re.compile(r"([0-9a-f]{13})[0-9a-f]{11}")


def made_us(entity: str) -> int | None:
    """Return when the id of an entity was made (µs UTC), if it is one that `logistics.ids` makes; else None."""
    found = _MADE.fullmatch(entity.partition(":")[2])
    return None if found is None else int(found[1], 16)
