"""What the jobs and steps of these tests do."""

from __future__ import annotations

from logistics import BatchedJob


def one() -> int:
    return 1


def itself(item: int) -> int:
    return item


def fail() -> None:
    raise ValueError("it does not work")


def all_of_them(jobs: list[BatchedJob]) -> list[int]:
    return [1 for _ in jobs]
