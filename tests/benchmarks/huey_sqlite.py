"""The peer huey on SQLite: WAL, `fsync=True`, results stored."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from huey import SqliteHuey
from huey.signals import SIGNAL_COMPLETE

from tests.benchmarks import measure, tasks
from tests.benchmarks.model import Case

WORKERS = 2
STEPS = 10


def open_huey(folder: Path) -> Any:
    logging.getLogger("huey").setLevel(logging.ERROR)
    return SqliteHuey("bench", filename=str(folder / "huey.db"), fsync=True)


def enqueue(count: int, folder: Path) -> Mapping[str, float]:
    return measure.one_by_one(open_huey(folder).task()(tasks.noop), count)


def enqueue_many(count: int, folder: Path) -> Mapping[str, float]:
    """There is no bulk call: one at a time."""
    return {"per_s": measure.one_by_one(open_huey(folder).task()(tasks.noop), count)["per_s"]}


def enqueue_from_threads(count: int, folder: Path) -> Mapping[str, float]:
    return measure.from_threads(open_huey(folder).task()(tasks.noop), count)


def drain(count: int, folder: Path) -> Mapping[str, float]:
    huey = open_huey(folder)
    task = huey.task()(tasks.noop)
    for number in range(count):
        task(number)
    done = _completions(huey)
    rate = measure.rate(count, lambda: _serve(huey, done, count))
    assert huey.result_count() == count
    return {"per_s": rate}


def chain(count: int, folder: Path) -> Mapping[str, float]:
    """A pipeline of ten tasks, each result stored."""
    huey = open_huey(folder)
    step = huey.task()(_pass_on)
    done = _completions(huey)

    def start() -> None:
        pipeline = step.s(1)
        for _ in range(STEPS - 1):
            pipeline = pipeline.then(step)
        huey.enqueue(pipeline)

    def run() -> None:
        start()
        _wait_for(done, STEPS)

    # A worker that finds nothing to do sleeps; the shortest pause that it can be given stands for none.
    stop = _start_consumer(huey, pause_s=0.001)
    latency = measure.median_ms(run, max(3, count // 10))
    stop()
    for _ in range(count):
        start()
    return {
        "latency_ms": latency,
        "per_s": measure.rate(count * STEPS, lambda: _serve(huey, done, count * STEPS)),
    }


def _pass_on(value: int) -> int:
    return value


def _completions(huey: Any) -> threading.Semaphore:
    """Released once for each task that is complete, its result stored."""
    done = threading.Semaphore(0)
    huey.signal(SIGNAL_COMPLETE)(lambda *_: done.release())
    return done


def _wait_for(done: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        done.acquire()


def _serve(huey: Any, done: threading.Semaphore, count: int) -> None:
    """Run a consumer until `count` tasks are complete."""
    stop = _start_consumer(huey, pause_s=0.1)
    _wait_for(done, count)
    threading.Thread(target=stop).start()


def _start_consumer(huey: Any, *, pause_s: float) -> Callable[[], object]:
    consumer = huey.create_consumer(
        workers=WORKERS, initial_delay=pause_s, max_delay=pause_s, periodic=False, check_worker_health=False
    )
    consumer.start()
    return lambda: consumer.stop(graceful=True)


CASES: Mapping[str, Case] = MappingProxyType(
    {"W1": enqueue, "W1b": enqueue_many, "W1c": enqueue_from_threads, "W2": drain, "W3": chain}
)
