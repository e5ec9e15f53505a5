"""How much a test does: the numbers that one may want to raise, read from the environment."""

from __future__ import annotations

import os


def scaled(name: str, default: int, *, least: int = 1) -> int:
    """The number of things a test tries: `LOGISTICS_TEST_<NAME>` where that is set, else `default`.

    `LOGISTICS_TEST_SEEDS=5000 make test` runs what asks for `scaled("SEEDS", 500)` ten times longer. With less than
    `least` it would show nothing.
    """
    variable = f"LOGISTICS_TEST_{name.upper()}"
    text = os.environ.get(variable)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < least:
        raise ValueError(f"{variable} must be a whole number of at least {least}, got {text!r}")
    return number
