"""Jitter: by how much an instant is put off, spread over names and instants, the same on any machine."""

from __future__ import annotations

import hashlib


def jitter_us(name: str, at_us: int, most_us: int) -> int:
    """Return the delay of an instant of the schedule of that name: 0 to `most_us`."""
    if not most_us:
        return 0
    digest = hashlib.blake2b(f"{name}\n{at_us}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (most_us + 1)
