"""The log in memory: what is only cached is lost with the power, and with nothing else."""

from __future__ import annotations

import pytest

from eventstore.errors import ReopenNeededError, StoreClosedError
from eventstore.memory_log import MemoryLog
from eventstore.records import EMPTY
from tests.eventstore.support import append, newest, record


def cached(log: MemoryLog, *entities: str) -> None:
    position = log.head.position
    log.append_cached([record(e) for e in entities], expected=position, epoch=1, recorded_us=1)


def test_a_killed_process_leaves_the_cache() -> None:
    log = MemoryLog()
    append(log, "job:1")
    cached(log, "job:2")
    log.kill()
    with pytest.raises(ReopenNeededError):
        append(log, "job:3")
    assert log.reopen().position == 2
    assert log.synced == 1


def test_a_power_failure_takes_what_was_not_synced() -> None:
    log = MemoryLog()
    head = append(log, "job:1", "job:2")
    cached(log, "job:1", "job:3", "job:1")
    cached(log, "job:3")
    log.power_failure()
    with pytest.raises(ReopenNeededError):
        log.history("job:1")
    assert log.reopen() == head
    assert [stored.position for stored in log.history("job:1")] == [1]
    assert log.history("job:3") == []
    assert append(log, "job:3", "job:1").position == 4
    assert [stored.position for stored in log.history("job:1")] == [1, 4]
    assert [stored.position for stored in log.history("job:3")] == [3]


def test_a_successful_append_syncs_what_was_cached_before_it() -> None:
    log = MemoryLog()
    cached(log, "job:1")
    assert log.synced == 0
    append(log, "job:2")
    log.power_failure()
    assert log.reopen().position == log.synced == 2


def test_a_power_failure_may_take_everything() -> None:
    log = MemoryLog()
    cached(log, "job:1")
    log.power_failure()
    assert log.reopen() == EMPTY


def test_a_snapshot_of_what_was_lost_is_not_loaded() -> None:
    log = MemoryLog()
    append(log, "job:1")
    log.save_snapshot("kept", 1, b"1")
    cached(log, "job:2")
    log.save_snapshot("lost", 1, b"2")
    log.power_failure()
    log.reopen()
    assert newest(log, "lost") is None
    append(log, "job:other")
    assert newest(log, "lost") is None
    assert newest(log, "kept") == (1, b"1")


def test_a_closed_log_stays_closed_until_the_process_is_another() -> None:
    log = MemoryLog()
    append(log, "job:1")
    log.close()
    with pytest.raises(StoreClosedError):
        log.reopen()
    log.kill()
    assert log.reopen().position == 1
