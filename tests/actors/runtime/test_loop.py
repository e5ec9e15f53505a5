"""The event loop of an engine outlives what coroutines do to it, and runs none that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from actors.runtime.effects import AttemptKey
from actors.runtime.errors import PoolClosedError
from actors.runtime.loop import EventLoop

KEY = AttemptKey("j", 1, 1)


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close()


def run(loop: EventLoop, coroutine: Any, *, cancelled: bool = False) -> Any:
    return loop.run(KEY, coroutine, is_cancelled=lambda: cancelled)


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def stops_the_loop() -> int:
    asyncio.get_running_loop().stop()
    return await answer()


async def has_a_task_that_wants_to_exit() -> None:
    async def exits() -> None:
        raise SystemExit(3)

    await asyncio.gather(answer(), exits())


def test_f77_a_coroutine_that_stops_the_loop_stops_nobody(loop: EventLoop) -> None:
    assert run(loop, stops_the_loop()) == 42
    assert run(loop, answer()) == 42


def test_f69_a_task_of_a_coroutine_that_wants_to_exit_ends_that_coroutine_only(loop: EventLoop) -> None:
    """Of all exceptions these two leave a loop that runs."""
    with pytest.raises(SystemExit):
        run(loop, has_a_task_that_wants_to_exit())
    assert run(loop, answer()) == 42


def test_a_coroutine_that_nobody_waits_for_any_more_when_it_comes_is_stopped(loop: EventLoop) -> None:
    """Whoever cancelled it found nothing to stop yet."""
    with pytest.raises(CancelledError):
        run(loop, asyncio.Event().wait(), cancelled=True)


def test_a_coroutine_that_comes_when_the_loop_was_closed_is_not_begun(loop: EventLoop) -> None:
    assert run(loop, answer()) == 42
    loop.close()
    with pytest.raises(PoolClosedError):
        run(loop, answer())
