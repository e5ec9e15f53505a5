"""The one event loop on which the `async def` functions of an engine run, side by side."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import PoolClosedError, WouldDeadlockError
from actors.runtime.later import Later

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent import futures

    from actors.runtime.effects import AttemptKey
else:
    asyncio = Later("asyncio")
    futures = Later("concurrent.futures")


LEAVE_S = 0.3
"""How long coroutines that were cancelled at the end may take to leave."""


class _LoopThread(threading.Thread):
    """A thread with an event loop of an engine."""


def refuse_on_loop() -> None:
    """Refuse to have an `async def` function wait on its event loop, with all others on it: `WouldDeadlockError`."""
    if isinstance(threading.current_thread(), _LoopThread):
        msg = (
            "to wait here would stop the event loop, and all async functions on it; `await queue.future(job_id)` "
            "instead of queue.result, `await run` instead of run.result, and of all else make "
            "`await asyncio.to_thread(...)`"
        )
        raise WouldDeadlockError(msg)


class EventLoop:
    """A thread with an event loop, made when it is first needed. Whoever runs a coroutine waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._running: dict[AttemptKey, futures.Future[Any]] = {}

    def run(
        self, key: AttemptKey, coroutine: Coroutine[Any, Any, Any], *, is_cancelled: Callable[[], bool]
    ) -> Any:
        """Run a coroutine in the caller's context; return or raise what it does.

        `CancelledError` if it was stopped: the caller is free then, whatever the coroutine makes of it.
        `PoolClosedError` if the engine closes.
        """
        with self._lock:
            if self._closed:
                coroutine.close()
                raise PoolClosedError
            future = asyncio.run_coroutine_threadsafe(_guarded(coroutine), self._started())
            self._running[key] = future
        if is_cancelled():  # whoever cancelled it a moment ago found nothing to stop
            future.cancel()
        try:
            value, error = future.result()
        except futures.CancelledError:
            if self._closed:
                raise PoolClosedError from None
            raise
        finally:
            del self._running[key]
        if error is not None:
            raise error
        return value

    def stop(self, key: AttemptKey) -> None:
        """Cancel the coroutine of an attempt, if there is one."""
        future = self._running.get(key)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """Cancel what runs, let it leave (`finally:` and the like) for a moment, and end the loop."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
            running = list(self._running.values())
        for future in running:
            future.cancel()
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join(LEAVE_S)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = _LoopThread(
                target=self._serve, args=(self._loop,), name="logistics-loop", daemon=True
            )
            self._thread.start()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while True:
                # Of a task: whoever awaits it gets it, too.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    loop.run_forever()
                if self._closed:
                    break  # else a coroutine has stopped it, for all others and those to come
            if leaving := asyncio.all_tasks(loop):
                loop.run_until_complete(asyncio.wait(leaving, timeout=LEAVE_S))
        finally:
            loop.close()


async def _guarded(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Hand over what a coroutine raises: `SystemExit` and the like would end the loop for all others."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 -- see above
        return None, error
