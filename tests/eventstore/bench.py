"""How fast the store is beside what LMDB alone does: `python -m tests.eventstore.bench`, about half a minute.

Commits of the two are taken in turn, since on a shared machine only ratios say something.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any

import lmdb

from eventstore.lmdb_log import LmdbLog
from eventstore.records import Record
from tests.eventstore.support import CODEC, Noted
from tests.support.scale import scaled

FRAME = 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lone_appends(Path(folder))
        with LmdbLog.open(Path(folder) / "large") as log:
            large_frames(log)
            scans(log)
            look_ups(log)


def lone_appends(folder: Path) -> None:
    """One synced commit each: 200 bytes, the same with an index entry beside it, and our append."""
    rounds = scaled("bench_commits", 1500)
    records = [
        Record(f"job:{time.time_ns():016x}{n:016x}", 1, "cmd:1", "", b"x" * 150) for n in range(rounds)
    ]
    with (
        lmdb.open(str(folder / "bare"), map_size=1 << 34, max_dbs=3, lib_version=0) as environment,
        LmdbLog.open(folder / "small") as log,
    ):
        bare = environment.open_db(b"bare")
        frames, index = environment.open_db(b"frames"), environment.open_db(b"index", dupsort=True)

        def put(n: int) -> None:
            with environment.begin(write=True, db=bare) as transaction:
                transaction.put(pack(">Q", n), b"x" * 200, append=True)

        def put_both(n: int) -> None:
            with environment.begin(write=True) as transaction:
                transaction.put(pack(">Q", n), b"x" * 270, append=True, db=frames)
                transaction.put(records[n].entity.encode(), pack(">Q", n), db=index)

        def append(n: int) -> None:
            log.append([records[n]], expected=n, epoch=1, recorded_us=n)

        took = taken_in_turn(rounds, put, put_both, append)
    for name, median_s in zip(("bare put", "bare put with index", "append"), took, strict=True):
        print(f"{name:22} {median_s * 1e6:6.0f} µs a commit, {took[0] / median_s:.2f} of the bare rate")


def taken_in_turn(rounds: int, *actions: Callable[[int], None]) -> list[float]:
    """The median seconds of each."""
    times: list[list[float]] = [[] for _ in actions]
    for n in range(rounds):
        for action, taken in zip(actions, times, strict=True):
            began = time.perf_counter()
            action(n)
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def large_frames(log: LmdbLog) -> None:
    frames = scaled("bench_frames", 300)
    payload = CODEC.encode(Noted("a note", 7))
    for events, name in ((1, "one event a job"), (3, "three events a job")):
        batches = [
            [
                Record(f"job:{events}{(n * FRAME + m) // events:015x}{7919 * m:016x}", 1, "", "", payload)
                for m in range(FRAME)
            ]
            for n in range(frames // events)
        ]
        rate(f"append, frames of {FRAME}, {name}", len(batches) * FRAME, lambda: append_all(log, batches))  # noqa: B023


def append_all(log: LmdbLog, batches: list[list[Record]]) -> None:
    for batch in batches:
        log.append(batch, expected=log.head.position, epoch=1, recorded_us=1)


def scans(log: LmdbLog) -> None:
    size = log.head.position
    rate("frames()", size, lambda: [None for _ in log.frames()])
    rate("frames() and decode_frame", size, lambda: [None for f in log.frames() if CODEC.decode_frame(f)])


def look_ups(log: LmdbLog) -> None:
    entities = [record.entity for frame in log.frames(upto=20 * FRAME) for record in frame.records]
    for name in ("first", "last", "history"):
        look_up: Any = getattr(log, name)
        rate(f"{name}(), in the order of the log", len(entities), lambda: [look_up(e) for e in entities])  # noqa: B023
    rate("at(), in the order of the log", 20_000, lambda: [log.at(n) for n in range(1, 20_001)])


def rate(name: str, number: int, action: Callable[[], object]) -> None:
    began = time.perf_counter()
    action()
    print(f"{name:52} {number / (time.perf_counter() - began):10,.0f} /s")


if __name__ == "__main__":
    main()
