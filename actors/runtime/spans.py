"""Spans of time as people say them."""

from __future__ import annotations

_UNITS = ((86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"))


def span_text(span_us: int) -> str:
    """Return a span in the largest unit of which it is a whole number: `7 days`, `90 minutes`, `1.5 s`."""
    for unit_us, name in _UNITS:
        count, rest = divmod(span_us, unit_us)
        if count and not rest:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{span_us / 1e6:g} s"
