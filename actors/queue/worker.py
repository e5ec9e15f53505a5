"""What runs in a process of its own: calls functions by name, with bytes, and answers with bytes."""

from __future__ import annotations

import contextlib
import inspect
import os
import queue
import signal
import sys
import threading
import time
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from actors.queue.ending import failed, succeeded
from actors.runtime.attempt import RUNNING, AttemptContext, Firing
from actors.runtime.clock import SystemClock
from actors.runtime.desk import Address, Line
from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.functions import FunctionRegistry
from actors.runtime.later import Later
from actors.runtime.processes import BEGUN, ENDED
from actors.runtime.signals import Progress
from actors.runtime.values import decode_call, encode_result
from actors.runtime.verdict import judge

if TYPE_CHECKING:
    import asyncio
    from multiprocessing.connection import Connection
else:
    asyncio = Later("asyncio")


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A function to be called in another process."""

    key: AttemptKey
    name: str
    owner: str
    function: str
    payload: bytes
    """Its arguments."""
    context: str = ""
    """The parameter that gets the attempt's context; empty: none does."""
    retry_on: tuple[str, ...] = ()
    give_up_on: tuple[str, ...] = ()
    firing: Firing | None = None
    """Of the schedule that led to it; only looked up for a context."""


class News(msgspec.Struct, frozen=True, array_like=True):
    """What an attempt says while it runs: a sign of life, and perhaps how far it has come."""

    progress: Progress | None = None


encode = msgspec.msgpack.Encoder().encode
decode_call_to = msgspec.msgpack.Decoder(Call).decode
decode_news = msgspec.msgpack.Decoder(News).decode
decode_end = msgspec.msgpack.Decoder(AttemptFinished).decode


def serve(pipe: Connection, output: Connection, modules: tuple[str, ...] | None, max_payload: int) -> None:
    """Answer calls until the pipe is closed: then whoever asked is gone, and so is this process, at once.

    Everything that is printed goes to `output`.
    """
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    with contextlib.suppress(AttributeError, ValueError):
        cast("Any", sys.stdout).reconfigure(line_buffering=True)  # so that little is lost with a process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), daemon=True).start()
    functions = FunctionRegistry(modules)
    while True:
        call = decode_call_to(calls.get())
        pipe.send_bytes(BEGUN)
        end = _perform(call, _Pipe(pipe), functions, max_payload)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the function may have put anything in their place
                stream.flush()
        pipe.send_bytes(ENDED + encode(end))


def _listen(pipe: Connection, calls: queue.SimpleQueue[bytes]) -> None:
    """Take calls while the function runs: the end of the pipe is noticed at any time (F75)."""
    try:
        while True:
            calls.put(pipe.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


class _Way(Protocol):
    """How a function's attempt talks to whoever waits for it."""

    def say(self, key: AttemptKey, news: bytes) -> None:
        """Send news of the attempt."""

    def is_stopped(self, key: AttemptKey) -> bool:
        """Whether nobody waits for it any more."""


class _Pipe:
    """To the worker that has this process for itself: it ends the process instead of telling it to stop."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def say(self, _key: AttemptKey, news: bytes) -> None:
        self._pipe.send_bytes(news)

    def is_stopped(self, _key: AttemptKey) -> bool:
        return False


line_to = lru_cache(maxsize=None)(Line)
"""The one line of this process to an engine."""
functions_of = lru_cache(maxsize=None)(FunctionRegistry)


def perform(request: bytes, address: Address, modules: tuple[str, ...] | None, max_payload: int) -> bytes:
    """Answer one call in a worker of somebody else's pool. What the function does is data, whatever it does."""
    call = decode_call_to(request)
    line = line_to(address)
    line.say(call.key)
    return encode(_perform(call, line, functions_of(modules), max_payload))


class _Signals:
    """Sends on what the function says of itself."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def beat(self, key: AttemptKey, _now_us: int) -> None:
        """Send a sign of life."""
        self._way.say(key, encode(News()))

    def report(self, key: AttemptKey, progress: Progress) -> None:
        """Send how far it has come."""
        self._way.say(key, encode(News(progress)))


def _context(call: Call, way: _Way) -> AttemptContext:
    """Return a context that talks to the parent."""
    executor = SimpleNamespace(is_cancelled=way.is_stopped)
    runtime: Any = SimpleNamespace(executor=executor, signals=_Signals(way), clock=SystemClock())
    return AttemptContext(call.key, call.name, call.owner, runtime, lambda: call.firing)


def _perform(call: Call, way: _Way, functions: FunctionRegistry, max_payload: int) -> AttemptFinished:
    start = StartAttempt(key=call.key, correlation=call.owner)
    started_us = SystemClock().now_us()
    begun_ns = time.perf_counter_ns()
    running = RUNNING.set(call.key.job_id)
    try:
        function = functions.resolve(call.function)
        args, kwargs = decode_call(call.payload, function)
        if call.context:
            kwargs[call.context] = _context(call, way)
        value = function(*args, **kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        result = encode_result(value, limit=max_payload)
    except BaseException as error:  # noqa: BLE001 -- user code: whatever it raises ends the attempt only
        run_us = (time.perf_counter_ns() - begun_ns) // 1000
        verdict = judge(error, call.retry_on, call.give_up_on, functions.resolve)
        return failed(start, error, started_us, run_us, verdict)
    finally:
        RUNNING.reset(running)
    return succeeded(start, result, started_us, begun_ns)
