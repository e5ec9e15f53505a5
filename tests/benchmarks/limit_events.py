"""The three events of a job as the bare limit writes them, and the store that it writes them to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import lmdb
import msgspec

MAP_SIZE = 8 << 30
FRAME = 1_000


class Enqueued(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="job.enqueued"):
    job_id: str
    queue: str
    name: str
    function: str
    arguments: bytes
    priority: int
    at_us: int


class Started(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="job.started"):
    job_id: str
    attempt: int
    at_us: int


class Completed(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="job.completed"):
    job_id: str
    attempt: int
    result: bytes
    at_us: int


Event = Enqueued | Started | Completed


def enqueued(number: int) -> Enqueued:
    """An event of about 200 bytes."""
    return Enqueued(
        job_id=f"job:{number:026d}",
        queue="default",
        name="a no-op job",
        function="tests.benchmarks.tasks:noop",
        arguments=b"\x92\x01" + b"x" * 100,
        priority=0,
        at_us=1_800_000_000_000_000 + number,
    )


def encoded(count: int, first: int = 0) -> Iterator[bytes]:
    encode = msgspec.msgpack.Encoder().encode
    return (encode(enqueued(number)) for number in range(first, first + count))


class Store:
    """Values under growing eight-byte keys, each commit synced as LMDB does it by default."""

    def __init__(self, folder: Path) -> None:
        self._environment = lmdb.open(str(folder), map_size=MAP_SIZE, lib_version=0)
        self._positions = itertools.count(1)

    def commit(self, *values: bytes) -> None:
        with self._environment.begin(write=True) as transaction:
            for value in values:
                key = next(self._positions).to_bytes(8, "big")
                transaction.put(key, value, append=True)

    def values(self) -> Iterator[bytes]:
        with self._environment.begin() as transaction:
            for _, value in transaction.cursor():
                yield value

    def close(self) -> None:
        self._environment.close()
