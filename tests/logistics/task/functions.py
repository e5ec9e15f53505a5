"""Functions for jobs: quick ones, ones that wait for the test, and ones that misbehave in every way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, NoReturn

from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue

PATIENCE_S = 30.0


class Notes:
    """What functions wrote down for the test that runs, and the gate that it holds."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def wait_begun(self, count: int = 1) -> None:
        """Wait until so many more gated functions have begun."""
        for _ in range(count):
            assert self.begun.acquire(timeout=PATIENCE_S)


class Current:
    """Where the functions find the notes of the present test."""

    notes = Notes()


def add(a: int = 0, b: int = 0) -> int:
    return a + b


def note(line: str) -> str:
    Current.notes.lines.append(line)
    return line


def gated(line: str = "") -> str:
    notes = Current.notes
    notes.lines.append(line)
    notes.begun.release()
    assert notes.go_on.wait(PATIENCE_S)
    return line


def fail(text: str = "no") -> NoReturn:
    Current.notes.lines.append(text)
    raise ValueError(text)


def fail_until(tries: int) -> int:
    """Succeed at try number `tries`."""
    lines = Current.notes.lines
    lines.append("try")
    if len(lines) < tries:
        raise ValueError(f"try {len(lines)}")
    return len(lines)


async def later(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


async def tidy_later() -> None:
    try:
        Current.notes.begun.release()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        Current.notes.lines.append("tidied")


async def fail_later() -> NoReturn:
    await asyncio.sleep(0)
    raise ValueError("later")


class Unruly(BaseException):
    """No `Exception`."""


class Mute(Exception):  # noqa: N818 -- it says nothing
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("mute")


class Unpicklable(Exception):  # noqa: N818 -- what it is matters
    def __init__(self, first: str, second: object) -> None:
        super().__init__(first)
        self.handle = second


def raise_system_exit() -> NoReturn:
    raise SystemExit(3)


def raise_keyboard_interrupt() -> NoReturn:
    raise KeyboardInterrupt


def raise_generator_exit() -> NoReturn:
    raise GeneratorExit("gone")


def raise_base_exception() -> NoReturn:
    raise Unruly("unruly")


def raise_mute() -> NoReturn:
    raise Mute


def raise_unpicklable() -> NoReturn:
    raise Unpicklable("handle", threading.Lock())


def raise_surrogate() -> NoReturn:
    raise ValueError("bad \ud800 text")


def raise_long() -> NoReturn:
    raise ValueError("x" * 1_000_000)


def raise_group() -> NoReturn:
    raise ExceptionGroup("many", [ValueError("one"), TypeError("two")])


def recurse() -> int:
    return recurse() + 1


def return_lock() -> object:
    return threading.Lock()


def return_self() -> object:
    loop: list[Any] = []
    loop.append(loop)
    return {"loop": loop}


def return_big_int() -> int:
    return 2**64


def return_surrogate() -> str:
    return "\ud800"


def return_much() -> bytes:
    return bytes(2 << 20)


def return_deep() -> Any:
    deep: Any = None
    for _ in range(200):
        deep = [deep]
    return deep


def return_generator() -> Any:
    return (n for n in range(3))


def wait_for_another(name: str) -> Any:
    """Wait inside a job for another job of the same engine."""
    return Queue(name).result(Queue(name).enqueue(Job("inner", add, (1, 2))))


async def block_the_loop(name: str) -> None:
    Queue(name).result(Queue(name).enqueue(Job("inner", add, (1, 2))))


async def process_on_the_loop(name: str) -> None:
    process_another(name)


async def await_another(name: str) -> Any:
    """Await inside a job several other jobs of the same engine."""
    queue = Queue(name)
    return sum(
        await asyncio.gather(*(queue.future(queue.enqueue(Job("inner", add, (1, 2)))) for _ in range(3)))
    )


async def await_itself(name: str) -> Any:
    return await Queue(name).future("me")


def process_another(name: str) -> int:
    inner = Queue(name)
    inner.enqueue(Job("inner", add, (1, 2)))
    return JobScheduler().process(inner).completed


def enqueue_more(name: str, count: int) -> int:
    """Enqueue a job that enqueues a job, until `count` is 0."""
    if count:
        Queue(name).enqueue(Job("more", enqueue_more, (name, count - 1)))
    return count


def engine_path() -> str:
    """Where the default engine's store is, seen from inside a job."""
    return Queue().engine.path


def close_default() -> str:
    """Close the engine one is handed inside a job, which ends nobody else's work."""
    engine = Queue().engine
    assert isinstance(engine, OrchestrationEngine)
    engine.close()
    return "closed"


class Holder:
    @staticmethod
    def static(a: int) -> int:
        return a + 1

    @classmethod
    def of_class(cls, a: int) -> str:
        return f"{cls.__name__}{a}"

    def bound(self) -> None:
        """Cannot be stored."""
