"""The same jobs twice, as functions and as coroutines: what an executor must do with them is one contract."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from logistics import AttemptContext, Queue

LOOK_S = 0.01
"""How long a job waits before it looks around again."""


def add(a: int, b: int) -> int:
    return a + b


async def add_async(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return add(a, b)


def queue_here() -> str:
    """Return in which store a queue is that is not told which."""
    return Queue("work").engine.path


async def queue_here_async() -> str:
    return queue_here()


def fail() -> None:
    raise ValueError("no")


async def fail_async() -> None:
    await asyncio.sleep(0)
    fail()


def leave() -> None:
    raise SystemExit(3)


async def leave_async() -> None:
    leave()


class Handle:
    """Nothing that could be stored, or sent to another process."""

    lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("this is a handle")


def give_handle() -> object:
    return Handle()


async def give_handle_async() -> object:
    return give_handle()


class HandleError(Exception):
    """An exception that no other process can be given."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)

    def __str__(self) -> str:
        return "the handle is broken"

    def __reduce__(self) -> Any:
        raise TypeError("this is a handle")


def raise_handle() -> None:
    raise HandleError(Handle())


async def raise_handle_async() -> None:
    raise_handle()


def report(folder: str, ctx: AttemptContext) -> str:
    """Say that one is here, and stay until one may go."""
    begin(folder, ctx)
    while not may_go(folder):
        threading.Event().wait(LOOK_S)
    return "went"


def linger(folder: str) -> None:
    """Be done, in a process that ends only when it may."""

    def stay() -> None:
        while not may_go(folder):
            threading.Event().wait(LOOK_S)

    threading.Thread(target=stay).start()


async def report_async(folder: str, ctx: AttemptContext) -> str:
    begin(folder, ctx)
    while not may_go(folder):
        await a_moment()
    return "went"


def beat(folder: str, ctx: AttemptContext) -> str:
    """Give signs of life until one may go."""
    while not may_go(folder):
        begin(folder, ctx)
        threading.Event().wait(LOOK_S)
    return "went"


async def beat_async(folder: str, ctx: AttemptContext) -> str:
    while not may_go(folder):
        begin(folder, ctx)
        await a_moment()
    return "went"


def stay(folder: str, ctx: AttemptContext) -> None:
    """Stay until nobody waits for this any more."""
    begin(folder, ctx)
    while not ctx.cancelled:
        threading.Event().wait(LOOK_S)
    tell(folder)


async def stay_async(folder: str, ctx: AttemptContext) -> None:
    begin(folder, ctx)
    try:
        await asyncio.Event().wait()
    finally:
        tell(folder)


def begin(folder: str, ctx: AttemptContext) -> None:
    """Say how far one is, and then that one is there."""
    ctx.progress(1, total=2, message="half")
    Path(folder, f"begun-{ctx.attempt}").touch()


def may_go(folder: str) -> bool:
    """Whether one may go."""
    return Path(folder, "go").exists()


def tell(folder: str) -> None:
    """Say that one was told to stop."""
    Path(folder, "told").touch()


async def a_moment() -> None:
    """Let others go on."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), LOOK_S)
