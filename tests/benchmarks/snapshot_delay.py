"""What a snapshot of many live jobs costs those who send commands: `python -m tests.benchmarks.snapshot_delay`.

One caller adds jobs, without a pause, to a queue where many others wait. The engine takes a snapshot meanwhile, and
then takes none for as long; that several times. The goal is a snapshot that delays no command by more than 20 ms.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actors.assembly import ACTORS
from actors.runtime.keeper import SnapshotPolicy
from logistics import Job, OrchestrationEngine, Queue
from tests.benchmarks.measure import in_chunks
from tests.benchmarks.tasks import noop

LIVE = 100_000
ROUNDS = 5
AT_ONCE = SnapshotPolicy(events=1, least_events=1, pause_s=0.0)
NEVER = SnapshotPolicy(least_events=1 << 40)
LAST = ACTORS[-1].rules.name
"""Whose snapshot is written last."""


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a line for each round, and the medians of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=LIVE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", help="where the store is made; a temporary folder, if left out")
    chosen = parser.parse_args(arguments)
    found: list[tuple[list[float], list[float]]] = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        store = Path(folder) / "store"
        with OrchestrationEngine(store) as engine:
            engine.store.runtime.keeper.policy = NEVER
            queue = Queue("default", engine=engine)
            in_chunks(lambda few: queue.enqueue_many([Job("waits", noop, (n,)) for n in few]), chosen.live)
            for _ in range(chosen.rounds):
                found.append(_round(engine, queue, store))
                for name, took_ms in zip(("with a snapshot", "without one"), found[-1], strict=True):
                    print(f"{name:15}: {_figures(took_ms)}", flush=True)
    worst = [statistics.median(each[-1] for each in kind) for kind in zip(*found, strict=True)]
    print(f"longest call, median of the rounds: {worst[0]:.1f} ms with a snapshot, {worst[1]:.1f} ms without")


def _round(engine: OrchestrationEngine, queue: Queue, store: Path) -> tuple[list[float], list[float]]:
    """Return how long each call took while a snapshot was taken, and for as long afterwards; in ms, sorted."""
    before, keeper = _taken(store), engine.store.runtime.keeper
    keeper.policy = AT_ONCE
    begin = time.monotonic()
    beside = _calls(queue, lambda: _taken(store) == before)
    keeper.policy = NEVER
    end = 2 * time.monotonic() - begin
    return beside, _calls(queue, lambda: time.monotonic() < end)


def _calls(queue: Queue, goes_on: Callable[[], bool]) -> list[float]:
    """Add job after job for as long as that; return how long each took."""
    took_ms: list[float] = []
    job = Job("one more", noop, (0,))
    while goes_on():
        for _ in range(20):
            called = time.perf_counter()
            queue.enqueue(job)
            took_ms.append((time.perf_counter() - called) * 1e3)
    return sorted(took_ms)


def _taken(store: Path) -> list[str]:
    return sorted(path.name for path in store.glob(f"snapshots/{LAST}.*.snapshot"))


def _figures(took_ms: list[float]) -> str:
    p50, p99 = (took_ms[len(took_ms) * percent // 100] for percent in (50, 99))
    return f"{len(took_ms):,} calls, p50 {p50:.2f}, p99 {p99:.2f}, longest {took_ms[-1]:.2f} ms"


if __name__ == "__main__":
    main()
