"""How a large store opens, and what it costs to look one job up: `python -m tests.benchmarks.large_store`.

The log is written straight, as an engine would have: jobs that have run, three events each. Every figure is measured
in the same process, with the file in the page cache.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actors.folding import event_codec
from actors.snapshotting import take_snapshot
from eventstore.lmdb_log import LmdbLog
from logistics import OrchestrationEngine
from tests.benchmarks.own_log import events_of_job

EVENTS_PER_JOB = 3
JOBS_PER_COMMIT = 333
LOOK_UPS = 200


def main(arguments: list[str] | None = None) -> None:
    """Build a store and print figures, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where the store is made; a temporary folder, if left out"
    )
    parser.add_argument("--keep", type=Path, help="the store, which is made if it is not there, and kept")
    parser.add_argument("--without", action="store_true", help="open it without a snapshot, too")
    chosen = parser.parse_args(arguments)
    jobs = chosen.events // EVENTS_PER_JOB
    if chosen.keep is not None:
        _measure(chosen.keep, jobs, without=chosen.without)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        _measure(Path(folder) / "store", jobs, without=chosen.without)


def _measure(store: Path, jobs: int, *, without: bool) -> None:
    if not store.exists():
        _say("build", _took(lambda: build(store, jobs)), "s")
    if without:
        _say("open without a snapshot", _took(lambda: opened(store)), "s")
    with LmdbLog.open(store, read_only=True) as log:
        head = log.head.position
    _say("take a snapshot", _took(lambda: take_snapshot(store, head)), "s")
    _say("open with a snapshot", _took(lambda: opened(store)), "s")
    _say("history of one job, median", look_up(store, jobs) * 1e3, "ms")
    _say("file", (store / "data.mdb").stat().st_size / 2**20, "MiB")


def build(folder: Path, jobs: int) -> None:
    """Append the events of so many jobs."""
    codec = event_codec()
    with LmdbLog.open(folder) as log:
        for first in range(0, jobs, JOBS_PER_COMMIT):
            few = range(first, min(first + JOBS_PER_COMMIT, jobs))
            events = [(event, "") for number in few for event in events_of_job(number)]
            records = codec.records(events, cause="command:1")
            log.append(records, expected=log.head.position, epoch=1, recorded_us=1 + first)


def opened(folder: Path) -> None:
    """Open the store until it takes commands, and close it."""
    begin, used = time.perf_counter(), time.process_time()
    engine = OrchestrationEngine(folder)
    _say("  … until it takes commands", time.perf_counter() - begin, "s")
    _say("  … of which on a processor", time.process_time() - used, "s")
    engine.store.runtime.keeper.policy = engine.store.runtime.keeper.policy._replace(least_events=1 << 40)
    engine.close()


def look_up(folder: Path, jobs: int) -> float:
    """Return how long the history of one job takes, of jobs all over the log."""
    with LmdbLog.open(folder, read_only=True) as log:
        numbers = [jobs * n // LOOK_UPS for n in range(LOOK_UPS)]
        return statistics.median(_took(lambda n=n: _history(log, n)) for n in numbers)  # type: ignore[misc]


def _history(log: LmdbLog, number: int) -> None:
    assert len(log.history(f"job:{number:024x}")) == EVENTS_PER_JOB


def _took(do: Callable[[], object]) -> float:
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def _say(what: str, figure: float, unit: str) -> None:
    print(f"{what}: {figure:,.3f} {unit}", flush=True)


if __name__ == "__main__":
    main()
