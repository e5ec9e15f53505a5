"""Having processes and pools call functions: only names and bytes go there, only bytes come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.queue.ending import failed, returned
from actors.queue.specs import NO_LIFE
from actors.queue.worker import Batch, Call, decode_end, decode_ends, decode_news, encode, perform, serve
from actors.runtime.attempt import AttemptContext, firing_of
from actors.runtime.binding import CONTEXT_PARAMETER
from actors.runtime.errors import PoolClosedError
from actors.runtime.output import Printed
from actors.runtime.pool import ExecutorPool, PoolFactory
from actors.runtime.processes import ProcessPool, WorkerDiedError
from actors.runtime.seals import key_in
from actors.runtime.values import encode_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.queue.specs import JobSpec
    from actors.queue.worker import News
    from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
    from actors.runtime.engine import Runtime

MAX_SENT = 1 << 30
"""Bytes of arguments that go to a process: they were checked when they were put on record."""


NOT_KEPT = "(what this call printed was not kept, as it was made for jobs of several subjects)"


class Member(NamedTuple):
    """One attempt of those that are made in one call."""

    start: StartAttempt
    spec: JobSpec
    call: tuple[Any, Any]
    """Its arguments."""
    settle: Callable[[AttemptFinished], None]
    started_us: int


class Sender:
    """Sends attempts to processes of our own, or to pools that a factory makes. Never raises."""

    def __init__(
        self,
        runtime: Runtime,
        modules: tuple[str, ...] | None,
        max_payload: int,
        *,
        factory: PoolFactory | None,
        workers: int,
        max_tasks_per_child: int | None,
    ) -> None:
        self._runtime = runtime
        self._processes = ProcessPool(serve, modules, max_payload, most=max_tasks_per_child)
        self._pool: ExecutorPool | None = None
        if factory is not None:
            self._pool = ExecutorPool(factory, perform, modules, max_payload, workers=workers)

    def send(
        self, start: StartAttempt, spec: JobSpec, args: Any, kwargs: Any, *, pooled: bool
    ) -> AttemptFinished:
        """Have a process call the function, one of a pool if it is `pooled`."""
        printed = Printed()
        started_us = self._runtime.clock.now_us()

        def hear(said: bytes) -> None:
            news = decode_news(said)
            if news.key == start.key:
                self._note(news)

        try:
            context = next((name for name, value in kwargs.items() if isinstance(value, AttemptContext)), "")
            kwargs.pop(context, None)
            call = self._call(start, spec, args, kwargs, context)
            end = decode_end(self._answer((start.key,), encode(call), printed, hear, pooled=pooled))
        except BaseException as error:  # noqa: BLE001 -- nothing may get out of here
            end = _unanswered(start, error, started_us)
        output = printed.text()
        return msgspec.structs.replace(end, output=output) if output else end

    def send_batch(self, members: list[Member], *, pooled: bool) -> None:
        """Have a process make several attempts in one call; each is settled as soon as its end is known.

        What is printed until then is the output of the one whose end it is, as far as it can be told apart: so nothing
        is kept of a call for jobs of several subjects, one of whom may be erased.
        """
        printed = Printed()
        is_mixed = len({sealing_key(member.spec) for member in members}) > 1
        left = {member.start.key: member for member in members}

        def settle(end: AttemptFinished) -> None:
            member = left.pop(end.key, None)
            if member is not None:
                output = printed.take()
                if output and is_mixed:
                    output = NOT_KEPT
                member.settle(msgspec.structs.replace(end, output=output) if output else end)

        def hear(said: bytes) -> None:
            news = decode_news(said)
            if news.end is not None:
                settle(news.end)
            elif news.key in left:
                self._note(news)

        try:
            calls = tuple(self._call(each.start, each.spec, *each.call) for each in members)
            for end in decode_ends(
                self._answer(tuple(left), encode(Batch(calls)), printed, hear, pooled=pooled)
            ):
                settle(end)
        except BaseException as error:  # noqa: BLE001 -- nothing may get out of here
            for member in members:
                settle(_unanswered(member.start, error, member.started_us))

    def _call(
        self, start: StartAttempt, spec: JobSpec, args: Any, kwargs: Any, context: str = CONTEXT_PARAMETER
    ) -> Call:
        life = spec.life or NO_LIFE
        return Call(
            start.key,
            spec.name,
            spec.owner,
            spec.function,
            encode_call(args, kwargs, limit=MAX_SENT),
            context,
            life.retry_on,
            life.give_up_on,
            firing_of(self._runtime, spec.job_id, spec.owner) if context else None,
        )

    def _note(self, news: News) -> None:
        """Take up a sign of life."""
        now_us = self._runtime.clock.now_us()  # the process has another clock than an engine under test
        if news.progress is None:
            self._runtime.signals.beat(news.key, now_us)
        else:
            self._runtime.signals.report(news.key, msgspec.structs.replace(news.progress, at_us=now_us))

    def _answer(
        self,
        keys: tuple[AttemptKey, ...],
        request: bytes,
        printed: Printed,
        hear: Callable[[bytes], None],
        *,
        pooled: bool,
    ) -> bytes:
        is_cancelled = self._runtime.executor.is_cancelled
        if self._pool is not None and pooled:
            return self._pool.run(keys, request, is_cancelled=is_cancelled, hear=hear)
        return self._processes.run(keys, request, printed, is_cancelled=is_cancelled, hear=hear)

    def stop(self, key: AttemptKey) -> None:
        """Stop an attempt that nobody waits for any more, if it is in a process."""
        self._processes.stop(key)
        if self._pool is not None:
            self._pool.stop(key)

    def tell(self, key: AttemptKey) -> None:
        """Let an attempt of a batch know that nobody waits for it, while others of it go on."""
        self._processes.tell(key)
        if self._pool is not None:
            self._pool.tell(key)

    def close(self) -> None:
        """End all processes."""
        self._processes.close()
        if self._pool is not None:
            self._pool.close()


def sealing_key(spec: JobSpec) -> str:
    """Return the id of the key that what a job says is sealed with; empty if it is of no subject."""
    return (spec.work is not None and spec.work.key) or key_in(spec.payload)


def _unanswered(start: StartAttempt, error: BaseException, started_us: int) -> AttemptFinished:
    """Return the end of an attempt that no process has answered for."""
    if isinstance(error, PoolClosedError):
        return returned(start)
    end = failed(start, error, started_us, 0)
    if isinstance(error, WorkerDiedError):
        return msgspec.structs.replace(end, error=f"WorkerDied: {error}", traceback="")
    return end
