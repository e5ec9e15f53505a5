"""What the jobs and steps of these tests do."""

from __future__ import annotations


def double(number: int) -> int:
    return 2 * number


def anything(*args: object, **kwargs: object) -> None: ...


def ten() -> int:
    return 10


def fail() -> None:
    raise ValueError("it does not work")
