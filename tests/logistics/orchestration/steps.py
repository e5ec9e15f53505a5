"""Functions that the workflows of these tests call, and the signals by which they talk to a test."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from actors.runtime.attempt import AttemptContext
from logistics.orchestration.workflow_manager import WorkflowManager

WAIT_S = 30.0


class Signals:
    """What a test and the functions it runs wait for; made anew for each test."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.barrier = threading.Barrier(3)
        self.lock = threading.Lock()
        self.calls: list[str] = []
        self.busy = 0

    def note(self, call: str) -> None:
        with self.lock:
            self.calls.append(call)


class Current:
    signals = Signals()


def extract() -> list[int]:
    return [1, 2, 3]


def transform(extract: list[int], factor: int = 2) -> list[int]:
    return [factor * each for each in extract]


def load(rows: list[int]) -> dict[str, int]:
    return {"sum": sum(rows)}


def nothing() -> None:
    return None


def one() -> int:
    return 1


def two() -> int:
    return 2


def add(left: int, right: int) -> int:
    return left + right


def total(one: int, two: int, /, *, extra: int = 0) -> int:
    return one + two + extra


def anything(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


def with_year(year: int) -> int:
    return year


def describe(ctx: AttemptContext) -> list[Any]:
    return [ctx.run_id, ctx.job_id, ctx.attempt, ctx.name, ctx.idempotency_key]


async def awaited(one: int) -> int:
    await asyncio.sleep(0)
    return one + 1


@dataclass
class Order:
    number: int
    placed: datetime


def place() -> Order:
    return Order(7, datetime(2027, 1, 2, tzinfo=UTC))


def ship(order: Order) -> list[Any]:
    return [type(order).__name__, order.number, order.placed.year]


def meet() -> str:
    Current.signals.barrier.wait(WAIT_S)
    return "met"


def noted(ctx: AttemptContext) -> None:
    Current.signals.note(ctx.name.partition(".")[2])


def hold() -> str:
    Current.signals.note("hold")
    Current.signals.begun.set()
    assert Current.signals.go_on.wait(WAIT_S)
    return "held"


def fail() -> None:
    Current.signals.note("fail")
    raise ValueError("it does not work\nat all")


def fail_twice(ctx: AttemptContext) -> int:
    if ctx.attempt < 3:
        raise RuntimeError(f"try {ctx.attempt}")
    return ctx.attempt


def run_inside() -> Any:
    return WorkflowManager().run("inner").output


def await_own_run(ctx: AttemptContext) -> Any:
    run = WorkflowManager().get_run(ctx.run_id or "")
    assert run is not None
    return run.result().output


async def await_own_run_in_asyncio(ctx: AttemptContext) -> Any:
    run = WorkflowManager().get_run(ctx.run_id or "")
    assert run is not None
    return (await run).output


def return_an_object() -> object:
    return object()


def is_even(extract: list[int]) -> bool:
    return sum(extract) % 2 == 0


def got(**given: Any) -> dict[str, Any]:
    return given


def give_extract(extract: list[int] | None) -> Any:
    return extract


def give_all(left: Any, right: Any) -> list[Any]:
    return [left, right]


def double(item: int) -> int:
    return 2 * item


def count_up(count: int) -> list[int]:
    return list(range(count))


def load_all(double: list[int]) -> int:
    return sum(double)


def double_extract(extract: int) -> int:
    return 2 * extract


def fail_odd(item: int) -> int:
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def is_busy(item: int) -> int:
    """How many of these run at one time, this one included."""
    signals = Current.signals
    with signals.lock:
        signals.busy += 1
        busy = signals.busy
    signals.begun.wait(0.01)
    with signals.lock:
        signals.busy -= 1
    return busy


def book(ctx: AttemptContext) -> str:
    Current.signals.note(ctx.name.partition(".")[2])
    return ctx.name


def unbook(book: str, ctx: AttemptContext) -> None:
    Current.signals.note(f"undo {ctx.name.partition('.')[2].partition('[')[0]} {book}")


def fail_once() -> str:
    if "failed once" not in Current.signals.calls:
        Current.signals.note("failed once")
        raise ValueError("not yet")
    return "done"


def hold_item(item: int) -> int:
    Current.signals.begun.set()
    assert Current.signals.go_on.wait(WAIT_S)
    return item


def give_other(other: Any) -> Any:
    return other


def hold_unless_zero(item: int) -> int:
    Current.signals.note(f"item {item}")
    if item:
        Current.signals.begun.set()
        assert Current.signals.go_on.wait(WAIT_S)
    return item


def text(text: str) -> str:
    return text


def give_either(one: int = 0, two: int = 0) -> int:
    return one + two


def give_approval(approval: Any) -> Any:
    return approval


def give_never(never: Any) -> Any:
    return never


def unbook_hotel(hotel: str, book: str, ctx: AttemptContext) -> None:
    unbook(hotel, ctx)
    assert book == "trip.book"


def fail_with_one(bad: int) -> None:
    raise ValueError("no")


def count_calls(name: str) -> str:
    Current.signals.note(name)
    return f"{name} {len(Current.signals.calls)}"


def count_calls_of(item: str, ctx: AttemptContext) -> str:
    return count_calls(item)


def give_count(count: str) -> str:
    return count


def seats() -> list[str]:
    return ["1A", "1B", "1C"]


def book_seat(item: str, taken: list[str]) -> str:
    if item in taken:
        raise ValueError(f"{item} is taken")
    Current.signals.note(f"book {item}")
    return f"seat {item}"


def hold_seat(item: str) -> str:
    if item != "1A":
        hold()
    return f"seat {item}"


def unbook_seats(seats: list[str], booked: list[str]) -> None:
    Current.signals.note(f"undo {booked}")


def unbook_seats_of(booked: list[str], order: str) -> None:
    Current.signals.note(f"undo {booked} of {order}")
