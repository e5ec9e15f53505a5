"""What the workflows under kills execute. Each execution leaves a line, and is told to the parent."""

from __future__ import annotations

from actors.runtime.attempt import AttemptContext
from tests.faults import tasks
from tests.faults.children import say

ITEMS = 12


def _ran(path: str, ctx: AttemptContext) -> None:
    tasks.note(path, ctx)
    say("ran")


def noted(path: str, ctx: AttemptContext) -> str:
    """Leave a line."""
    _ran(path, ctx)
    return ctx.name


def numbers(path: str, ctx: AttemptContext) -> list[int]:
    """Return a list."""
    _ran(path, ctx)
    return list(range(ITEMS))


def square(path: str, item: int, ctx: AttemptContext) -> int:
    """Do the work of one item."""
    _ran(path, ctx)
    return item * item


def total(path: str, square: list[int], ctx: AttemptContext) -> int:
    """Join the items."""
    _ran(path, ctx)
    return sum(square)


def book(path: str, ctx: AttemptContext) -> str:
    """Do what can be undone."""
    _ran(path, ctx)
    return path


def unbook(path: str, ctx: AttemptContext) -> None:
    """Undo it: the output of the step is where to leave a line."""
    _ran(path, ctx)


def fail(path: str, ctx: AttemptContext) -> None:
    """Fail."""
    _ran(path, ctx)
    raise tasks.PlannedFailureError
