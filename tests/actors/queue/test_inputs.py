"""Jobs as they were enqueued, read by workers: the same in any order, and with few look-ups in theirs."""

from __future__ import annotations

import random
from threading import Event, Thread, current_thread
from types import SimpleNamespace
from typing import Any

import pytest

from actors.folding import event_codec
from actors.queue.admission import digest_of
from actors.queue.events import JobEnqueued
from actors.queue.inputs import AHEAD, SMALL, Inputs
from actors.queue.specs import JobSpec
from actors.runtime.vault import Vault
from eventstore.errors import CorruptStoreError, ReopenNeededError
from eventstore.keyring import KeyRing
from eventstore.memory_log import MemoryLog
from tests.actors.queue.bench import START, spec

JOBS = 2 * AHEAD


class CountingLog(MemoryLog):
    """A log that counts look-ups, and whose frames cannot be read if one says so."""

    looked_up = 0
    broken = False

    def first(self, entity: str, *, upto: int | None = None) -> Any:
        self.looked_up += 1
        return super().first(entity, upto=upto)

    def frames(self, *, after: int = 0, upto: int | None = None) -> Any:
        if self.broken:
            raise ReopenNeededError("not now")
        return super().frames(after=after, upto=upto)


def enqueued(*specs: JobSpec) -> tuple[CountingLog, Inputs]:
    log, codec = CountingLog(), event_codec()
    events = [JobEnqueued(each, digest_of(each), START) for each in specs]
    for first in range(0, len(events), 100):
        records = [codec.record(event, entity=event.entity) for event in events[first : first + 100]]
        log.append(records, expected=first, epoch=1, recorded_us=START)
    watermark = SimpleNamespace(watermark=len(events))
    vault = Vault(KeyRing(None), list)
    runtime: Any = SimpleNamespace(log=log, codec=codec, journal=watermark, vault=vault)
    return log, Inputs(runtime)


def many() -> list[JobSpec]:
    return [spec(f"job-{number}", payload=b"%d" % number) for number in range(JOBS)]


def test_jobs_that_start_in_the_order_of_the_log_are_read_in_long_stretches() -> None:
    log, inputs = enqueued(*many())
    assert [inputs.spec(each.job_id) for each in many()] == many()
    assert log.looked_up <= 2 + 2 * JOBS // AHEAD


def test_a_worker_that_comes_while_another_reads_ahead_waits_for_what_it_reads() -> None:
    """Else four workers that need four neighbours read the same stretch four times."""
    log, inputs = enqueued(*many())
    first, second = many()[:2]
    waits = Event()
    found: list[JobSpec] = []
    other = Thread(target=lambda: found.append(inputs.spec(second.job_id)))
    lock, frames = inputs._reading, log.frames

    class Seen:
        def __enter__(self) -> None:
            if current_thread() is other:
                waits.set()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    def reading(**what: Any) -> Any:
        other.start()
        assert waits.wait(60)
        return frames(**what)

    inputs._reading, log.frames = Seen(), reading  # type: ignore[assignment, method-assign]
    assert inputs.spec(first.job_id) == first
    other.join()
    assert found == [second]
    assert log.looked_up == 1


def test_jobs_that_start_in_another_order_are_the_same_jobs() -> None:
    log, inputs = enqueued(*many())
    shuffled = random.Random(1).sample(many(), JOBS)
    assert [inputs.spec(each.job_id) for each in shuffled] == shuffled
    assert log.looked_up > JOBS // 2, "nothing is read ahead without a sign that it is of use"


def test_a_job_may_be_asked_for_twice_and_a_large_one_is_not_kept() -> None:
    large = spec("large", payload=b"x" * (SMALL + 1))
    _, inputs = enqueued(spec("a"), spec("b"), large, spec("c"))
    for job_id in ("a", "b", "c", "large", "c", "b", "large"):
        assert inputs.spec(job_id).job_id == job_id
    assert len(inputs.spec("large").payload) == SMALL + 1


def test_what_cannot_be_read_ahead_is_nobodys_error() -> None:
    log, inputs = enqueued(*many())
    log.broken = True
    assert [inputs.spec(each.job_id) for each in many()[:50]] == many()[:50]


def test_a_job_that_is_not_in_the_log_is_damage() -> None:
    _, inputs = enqueued(spec("a"))
    with pytest.raises(CorruptStoreError, match="job:gone is not in the log, though its start is"):
        inputs.spec("gone")
