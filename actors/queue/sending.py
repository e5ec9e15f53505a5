"""Having processes and pools call functions: only names and bytes go there, only bytes come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.ending import failed, returned
from actors.queue.specs import NO_LIFE
from actors.queue.worker import Call, decode_end, decode_news, encode, perform, serve
from actors.runtime.attempt import AttemptContext, firing_of
from actors.runtime.errors import PoolClosedError
from actors.runtime.output import Printed
from actors.runtime.pool import ExecutorPool, PoolFactory
from actors.runtime.processes import ProcessPool, WorkerDiedError
from actors.runtime.values import encode_call

if TYPE_CHECKING:
    from actors.queue.specs import JobSpec
    from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
    from actors.runtime.engine import Runtime

MAX_SENT = 1 << 30
"""Bytes of arguments that go to a process: they were checked when they were put on record."""


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
        end = self._send(start, spec, args, kwargs, printed, pooled=pooled)
        output = printed.text()
        return msgspec.structs.replace(end, output=output) if output else end

    def _send(
        self, start: StartAttempt, spec: JobSpec, args: Any, kwargs: Any, printed: Printed, *, pooled: bool
    ) -> AttemptFinished:
        life = spec.life or NO_LIFE
        started_us = self._runtime.clock.now_us()

        def hear(said: bytes) -> None:
            now_us = self._runtime.clock.now_us()  # the process has another clock than an engine under test
            progress = decode_news(said).progress
            if progress is None:
                self._runtime.signals.beat(start.key, now_us)
            else:
                self._runtime.signals.report(start.key, msgspec.structs.replace(progress, at_us=now_us))

        try:
            context = next((name for name, value in kwargs.items() if isinstance(value, AttemptContext)), "")
            kwargs.pop(context, None)
            payload = encode_call(args, kwargs, limit=MAX_SENT)
            call = Call(
                start.key,
                spec.name,
                spec.owner,
                spec.function,
                payload,
                context,
                life.retry_on,
                life.give_up_on,
                firing_of(self._runtime, spec.job_id, spec.owner) if context else None,
            )
            is_cancelled = self._runtime.executor.is_cancelled
            request = encode(call)
            if self._pool is not None and pooled:
                answer = self._pool.run(start.key, request, is_cancelled=is_cancelled, hear=hear)
            else:
                answer = self._processes.run(
                    start.key, request, printed, is_cancelled=is_cancelled, hear=hear
                )
            return decode_end(answer)
        except PoolClosedError:
            return returned(start)
        except WorkerDiedError as error:
            end = failed(start, error, started_us, 0)
            return msgspec.structs.replace(end, error=f"WorkerDied: {error}", traceback="")
        except BaseException as error:  # noqa: BLE001 -- nothing may get out of here
            return failed(start, error, started_us, 0)

    def stop(self, key: AttemptKey) -> None:
        """Stop an attempt that nobody waits for any more, if it is in a process."""
        self._processes.stop(key)
        if self._pool is not None:
            self._pool.stop(key)

    def close(self) -> None:
        """End all processes."""
        self._processes.close()
        if self._pool is not None:
            self._pool.close()
