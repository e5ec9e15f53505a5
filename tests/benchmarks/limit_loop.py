"""The bare queue loop: a Pykka actor, msgspec, a journal with group commit, two workers, no features."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec
import pykka

from tests.benchmarks import tasks
from tests.benchmarks.limit_events import Completed, Event, Started, Store, enqueued

WORKERS = 2
DISPATCH = 64
IN_FLIGHT = 1_024
ENQUEUE = 1_000

Jobs = tuple[int, ...]


class Item(NamedTuple):
    """What one decision hands over: its events, and what may happen once they are durable."""

    events: Sequence[bytes]
    release: Callable[[], object]


class Journal:
    """The one thread that writes: it takes all that waits, commits it as one frame, releases it in order."""

    def __init__(self, folder: Path) -> None:
        self._inbox: SimpleQueue[Item | None] = SimpleQueue()
        self._store = Store(folder)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def hand_over(self, item: Item) -> None:
        self._inbox.put(item)

    def stop(self) -> None:
        self._inbox.put(None)
        self._thread.join()
        self._store.close()

    def _run(self) -> None:
        encode = msgspec.msgpack.Encoder().encode
        going = True
        while going:
            taken = [self._inbox.get()]
            while not self._inbox.empty():
                taken.append(self._inbox.get())
            items = [item for item in taken if item is not None]
            going = len(items) == len(taken)
            if items:
                self._store.commit(encode([event for item in items for event in item.events]))
            for item in items:
                item.release()


class Work(NamedTuple):
    jobs: int
    chain: int


class Enqueue(NamedTuple):
    jobs: Jobs


class Done(NamedTuple):
    jobs: Jobs


class QueueActor(pykka.ThreadingActor):
    """Waiting jobs in, dispatches out; a job is run `chain` times over, each time with its three events."""

    use_daemon_thread = True

    def __init__(
        self, journal: Journal, workers: SimpleQueue[Jobs | None], work: Work, finished: threading.Event
    ) -> None:
        super().__init__()
        self._journal = journal
        self._workers = workers
        self._encode = msgspec.msgpack.Encoder().encode
        self._waiting: deque[int] = deque()
        self._links: dict[int, int] = {}
        self._in_flight = 0
        self._left = work.jobs
        self._chain = work.chain
        self._finished = finished

    def on_receive(self, message: Enqueue | Done) -> None:
        events: list[bytes] = []
        if isinstance(message, Enqueue):
            self._accept(message.jobs, events)
        else:
            self._complete(message.jobs, events)
        started = self._start(events)
        is_last = not self._left
        self._journal.hand_over(Item(events, lambda: self._release(started, is_last=is_last)))

    def _accept(self, jobs: Jobs, events: list[bytes]) -> None:
        for job in jobs:
            events.append(self._encode(enqueued(job)))
            self._waiting.append(job)

    def _complete(self, jobs: Jobs, events: list[bytes]) -> None:
        self._in_flight -= len(jobs)
        for job in jobs:
            events.append(self._encoded(Completed(f"job:{job:026d}", 1, b"\x01", job)))
            link = self._links.pop(job, 1)
            if link < self._chain:
                self._links[job] = link + 1
                self._accept((job,), events)
            else:
                self._left -= 1

    def _start(self, events: list[bytes]) -> list[Jobs]:
        dispatches: list[Jobs] = []
        while self._waiting and self._in_flight < IN_FLIGHT:
            size = min(DISPATCH, len(self._waiting))
            jobs = tuple(self._waiting.popleft() for _ in range(size))
            events.extend(self._encoded(Started(f"job:{job:026d}", 1, job)) for job in jobs)
            dispatches.append(jobs)
            self._in_flight += size
        return dispatches

    def _encoded(self, event: Event) -> bytes:
        return self._encode(event)

    def _release(self, started: list[Jobs], *, is_last: bool) -> None:
        for jobs in started:
            self._workers.put(jobs)
        if is_last:
            self._finished.set()


def run(folder: Path, count: int, chain: int = 1) -> None:
    """Enqueue `count` jobs, run each `chain` times, return when all that is durable."""
    workers: SimpleQueue[Jobs | None] = SimpleQueue()
    journal = Journal(folder)
    finished = threading.Event()
    actor = QueueActor.start(journal, workers, Work(count, chain), finished)
    threads = [threading.Thread(target=_work, args=(workers, actor)) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for first in range(0, count, ENQUEUE):
        actor.tell(Enqueue(tuple(range(first, min(first + ENQUEUE, count)))))
    finished.wait()
    for _ in threads:
        workers.put(None)
    for thread in threads:
        thread.join()
    actor.stop()
    journal.stop()


def _work(workers: SimpleQueue[Jobs | None], actor: pykka.ActorRef[QueueActor]) -> None:
    while (jobs := workers.get()) is not None:
        for job in jobs:
            tasks.noop(job)
        actor.tell(Done(jobs))
