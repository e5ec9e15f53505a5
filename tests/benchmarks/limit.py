"""The bare limit: what LMDB, msgspec and Pykka do for the same durability, with no features on top."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from tests.benchmarks import limit_loop, measure, tasks
from tests.benchmarks.limit_events import FRAME, Enqueued, Event, Store, encoded, enqueued
from tests.benchmarks.limit_loop import Item, Journal
from tests.benchmarks.model import Case

STEPS = 10


def commit_each(count: int, folder: Path) -> Mapping[str, float]:
    """One event per synced commit."""
    store = Store(folder)
    encode = msgspec.msgpack.Encoder().encode
    return measure.one_by_one(lambda number: store.commit(encode(enqueued(number))), count)


def commit_in_bulk(count: int, folder: Path) -> Mapping[str, float]:
    """A thousand events per synced commit."""
    store = Store(folder)
    encode = msgspec.msgpack.Encoder().encode

    def commit(numbers: Sequence[int]) -> None:
        store.commit(encode([encode(enqueued(number)) for number in numbers]))

    return measure.in_chunks(commit, count)


def commit_from_threads(count: int, folder: Path) -> Mapping[str, float]:
    """Group commit: each caller waits for its own event."""
    journal = Journal(folder)
    encode = msgspec.msgpack.Encoder().encode

    def call(number: int) -> None:
        durable = threading.Lock()
        durable.acquire()
        journal.hand_over(Item((encode(enqueued(number)),), durable.release))
        durable.acquire()

    rates = measure.from_threads(call, count)
    journal.stop()
    return rates


def loop(count: int, folder: Path) -> Mapping[str, float]:
    """Three events a job, its enqueuing in the time measured."""
    return {"per_s": measure.rate(count, lambda: limit_loop.run(folder, count))}


def chain(count: int, folder: Path) -> Mapping[str, float]:
    """One synced commit per step; many chains at once share their commits."""
    (folder / "alone").mkdir()
    store = Store(folder / "alone")
    encode = msgspec.msgpack.Encoder().encode

    def run() -> None:
        for number in range(STEPS):
            tasks.step()
            store.commit(encode(enqueued(number)))

    latency = measure.median_ms(run, max(3, count // 10))
    store.close()
    at_once = folder / "at-once"
    at_once.mkdir()
    rate = measure.rate(count * STEPS, lambda: limit_loop.run(at_once, count, STEPS))
    return {"latency_ms": latency, "per_s": rate}


def scan(count: int, folder: Path) -> Mapping[str, float]:
    """Scan and decode events in frames of a thousand, the fold a count."""
    encode = msgspec.msgpack.Encoder().encode
    store = Store(folder)
    frames = (encode(list(encoded(FRAME, first))) for first in range(0, count, FRAME))
    store.commit(*frames)
    store.close()
    found = 0

    def replay() -> None:
        nonlocal found
        frame_of = msgspec.msgpack.Decoder(list[bytes]).decode
        event_of = msgspec.msgpack.Decoder(Event).decode
        for value in Store(folder).values():
            for payload in frame_of(value):
                found += isinstance(event_of(payload), Enqueued)

    rate = measure.rate(count, replay)
    return {"per_s": rate * found / count}


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "W1": commit_each,
        "W1b": commit_in_bulk,
        "W1c": commit_from_threads,
        "W2": loop,
        "W3": chain,
        "W4": scan,
    }
)
