"""Processes that run one attempt at a time, each for the worker that waits for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.errors import PoolClosedError
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from actors.runtime.effects import AttemptKey
    from actors.runtime.output import Printed

SPAWN = multiprocessing.get_context("spawn")
BEGUN = b"B"
"""What a process says before it calls the function: from then on its end is that of the attempt."""
ENDED = b"E"
"""What the answer begins with; anything else is news on the way."""
STOPPED = b"S"
"""What begins, to a process, the key of an attempt that nobody waits for any more, while others of its call go on."""
TRIES = 3
"""Processes that may die one after the other before one of them has begun."""
UNGUARDED = 'a script whose functions run in processes needs its `if __name__ == "__main__":`'
"""What is likely if none of them begins: each imports the script, and does what it does."""
TERMINAL = frozenset({signal.SIGINT, signal.SIGTERM})
"""The signals that may be sent to a program with all its processes."""
LOOK_MS = 1_000
"""How often it is looked whether a process that says nothing is still there."""
LAST_WORD_S = 5.0
"""How long a process may take to be gone once its pipe is closed."""


encode_key = msgspec.msgpack.Encoder().encode


class WorkerDiedError(LogisticsError):
    """The process that ran the attempt ended before it had an answer: killed, crashed, or by `os._exit`."""


class Worker:
    """A process, the pipe to it, and the one through which comes what it prints."""

    def __init__(self, process: BaseProcess, pipe: Connection, output: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.output = output
        self.served = 0
        """Attempts that it has run."""
        self.is_called = False
        """Whether it has got all of its call, and may be told more."""
        os.set_blocking(output.fileno(), False)
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLIN)
        self._poll.register(output.fileno(), select.POLLIN)

    def hear(self, printed: Printed) -> bytes:
        """Wait for what it says next, and meanwhile take what it prints. `EOFError`, `OSError` if it has ended.

        Its end closes the pipe, unless it has left a child behind that keeps that open.
        """
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll(LOOK_MS)]
            output = self.output.fileno()
            if output in ready and not printed.read(output):
                self._poll.unregister(output)  # whoever printed has closed it
            if self.pipe.fileno() in ready:
                return self.pipe.recv_bytes()
            if self.process.exitcode is not None and not self.pipe.poll():
                raise EOFError

    def close(self) -> None:
        """Close both pipes: then it ends."""
        self.pipe.close()
        self.output.close()


class ProcessPool:
    """As many processes as attempts run in them at one time, made when they are needed and used again.

    A process that dies takes its own attempt with it and nothing else. One whose parent is gone ends by itself:
    its pipe is closed then (`actors.queue.worker`).
    """

    def __init__(self, serve: Callable[..., object], *args: Any, most: int | None = None) -> None:
        """`most`: attempts that a process runs before another one takes its place; None: no such limit."""
        self._serve = serve
        self._args = args
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: dict[AttemptKey, Worker] = {}
        self._closed = False

    def run(
        self,
        keys: tuple[AttemptKey, ...],
        request: bytes,
        printed: Printed,
        *,
        is_cancelled: Callable[[AttemptKey], bool],
        hear: Callable[[bytes], None],
    ) -> bytes:
        """Have a process answer a request; `hear` is called with the news that it sends meanwhile.

        What it prints goes to `printed`, however it ends. `keys` are the attempts that this is about.

        `WorkerDiedError` if the process ended before it had answered; `PoolClosedError` if the pool was closed.
        """
        how, begun = "", False
        for _ in range(TRIES):
            worker = self._take(keys)
            if all(map(is_cancelled, keys)):  # whoever cancelled it a moment ago found no process to end
                worker.process.kill()
            begun = False
            try:
                worker.pipe.send_bytes(request)
                if len(keys) > 1:
                    self._let_be_told(worker, filter(is_cancelled, keys))
                while not (said := worker.hear(printed)).startswith(ENDED):
                    begun = begun or said == BEGUN
                    if said != BEGUN:
                        printed.read_rest(worker.output.fileno())
                        hear(said)
            except (EOFError, OSError):
                printed.read_rest(worker.output.fileno())
                self._bury(keys, worker)
                how = _end_of(worker.process)
                if begun or all(map(is_cancelled, keys)):
                    break
            else:
                printed.read_rest(worker.output.fileno())
                self._give_back(keys, worker)
                return said[len(ENDED) :]
        if begun:
            raise WorkerDiedError(f"the process that ran it {how}")
        raise WorkerDiedError(f"the process that was to run it {how} before it could begin; {UNGUARDED}")

    def stop(self, key: AttemptKey) -> None:
        """End the process of an attempt, if there is one."""
        with self._lock:  # so that it is not at work for somebody else meanwhile
            worker = self._busy.get(key)
            if worker is not None:
                worker.process.kill()

    def tell(self, key: AttemptKey) -> None:
        """Let a process know that nobody waits for one attempt of its call any more."""
        with self._lock:
            worker = self._busy.get(key)
            if worker is not None and worker.is_called:
                _tell(worker, key)

    def _let_be_told(self, worker: Worker, stopped: Iterable[AttemptKey]) -> None:
        """Tell a process that has got its call what was to be told before; from now on whoever wants to may."""
        with self._lock:
            worker.is_called = True
            for key in stopped:
                _tell(worker, key)

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy.values()]
            self._idle.clear()
        for worker in workers:
            worker.process.kill()

    def _take(self, keys: tuple[AttemptKey, ...]) -> Worker:
        with self._lock:
            if self._closed:
                raise PoolClosedError
            gone = []
            while self._idle and self._idle[-1].process.exitcode is not None:
                gone.append(self._idle.pop())  # killed while it had nothing to do
            worker = self._idle.pop() if self._idle else self._make()
            self._busy.update(dict.fromkeys(keys, worker))
        for each in gone:
            _end(each)
        return worker

    def _make(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        for end in (ours, theirs):
            os.set_blocking(end.fileno(), True)  # gevent's sockets say that they block, and do not
        output, printing = SPAWN.Pipe(duplex=False)
        args = (theirs, printing, *self._args)
        process = SPAWN.Process(target=self._serve, args=args, name="logistics-process", daemon=True)
        try:
            with _signals_kept_back():
                process.start()
        finally:
            theirs.close()  # so that its end is seen here
            printing.close()
        return Worker(process, ours, output)

    def _leave(self, keys: tuple[AttemptKey, ...], worker: Worker) -> None:
        for key in keys:
            del self._busy[key]
        worker.is_called = False

    def _give_back(self, keys: tuple[AttemptKey, ...], worker: Worker) -> None:
        worker.served += len(keys)
        with self._lock:
            self._leave(keys, worker)
            if not self._closed and (self._most is None or worker.served < self._most):
                self._idle.append(worker)
                return
        _end(worker)

    def _bury(self, keys: tuple[AttemptKey, ...], worker: Worker) -> None:
        with self._lock:
            self._leave(keys, worker)
            closed = self._closed
        _end(worker)
        if closed:
            raise PoolClosedError


@contextlib.contextmanager
def _signals_kept_back() -> Iterator[None]:
    """Have a process begin without hearing of Ctrl-C and SIGTERM, until it can answer them: it inherits that."""
    resource_tracker.ensure_running()  # which lets them through again where it has to begin first
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _tell(worker: Worker, key: AttemptKey) -> None:
    with contextlib.suppress(OSError):  # it has ended
        worker.pipe.send_bytes(STOPPED + encode_key(key))


def _end(worker: Worker) -> None:
    """Have a process end, and see that it does."""
    worker.close()
    worker.process.join(LAST_WORD_S)
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join()


def _end_of(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"was ended by signal {-code}"
