"""The same jobs alone, and while somebody hears of every event: how much slower, and how late that one is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from logistics import JobScheduler, OrchestrationEngine, Queue
from tests.benchmarks.measure import wait_until

Position = Callable[[], int]
"""How far a follower is."""
Follower = Callable[[OrchestrationEngine, Path], AbstractContextManager[Position]]


def beside(count: int, folder: Path, fill: Callable[[Queue, int], None]) -> Mapping[str, float]:
    """Return the rate of jobs alone, its percentages beside followers, and how late these were at the end."""
    followers = {
        "before": _nobody,
        "subscribed": _subscribed,
        "tailed": _tailed,
        "failing": _failing,
        "after": _nobody,
    }
    found = {name: _drained(count, folder / name, fill, each) for name, each in followers.items()}
    alone_s = min(found["before"][0], found["after"][0])
    figures = {"alone_per_s": count / alone_s}
    for name in ("subscribed", "tailed", "failing"):
        figures[f"{name}_percent"] = 100 * alone_s / found[name][0]
    for name in ("subscribed", "tailed"):  # the third is behind for as long as it tries again
        figures[f"{name}_behind_ms"] = found[name][1] * 1e3
    return figures


def _drained(
    count: int, folder: Path, fill: Callable[[Queue, int], None], follower: Follower
) -> tuple[float, float]:
    """Return how long the jobs took, and how long after them the follower had heard of all."""
    with OrchestrationEngine(folder) as engine:
        queue = Queue("default", engine=engine)
        fill(queue, count)
        with follower(engine, folder) as position:
            begin = time.perf_counter()
            JobScheduler(engine=engine).process(queue)
            ended = time.perf_counter()
            end = engine.get_metrics()["events_total"]
            wait_until(lambda: position() >= end)
            return ended - begin, max(time.perf_counter() - ended, 1e-6)


@contextmanager
def _nobody(_engine: OrchestrationEngine, _folder: Path) -> Iterator[Position]:
    yield lambda: sys.maxsize


@contextmanager
def _subscribed(engine: OrchestrationEngine, _folder: Path) -> Iterator[Position]:
    heard = [0]

    def hear(_event: object, position: int) -> None:
        heard[0] = position

    engine.subscribe("*", hear)
    yield lambda: heard[0]


@contextmanager
def _failing(engine: OrchestrationEngine, _folder: Path) -> Iterator[Position]:
    def fail(_event: object, _position: int) -> None:
        raise ValueError("it always fails")

    failing = engine.follow("failing", "*", fail)
    yield lambda: sys.maxsize
    failing.cancel()


@contextmanager
def _tailed(_engine: OrchestrationEngine, folder: Path) -> Iterator[Position]:
    """`logistics tail`, in a process of its own, writes to a file."""
    lines = folder.with_suffix(".jsonl")
    command = "tail --follow --json --limit 1 --store".split()
    with lines.open("wb") as output:
        tail = subprocess.Popen(
            [sys.executable, "-m", "logistics.cli.main", *command, str(folder)], stdout=output
        )
    try:
        wait_until(lambda: _last_position(lines) > 0)
        yield lambda: _last_position(lines)
    finally:
        tail.terminate()
        tail.wait()


def _last_position(lines: Path) -> int:
    with lines.open("rb") as file:
        file.seek(max(0, lines.stat().st_size - 10_000))
        whole = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return int(json.loads(whole)["position"]) if whole else 0
