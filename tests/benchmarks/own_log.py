"""Our event store by itself: the events of jobs through codec and log, and the queue's fold of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from actors.folding import event_codec
from actors.queue.actor import QueueActor
from actors.queue.events import JobCompleted, JobEnqueued, JobStarted
from actors.queue.specs import JobSpec
from actors.runtime.fold import fold
from actors.runtime.messages import Event
from actors.runtime.values import encode_call, encode_result
from eventstore.lmdb_log import LmdbLog
from eventstore.records import Record
from tests.benchmarks.w12_event_store import ALONE, PER_COMMIT

FUNCTION = "tests.benchmarks.tasks:noop"


def append_and_fold(count: int, folder: Path) -> Mapping[str, float]:
    """Append the events of jobs in large commits, then those of some of them one by one; fold the large ones."""
    codec = event_codec()

    def record(event: Event) -> Record:
        return codec.record(event, entity=event.entity, cause="command:1")

    with LmdbLog.open(folder / "many") as log, LmdbLog.open(folder / "few") as lone:
        begin = time.perf_counter()
        for events in _chunks(range(count), PER_COMMIT // 3):
            log.append([record(each) for each in events], expected=log.head.position, epoch=1, recorded_us=1)
        append_s = time.perf_counter() - begin
        few = max(1, count // ALONE)
        begin = time.perf_counter()
        for events in _chunks(range(few), 1):
            for each in events:
                lone.append([record(each)], expected=lone.head.position, epoch=1, recorded_us=1)
        lone_s = time.perf_counter() - begin
    with LmdbLog.open(folder / "many") as log:
        begin = time.perf_counter()
        fold(log, codec, [QueueActor.rules])
        replay_s = time.perf_counter() - begin
    return {
        "append_per_s": 3 * count / append_s,
        "lone_per_s": 3 * few / lone_s,
        "replay_per_s": 3 * count / replay_s,
    }


def _chunks(numbers: Sequence[int], size: int) -> Iterator[list[Event]]:
    """Yield the events of so many jobs at a time."""
    for first in range(0, len(numbers), size):
        yield [event for number in numbers[first : first + size] for event in events_of_job(number)]


def events_of_job(number: int) -> tuple[Event, Event, Event]:
    """Return what a job that runs once records."""
    job_id = f"{number:024x}"
    spec = JobSpec(job_id, "default", "a no-op job", FUNCTION, encode_call((number,), {}))
    return (
        JobEnqueued(spec, b"0" * 16, number),
        JobStarted(job_id, 1, 1, number),
        JobCompleted(job_id, 1, encode_result(None), number, 1),
    )
