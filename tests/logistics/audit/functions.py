"""What the jobs and steps of these tests do."""

from __future__ import annotations


def one() -> int:
    return 1


def itself(item: int) -> int:
    return item


def fail() -> None:
    raise ValueError("it does not work")
