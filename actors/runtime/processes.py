"""Processes that run one attempt at a time, each for the worker that waits for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.runtime.errors import PoolClosedError
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from actors.runtime.effects import AttemptKey

SPAWN = multiprocessing.get_context("spawn")
BEGUN = b"B"
"""What a process says before it calls the function: from then on its end is that of the attempt."""
ENDED = b"E"
"""What the answer begins with; anything else is news on the way."""
TRIES = 3
"""Processes that may die one after the other before one of them has begun."""
LAST_WORD_S = 5.0
"""How long a process may take to be gone once its pipe is closed."""


class WorkerDiedError(LogisticsError):
    """The process that ran the attempt ended before it had an answer: killed, crashed, or by `os._exit`."""


class Worker(NamedTuple):
    """A process and the pipe to it."""

    process: BaseProcess
    pipe: Connection


class ProcessPool:
    """As many processes as attempts run in them at one time, made when they are needed and used again.

    A process that dies takes its own attempt with it and nothing else. One whose parent is gone ends by itself:
    its pipe is closed then (`actors.queue.worker`).
    """

    def __init__(self, serve: Callable[..., object], *args: Any) -> None:
        self._serve = serve
        self._args = args
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: dict[AttemptKey, Worker] = {}
        self._closed = False

    def run(
        self,
        key: AttemptKey,
        request: bytes,
        *,
        is_cancelled: Callable[[AttemptKey], bool],
        hear: Callable[[bytes], None],
    ) -> bytes:
        """Have a process answer a request; `hear` is called with the news that it sends meanwhile.

        `WorkerDiedError` if the process ended before it had answered; `PoolClosedError` if the pool was closed.
        """
        how = ""
        for _ in range(TRIES):
            worker = self._take(key)
            if is_cancelled(key):  # whoever cancelled it a moment ago found no process to end
                worker.process.kill()
            begun = False
            try:
                worker.pipe.send_bytes(request)
                while not (said := worker.pipe.recv_bytes()).startswith(ENDED):
                    begun = begun or said == BEGUN
                    if said != BEGUN:
                        hear(said)
            except (EOFError, OSError):
                self._bury(key, worker)
                how = _end_of(worker.process)
                if begun or is_cancelled(key):
                    break
            else:
                self._give_back(key, worker)
                return said[len(ENDED) :]
        raise WorkerDiedError(f"the process that ran it {how}")

    def stop(self, key: AttemptKey) -> None:
        """End the process of an attempt, if there is one."""
        with self._lock:  # so that it is not at work for somebody else meanwhile
            worker = self._busy.get(key)
            if worker is not None:
                worker.process.kill()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy.values()]
            self._idle.clear()
        for worker in workers:
            worker.process.kill()

    def _take(self, key: AttemptKey) -> Worker:
        with self._lock:
            if self._closed:
                raise PoolClosedError
            worker = self._idle.pop() if self._idle else self._make()
            self._busy[key] = worker
        return worker

    def _make(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(
            target=self._serve, args=(theirs, *self._args), name="logistics-process", daemon=True
        )
        try:
            process.start()
        finally:
            theirs.close()  # so that its end is seen here
        return Worker(process, ours)

    def _give_back(self, key: AttemptKey, worker: Worker) -> None:
        with self._lock:
            del self._busy[key]
            if not self._closed:
                self._idle.append(worker)
                return
        worker.process.kill()

    def _bury(self, key: AttemptKey, worker: Worker) -> None:
        with self._lock:
            del self._busy[key]
            closed = self._closed
        worker.pipe.close()
        worker.process.join(LAST_WORD_S)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        if closed:
            raise PoolClosedError


def _end_of(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"was ended by signal {-code}"
