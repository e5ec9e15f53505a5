"""Attempts in somebody else's pool of workers: a broken one is made anew, and only who broke it is charged."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    InvalidStateError,
    ProcessPoolExecutor,
    wait,
)
from typing import TYPE_CHECKING, Any, TypeAlias

from actors.runtime.desk import Desk, Guest, Said
from actors.runtime.errors import InputError, PoolClosedError
from actors.runtime.processes import TRIES, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from actors.runtime.desk import Address
    from actors.runtime.effects import AttemptKey

PoolFactory: TypeAlias = "Callable[[int], Executor]"
"""Makes a pool of so many workers."""


NOTICED_S = 1.0
"""How long after the end of a worker that was at work its pool is asked whether it has noticed."""
STARTED_S = 10.0
"""How much longer if that was not: workers that have had enough end, and others take their time to begin."""


class GivenBackError(PoolClosedError):
    """The pool broke under several attempts. This one may have done it: it is given back, and goes alone next time."""


class Generation:
    """One pool, until it breaks, or somebody in it is given up."""

    def __init__(self, pool: Executor, address: Address, workers: int) -> None:
        self.pool = pool
        self.address = address
        self.is_for_one = workers == 1
        self.guests: list[Guest] = []
        """Those that are there, or may have said something that was not read yet."""
        self.in_flight: dict[AttemptKey, Future[bytes] | None] = {}
        self.begun: dict[AttemptKey, Guest] = {}
        self.first_gone: Guest | None = None
        self.given_up: set[AttemptKey] = set()
        self.noticed = threading.Event()
        """It is known that it broke, or it is over."""
        self.is_broken = False
        self._accused: frozenset[AttemptKey] | None = None
        self._lock = threading.Lock()

    def accused(self) -> frozenset[AttemptKey]:
        """Return who was at work when the pool broke. Asked by each of them before it leaves."""
        with self._lock:
            if self._accused is None:
                for guest in tuple(self.guests):
                    guest.join()
                self._accused = frozenset(self.begun.keys() & self.in_flight.keys())
            return self._accused

    def has_broken_it(self, key: AttemptKey) -> bool:
        """Whether it was surely this attempt: alone at work, in the process that was the first to end."""
        is_alone = len(self.accused()) == 1
        return is_alone and (self.is_for_one or self.begun[key] is self.first_gone)

    @property
    def is_left(self) -> bool:
        """Whether nobody is in it but those that nobody waits for."""
        return self.in_flight.keys() <= self.given_up

    def end(self) -> None:
        """Have its workers end, by force if one is still at work, or if it broke."""
        self.noticed.set()
        by_force = self.is_broken or bool(self.in_flight)
        if by_force:
            _kill_workers(self.pool)
        _shut_down(self.pool)
        for guest in self.guests:
            guest.leave(kill=by_force)


def _kill_workers(pool: Executor) -> None:
    """End the processes of a pool of the standard library, those too that nobody knows as they have had no call.

    Until Python 3.12 a pool that breaks while it begins another process does not end that one, and waits for its end.
    """
    if isinstance(pool, ProcessPoolExecutor):
        for process in tuple((pool._processes or {}).values()):  # noqa: SLF001 -- public from 3.14 on only
            process.kill()


def _shut_down(pool: Executor) -> None:
    """Have a pool end, and wait for that on a thread of its own.

    A pool of the standard library that is shut down without waiting forgets at once what it needs to replace a worker
    that has had its share of calls (python/cpython#132969): what is left of it, workers or calls that nobody takes,
    would keep the interpreter from ending. Those of loky forget likewise.
    """
    try:
        threading.Thread(target=pool.shutdown, name="logistics-pool-end", daemon=True).start()
    except RuntimeError:  # no thread is to be had any more
        pool.shutdown(wait=False)


def _fail(calls: Iterable[Future[bytes] | None], error: BaseException) -> None:
    """Fail those calls that are not answered."""
    for call in calls:
        if call is not None:
            with contextlib.suppress(InvalidStateError):
                call.set_exception(error)


def _fail_forgotten(calls: Iterable[Future[bytes] | None], error: BaseException) -> None:
    """Fail those calls that a pool took at the moment at which it broke, and forgot: it answers all others at once."""
    _fail(wait([call for call in calls if call is not None and not call.done()], NOTICED_S).not_done, error)


class ExecutorPool:
    """Runs attempts in pools that a factory makes, each with one worker for each attempt that runs at one time.

    A pool that breaks takes everything in it along, and does not say whose fault that was. An attempt that was alone at
    work is charged if its process was the first to end; several are given back, and each of them goes alone, into a
    pool of its own, the next time.
    A worker cannot be stopped for one attempt: it is told, new attempts go to a new pool, and once all others have
    left the old one its processes are killed.
    """

    def __init__(self, factory: PoolFactory, perform: Callable[..., bytes], *args: Any, workers: int) -> None:
        """`perform` is what is called in the pool, with a request, an `Address` and `args`."""
        self._factory = factory
        self._perform = perform
        self._args = args
        self._workers = workers
        self._lock = threading.RLock()
        self._desk: Desk | None = None
        self._made = 0
        self._current: Generation | None = None
        self._generations: dict[int, Generation] = {}
        self._busy: dict[AttemptKey, Generation] = {}
        """By the first attempt of a call."""
        self._hear: dict[AttemptKey, Callable[[bytes], None]] = {}
        self._members: set[AttemptKey] = set()
        self._told: set[AttemptKey] = set()
        """Those of them that nobody waits for any more. Whoever begins is told again: it may have come late."""
        self._suspects: set[str] = set()
        """Jobs that may have broken a pool."""
        self._closed = False

    def run(
        self,
        keys: tuple[AttemptKey, ...],
        request: bytes,
        *,
        is_cancelled: Callable[[AttemptKey], bool],
        hear: Callable[[bytes], None],
    ) -> bytes:
        """Have the pool answer a request; `hear` is called with the news that come meanwhile.

        `keys` are the attempts that this is about; the first one is what the call goes by.
        `WorkerDiedError` if its worker ended before it had answered, `GivenBackError` if it may have been another's,
        `PoolClosedError` if the engine closes.
        """
        error: Exception | None = None
        for _ in range(TRIES):
            generation = self._enter(keys, hear)
            try:
                answer = self._submit(generation, keys, request, is_cancelled).result()
            except Exception as caught:  # noqa: BLE001 -- whatever a pool raises is the pool's fault
                error = caught
                if self._has_begun(generation, keys, caught) or all(map(is_cancelled, keys)):
                    break
            else:
                self._suspects.difference_update(each.job_id for each in keys)
                return answer
            finally:
                self._leave(generation, keys)
        self._suspects.difference_update(each.job_id for each in keys)
        said, _, _ = str(error).partition("\n")
        raise WorkerDiedError(f"the pool that ran it broke ({type(error).__name__}: {said})")

    def stop(self, key: AttemptKey) -> None:
        """Give up an attempt, if it is here: it is told, and killed as soon as that harms nobody else."""
        with self._lock:
            self.tell(key)
            generation = self._busy.get(key)
            if generation is None:
                return
            future = generation.in_flight[key]
            if future is not None and future.cancel():
                return
            generation.given_up.add(key)
            self._retire(generation)

    def tell(self, key: AttemptKey) -> None:
        """Let whoever makes an attempt know that nobody waits for it any more."""
        with self._lock:
            if key not in self._members:
                return
            self._told.add(key)
            for generation in self._generations.values():
                for guest in generation.guests:
                    guest.tell_to_stop(key)

    def close(self) -> None:
        """End all pools."""
        with self._lock:
            self._closed = True
            self._current = None
            for generation in self._generations.values():
                generation.end()
            self._generations.clear()
            if self._desk is not None:
                self._desk.close()

    def _enter(self, keys: tuple[AttemptKey, ...], hear: Callable[[bytes], None]) -> Generation:
        key = keys[0]
        with self._lock:
            if self._closed:
                raise PoolClosedError
            if not self._suspects.isdisjoint(each.job_id for each in keys):
                generation = self._make(1)
            else:
                generation = self._current = self._current or self._make(self._workers)
            generation.in_flight[key] = None
            self._busy[key] = generation
            self._hear[key] = hear
            self._members.update(keys)
            return generation

    def _make(self, workers: int) -> Generation:
        self._desk = self._desk or Desk(greet=self._greet, hear=self._heard, gone=self._gone)
        self._made += 1
        pool: object = self._factory(workers)
        if not isinstance(pool, Executor):
            msg = f"executor: expected a function that makes a concurrent.futures.Executor, it made {pool!r}"
            raise InputError(msg)
        generation = Generation(pool, self._desk.address(self._made), workers)
        self._generations[self._made] = generation
        return generation

    def _submit(
        self,
        generation: Generation,
        keys: tuple[AttemptKey, ...],
        request: bytes,
        is_cancelled: Callable[[AttemptKey], bool],
    ) -> Future[bytes]:
        future = generation.pool.submit(self._perform, request, generation.address, *self._args)
        with self._lock:
            generation.in_flight[keys[0]] = future
            is_broken = generation.is_broken
        if is_broken:
            _fail_forgotten([future], BrokenExecutor("it took a call while it broke"))
        stopped = list(filter(is_cancelled, keys))  # whoever cancelled it a moment ago did not find it here
        for key in stopped:
            (self.stop if len(stopped) == len(keys) else self.tell)(key)
        return future

    def _has_begun(self, generation: Generation, keys: tuple[AttemptKey, ...], error: Exception) -> bool:
        """Whether the function had been called before the pool failed; `GivenBackError` if others' had, too."""
        key = keys[0]
        generation.noticed.set()
        with self._lock:
            generation.is_broken |= isinstance(error, BrokenExecutor)
            if generation is self._current:
                self._current = None
            if self._closed:
                raise PoolClosedError from error
            not_begun = [call for each, call in generation.in_flight.items() if each not in generation.begun]
        if generation.is_broken:
            _fail_forgotten(not_begun, error)
        if isinstance(error, CancelledError) or not isinstance(error, BrokenExecutor):
            return key in generation.begun
        if key not in generation.accused():
            return False
        if key not in generation.given_up and not generation.has_broken_it(key):
            self._suspects.update(each.job_id for each in keys)
            raise GivenBackError from error
        return True

    def _leave(self, generation: Generation, keys: tuple[AttemptKey, ...]) -> None:
        key = keys[0]
        with self._lock:
            self._members.difference_update(keys)
            self._told.difference_update(keys)
            del generation.in_flight[key], self._busy[key], self._hear[key]
            generation.begun.pop(key, None)
            if generation is not self._current:
                self._retire(generation)

    def _retire(self, generation: Generation) -> None:
        """Let nobody else into a pool, and end it when all that somebody waits for have left."""
        if generation is self._current:
            self._current = None
        number = generation.address.generation
        if generation.is_left and self._generations.pop(number, None) is not None:
            generation.end()

    def _greet(self, number: int, guest: Guest) -> bool:
        with self._lock:
            generation = self._generations.get(number)
            if generation is None:
                return False
            generation.guests.append(guest)
            return True

    def _gone(self, number: int, guest: Guest) -> None:
        """Forget who has gone, and have the pool look whether it has died, if it has not noticed.

        The first one is remembered. A pool of the standard library watches those workers only that it had when it last
        woke up; a call wakes it. And it may take a call at the moment at which it breaks, and never answer that.
        """
        with self._lock:
            generation = self._generations.get(number)
            if generation is None:
                return
            generation.guests.remove(guest)
            generation.first_gone = generation.first_gone or guest
        if generation.noticed.wait(NOTICED_S):
            return
        with self._lock:
            is_lost = guest in generation.begun.values()
        if not is_lost and (generation.noticed.wait(STARTED_S) or not self._have_some_not_begun(generation)):
            return  # it has just ended. What is asked for nothing might never be answered, and outlive the program
        try:
            generation.pool.submit(int)
        except Exception as error:  # noqa: BLE001 -- whatever a pool raises is the pool's fault
            _fail(
                list(generation.in_flight.values()), error
            )  # all but the one that it overlooked know it already

    def _have_some_not_begun(self, generation: Generation) -> bool:
        with self._lock:
            return not generation.in_flight.keys() <= generation.begun.keys()

    def _heard(self, guest: Guest, said: Said) -> None:
        if said.news:
            hear = self._hear.get(said.key)
            if hear is not None:
                hear(said.news)
            return
        with self._lock:
            generation = self._busy.get(said.key)
            if generation is not None:
                generation.begun[said.key] = guest
            for key in self._told:
                guest.tell_to_stop(key)
