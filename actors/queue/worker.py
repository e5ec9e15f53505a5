"""What runs in a process of its own: calls functions by name, with bytes, and answers with bytes."""

from __future__ import annotations

import contextlib
import inspect
import multiprocessing
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

from actors.queue.batch import BatchedJob, call_for_all
from actors.queue.ending import failed, succeeded
from actors.runtime.attempt import CURRENT, ELSEWHERE, AttemptContext, Firing
from actors.runtime.clock import SystemClock
from actors.runtime.desk import Address, Line
from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.functions import FunctionRegistry
from actors.runtime.later import Later
from actors.runtime.processes import BEGUN, ENDED, STOPPED, TERMINAL
from actors.runtime.signals import Progress
from actors.runtime.sigterm import answer_sigterm
from actors.runtime.values import decode_call, encode_result
from actors.runtime.verdict import judge
from eventstore.decoding import msgpack_decoder

if TYPE_CHECKING:
    import asyncio
    from multiprocessing.connection import Connection
    from types import FrameType
else:
    asyncio = Later("asyncio")


class Call(msgspec.Struct, frozen=True, array_like=True, tag="call"):
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


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """Several attempts that are to be made in one call of their function, which goes by the first of them."""

    calls: tuple[Call, ...]


class News(msgspec.Struct, frozen=True, array_like=True):
    """What is said of an attempt while the call goes on: a sign of life, how far it has come, or what it came to."""

    key: AttemptKey
    progress: Progress | None = None
    end: AttemptFinished | None = None


encode = msgspec.msgpack.Encoder().encode
decode_request = msgpack_decoder(cast("type[Call | Batch]", Call | Batch))
decode_key = msgpack_decoder(AttemptKey)
decode_news = msgpack_decoder(News)
decode_end = msgpack_decoder(AttemptFinished)
decode_ends = msgpack_decoder(tuple[AttemptFinished, ...])


def serve(pipe: Connection, output: Connection, modules: tuple[str, ...] | None, max_payload: int) -> None:
    """Answer calls until the pipe is closed: then whoever asked is gone, and so is this process, at once.

    Everything that is printed goes to `output`.
    """
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    with contextlib.suppress(AttributeError, ValueError):
        cast("Any", sys.stdout).reconfigure(line_buffering=True)  # so that little is lost with a process
    _leave_signals_to_parent()
    multiprocessing.current_process().daemon = False  # else no function could start processes of its own
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    way = _Pipe(pipe)
    threading.Thread(target=_listen, args=(pipe, calls, way), daemon=True).start()
    functions = FunctionRegistry(modules)
    CURRENT.set((ELSEWHERE, None))
    while True:
        request = calls.get()
        way.send(BEGUN)
        answer = _answer(request, way, functions, max_payload)
        flush()
        way.stopped.clear()  # before the next call can be made, of which others may be stopped
        way.send(ENDED + answer)
        if any(getattr(stream, "closed", False) for stream in (sys.stdout, sys.stderr)):
            os._exit(0)  # whoever came next could not print


def _leave_signals_to_parent() -> None:
    """Go on at Ctrl-C and SIGTERM, which may be sent to a whole group: the parent ends what is to end, by the pipe.

    What the function starts hears of SIGTERM as usual.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer_sigterm(_go_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL)  # kept back while this process began


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Take no notice of a signal."""


def flush() -> None:
    """Let go what was printed so far."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the function may have put anything in their place
            stream.flush()


def _listen(pipe: Connection, calls: queue.SimpleQueue[bytes], way: _Pipe) -> None:
    """Take calls while the function runs: the end of the pipe is noticed at any time (F75)."""
    try:
        while True:
            said = pipe.recv_bytes()
            if said.startswith(STOPPED):
                way.stopped.add(decode_key(said[len(STOPPED) :]))
            else:
                calls.put(said)
    except (EOFError, OSError):
        os._exit(1)


class _Way(Protocol):
    """How what a function is called for talks to whoever waits for it."""

    def say(self, call: AttemptKey, news: bytes) -> None:
        """Send news of a call, which goes by the (first) attempt that it is made for."""

    def is_stopped(self, key: AttemptKey) -> bool:
        """Whether nobody waits for it any more."""


class _Pipe:
    """To the worker that has this process for itself: it ends that, unless other attempts of the call go on."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self.stopped: set[AttemptKey] = set()

    def send(self, said: bytes) -> None:
        """Send something whole: the function may have threads of its own."""
        with self._lock:
            self._pipe.send_bytes(said)

    def say(self, _call: AttemptKey, news: bytes) -> None:
        self.send(news)

    def is_stopped(self, key: AttemptKey) -> bool:
        return key in self.stopped


line_to = lru_cache(maxsize=None)(Line)
"""The one line of this process to an engine."""
functions_of = lru_cache(maxsize=None)(FunctionRegistry)


def perform(request: bytes, address: Address, modules: tuple[str, ...] | None, max_payload: int) -> bytes:
    """Answer one call in a worker of somebody else's pool. What the function does is data, whatever it does."""
    line = line_to(address)
    line.say(_key_of(decode_request(request)))
    token = CURRENT.set(CURRENT.get() if address.owner == os.getpid() else (ELSEWHERE, None))
    try:
        return _answer(request, line, functions_of(modules), max_payload)
    finally:
        CURRENT.reset(token)


def _key_of(request: Call | Batch) -> AttemptKey:
    return request.key if isinstance(request, Call) else request.calls[0].key


def _answer(data: bytes, way: _Way, functions: FunctionRegistry, max_payload: int) -> bytes:
    """Do what was asked for: the end of an attempt, or those of several, as bytes.

    A child that the function has forked, and that comes back from it, too, ends here: the answer is not its to give.
    """
    request = decode_request(data)
    own = os.getpid()
    if isinstance(request, Batch):
        answer = encode(_perform_batch(request, way, functions, max_payload))
    else:
        answer = encode(_perform(request, way, functions, max_payload))
    if os.getpid() != own:
        os._exit(0)
    return answer


class _Signals:
    """Sends on what the function says of itself."""

    def __init__(self, way: _Way, call: AttemptKey) -> None:
        self._way = way
        self._call = call

    def beat(self, key: AttemptKey, _now_us: int) -> None:
        """Send a sign of life."""
        self._way.say(self._call, encode(News(key)))

    def report(self, key: AttemptKey, progress: Progress) -> None:
        """Send how far it has come."""
        self._way.say(self._call, encode(News(key, progress)))


def _context(call: Call, way: _Way, key: AttemptKey) -> AttemptContext:
    """Return a context that talks to the parent, in a call that goes by that key."""
    executor = SimpleNamespace(is_cancelled=way.is_stopped)
    runtime: Any = SimpleNamespace(executor=executor, signals=_Signals(way, key), clock=SystemClock())
    return AttemptContext(call.key, call.name, call.owner, runtime, lambda: call.firing)


def _perform(call: Call, way: _Way, functions: FunctionRegistry, max_payload: int) -> AttemptFinished:
    start = StartAttempt(key=call.key, correlation=call.owner)
    started_us = SystemClock().now_us()
    begun_ns = time.perf_counter_ns()
    try:
        function = functions.resolve(call.function)
        args, kwargs = decode_call(call.payload, function)
        if call.context:
            kwargs[call.context] = _context(call, way, call.key)
        value = function(*args, **kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        result = encode_result(value, limit=max_payload)
    except BaseException as error:  # noqa: BLE001 -- user code: whatever it raises ends the attempt only
        run_us = (time.perf_counter_ns() - begun_ns) // 1000
        verdict = judge(error, call.retry_on, call.give_up_on, functions.resolve)
        return failed(start, error, started_us, run_us, verdict)
    return succeeded(start, result, started_us, begun_ns)


def _perform_batch(
    batch: Batch, way: _Way, functions: FunctionRegistry, max_payload: int
) -> list[AttemptFinished]:
    """Return the end of each attempt; what the function tells of early is sent at once, too."""
    first = batch.calls[0]
    started_us = SystemClock().now_us()
    ends: list[AttemptFinished] = []
    has_returned = False

    def settle(end: AttemptFinished) -> None:
        ends.append(end)
        if not has_returned:
            flush()
            way.say(first.key, encode(News(end.key, end=end)))

    def job_of(call: Call) -> BatchedJob:
        return BatchedJob(
            StartAttempt(key=call.key, correlation=call.owner),
            _context(call, way, first.key),
            decode_call(call.payload),
            settle=settle,
            judge=lambda error: judge(error, call.retry_on, call.give_up_on, functions.resolve),
            max_payload=max_payload,
            started_us=started_us,
        )

    def call(jobs: list[BatchedJob]) -> object:
        nonlocal has_returned
        try:
            answers = functions.resolve(first.function)(jobs)
            return asyncio.run(answers) if inspect.iscoroutine(answers) else answers
        finally:
            has_returned = True

    call_for_all(call, [job_of(each) for each in batch.calls])
    return ends
