"""Workers that run user code on threads, and keep each result until it is durable."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol

from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.errors import WouldDeadlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("logistics.executor")

MAX_MADE_UP = 100
"""Abandoned functions for which threads are made up at one time; beyond it, each of them costs a worker."""


class _Descent:
    """How many forks lie between this process and the one that has imported this: to ask the system takes longer."""

    depth = 0

    @classmethod
    def deepen(cls) -> None:
        cls.depth += 1


os.register_at_fork(after_in_child=_Descent.deepen)


class Executor(Protocol):
    """The port of user code (R14–R16). It outlives rebuilds of the actors."""

    capacity: int
    """User functions that run at one time, at most; those counted in that nobody waits for any more."""

    @property
    def abandoned(self) -> int:
        """Functions that still run though nobody waits for them any more."""
        ...

    @property
    def under_way(self) -> int:
        """Attempts whose ends are not durable, those aside that nobody waits for any more."""
        ...

    def hire(self) -> None:
        """Have all workers there: once the main program has ended, Python may make no more threads."""
        ...

    def blocking(self, key: AttemptKey) -> contextlib.AbstractContextManager[None]:
        """Mark the worker of an attempt as waiting for other work; `WouldDeadlockError` if none would be left."""
        ...

    def start(self, attempt: StartAttempt) -> None:
        """Run an attempt; a key that was started before is ignored."""
        ...

    def knows(self, key: AttemptKey) -> bool:
        """Whether an attempt was started and not acknowledged."""
        ...

    def cancel(self, key: AttemptKey) -> bool:
        """Give an attempt back (`returned`) if it has not begun; else tell it, and make up for its worker.

        Whether the capacity has grown.
        """
        ...

    def is_cancelled(self, key: AttemptKey) -> bool:
        """Whether nobody waits for a running attempt any more."""
        ...

    def acknowledge(self, key: AttemptKey) -> None:
        """Forget an attempt whose end is durable."""
        ...

    def report_unacknowledged(self) -> None:
        """Report every end again that was not acknowledged."""
        ...

    def close(self, grace_s: float) -> bool:
        """Begin nothing new, wait up to `grace_s` seconds for what runs; True if nothing runs any more."""
        ...


class ThreadExecutor:
    """`capacity` daemon threads that share one queue of attempts.

    A function on a thread cannot be stopped. One that nobody waits for any more is told (`is_cancelled`), and
    as long as it goes on another thread takes its place, for up to `MAX_MADE_UP` of them at a time. `stop` ends one
    that runs where it can be ended, `tell` lets one of a batch know that nobody waits for it, while others go on, and
    `end` ends all that still run when the executor has closed.

    `run` executes an attempt and never raises; `run_batch` several in one call, and tells how each has ended as soon as
    it knows; `report` delivers what an attempt came to. What every attempt passes
    has no lock: a worker that the interpreter interrupts while it holds one would stop all the others.
    """

    def __init__(
        self,
        capacity: int,
        *,
        run: Callable[[StartAttempt], AttemptFinished],
        report: Callable[[AttemptFinished], None],
        run_batch: Callable[[StartAttempt, Callable[[AttemptFinished], None]], None] | None = None,
        stop: Callable[[AttemptKey], None] = lambda _key: None,
        tell: Callable[[AttemptKey], None] = lambda _key: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self.capacity = capacity
        self._depth = _Descent.depth
        self._run = run
        self._run_batch = run_batch
        self._report = report
        self._stop = stop
        self._tell = tell
        self._end = end
        self._waiting: queue.SimpleQueue[StartAttempt | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._known: dict[AttemptKey, AttemptFinished | None] = {}
        self._batches: dict[AttemptKey, StartAttempt] = {}
        """Attempts that are made in one call with others."""
        self._cancelled: set[AttemptKey] = set()
        self._running: set[AttemptKey] = set()
        """Changed without a lock. Of a set, `list` makes a copy at once; `tuple` may be interrupted by a collection."""
        self._made_up: set[AttemptKey] = set()
        self._blocked: Counter[AttemptKey] = Counter()
        """For how much each attempt waits that waits for other work."""
        self._closing = False
        self._threads: deque[threading.Thread] = deque()

    def start(self, attempt: StartAttempt) -> None:
        """Queue an attempt for the next free worker; threads are made as they are first needed."""
        if self._closing or attempt.key in self._known:
            return
        self._known[attempt.key] = None
        if attempt.batched:
            for key in (attempt.key, *attempt.others):
                self._known[key] = None
                self._batches[key] = attempt
        self._waiting.put(attempt)
        if len(self._threads) < self.capacity:
            with self._lock:
                if len(self._threads) < self.capacity:
                    self._hire()

    def knows(self, key: AttemptKey) -> bool:
        """Whether an attempt was started and not acknowledged."""
        return key in self._known

    def hire(self) -> None:
        """Make all threads now; later ones are made as they are needed."""
        with self._lock:
            for _ in range(self.capacity - len(self._threads)):
                self._hire()

    def _hire(self) -> None:
        if self._closing:
            return  # whoever came now would wait for work, and for word that it is over, for ever
        thread = threading.Thread(
            target=self._work, name=f"logistics-worker-{len(self._threads)}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads: those there are take what waits, the next start tries again
            logger.warning("no thread for worker %d of %d", len(self._threads), self.capacity, exc_info=True)
        else:
            self._threads.append(thread)

    def cancel(self, key: AttemptKey) -> bool:
        """Mark an attempt: one that waits for a worker comes back as `returned`, one that runs is made up for.

        One that never got here comes back, too: its start was lost with the commit that failed behind it.
        """
        if key not in self._known:
            self._report(AttemptFinished(key=key, outcome="returned"))
            return False
        self._cancelled.add(key)
        if self._has_ended(key):
            return False
        batch = self._batches.get(key)
        keys = (key,) if batch is None else (batch.key, *batch.others)
        if any(self._is_awaited(each) for each in keys):
            self._tell(key)
            return False  # its worker is not lost for that
        made_up = self._abandon(keys)
        return not self._has_ended(key) and made_up

    def _abandon(self, keys: tuple[AttemptKey, ...]) -> bool:
        """Stop a call that nobody waits for, and make up for its worker; whether the capacity has grown."""
        call = keys[0]
        with self._lock:
            if call not in self._running or call in self._made_up:
                return False
            made_up = len(self._made_up) < MAX_MADE_UP
            if made_up:
                self._made_up.add(call)
                self.capacity += 1
                self._hire()
        for each in keys:  # whichever of them the call goes by
            self._stop(each)
        if not any(self._known.get(each, each) is None for each in keys):
            self._give_back(call)  # the call may have looked before there was anything to give back
            return False
        return made_up

    def _is_awaited(self, key: AttemptKey) -> bool:
        return key not in self._cancelled and self._known.get(key, key) is None

    def _has_ended(self, key: AttemptKey) -> bool:
        """Take back what `cancel` did if an attempt is unknown, or has ended meanwhile."""
        if self._known.get(key, key) is None:
            return False
        self._cancelled.discard(key)
        if key in self._made_up:
            self._give_back(key)
        return True

    def _give_back(self, key: AttemptKey) -> None:
        with self._lock:
            if key in self._made_up:
                self._made_up.remove(key)
                self.capacity -= 1

    def is_cancelled(self, key: AttemptKey) -> bool:
        """Whether nobody waits for a running attempt any more."""
        return key in self._cancelled

    @property
    def abandoned(self) -> int:
        """Functions that still run though nobody waits for them any more."""
        return sum(map(self._is_lost, list(self._running)))

    def _is_lost(self, call: AttemptKey) -> bool:
        """Whether nobody waits for a call that runs, nor for any attempt that it is made for."""
        batch = self._batches.get(call)
        if batch is None:
            return call in self._cancelled
        keys = (batch.key, *batch.others)
        return not self._cancelled.isdisjoint(keys) and not any(map(self._is_awaited, keys))

    @property
    def under_way(self) -> int:
        """Attempts whose ends are not durable, those aside that nobody waits for any more."""
        return len(self._known.keys() - self._cancelled)

    def acknowledge(self, key: AttemptKey) -> None:
        """Forget an attempt whose end is durable."""
        self._known.pop(key, None)

    def report_unacknowledged(self) -> None:
        """Report again what was finished and not acknowledged: after a rebuild it may have been lost."""
        for end in list(self._known.values()):
            if end is not None:
                self._report(end)

    @contextlib.contextmanager
    def blocking(self, key: AttemptKey) -> Iterator[None]:
        """Mark the worker of an attempt as waiting for other work of this engine: once, for however much that is.

        `WouldDeadlockError` if that would leave no worker to do it.
        """
        with self._lock:
            if key not in self._blocked and len(self._blocked) + 1 >= self.capacity:
                msg = (
                    f"all {self.capacity} workers would be waiting for other jobs and none left to run them; "
                    "do not wait inside a job: make it a step that depends on the other, or raise workers="
                )
                raise WouldDeadlockError(msg)
            self._blocked[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocked[key] -= 1
                if not self._blocked[key]:
                    del self._blocked[key]

    def close(self, grace_s: float) -> bool:
        """Begin nothing new; wait for what runs. What still runs after the grace is abandoned."""
        with self._lock:
            self._closing = True
            for _ in self._threads:
                self._waiting.put(None)
            idle = self._idle.wait_for(
                lambda: all(map(self._is_lost, list(self._running))), timeout=max(0.0, grace_s)
            )
        self._end()
        return idle

    def _work(self) -> None:
        while True:
            attempt = self._waiting.get()
            if attempt is None:
                return
            key = attempt.key
            self._running.add(key)  # before the look at `_closing`: who closes looks the other way round
            try:
                if not self._closing:
                    self._take(attempt)
            finally:  # only now: who closes says next that whatever has not been reported is interrupted
                self._running.discard(key)
                if self._closing:
                    with self._idle:
                        self._idle.notify_all()
            if len(self._threads) > self.capacity and self._is_left_over():
                return

    def _take(self, attempt: StartAttempt) -> None:
        if attempt.batched:
            self._take_batch(attempt)
            return
        key = attempt.key
        if key in self._cancelled:
            end = AttemptFinished(key=key, outcome="returned", correlation=attempt.correlation)
        else:
            end = self._run(attempt)
            self._end_if_forked()
        self._known[key] = end
        if key in self._cancelled:
            self._cancelled.discard(key)
            self._give_back(key)
        self._report(end)

    def _take_batch(self, attempt: StartAttempt) -> None:
        keys = (attempt.key, *attempt.others)
        for key in keys:
            if key in self._cancelled:
                self._known[key] = end = AttemptFinished(key=key, outcome="returned")
                self._report(end)
        left = [key for key in keys if self._known.get(key, key) is None]
        if left:
            assert self._run_batch is not None
            self._run_batch(StartAttempt(key=left[0], batched=True, others=tuple(left[1:])), self._settle)
        for key in keys:
            del self._batches[key]
            self._cancelled.discard(key)
        self._give_back(attempt.key)

    def _end_if_forked(self) -> None:
        """End a child that a function has forked and that comes back, too: what waits here would be done once more."""
        if _Descent.depth != self._depth:
            os._exit(0)

    def _settle(self, end: AttemptFinished) -> None:
        """Take the end of one of a batch; was it the last that anybody waits for, the call is abandoned."""
        self._end_if_forked()
        self._known[end.key] = end
        batch = self._batches.get(end.key) if self._cancelled else None
        if batch is not None:
            keys = (batch.key, *batch.others)
            going = [key for key in keys if self._known.get(key, key) is None]
            if going and self._cancelled.issuperset(going):
                self._abandon(keys)
        self._report(end)

    def _is_left_over(self) -> bool:
        """Whether the calling thread is no longer needed: the one that took its place stays."""
        with self._lock:
            if len(self._threads) <= self.capacity:
                return False
            self._threads.remove(threading.current_thread())
            return True
