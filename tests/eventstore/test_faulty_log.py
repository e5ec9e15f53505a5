"""The log that fails by plan: each fault leaves what it says, and a failed log refuses everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from eventstore.errors import OutcomeUnknownError, ReopenNeededError, StoreClosedError, StoreError
from eventstore.faulty_log import Fault, FaultyLog, random_plan
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from tests.eventstore.support import append, newest, record


def planned(*faults: Fault) -> FaultyLog:
    coming: Iterator[Fault] = iter(faults)
    return FaultyLog(MemoryLog(), lambda: next(coming, Fault.OK))


@pytest.mark.parametrize(
    ("fault", "in_cache", "on_medium"),
    [(Fault.BEFORE, 1, 1), (Fault.AFTER, 2, 2), (Fault.CACHED, 2, 1)],
)
def test_a_fault_leaves_what_it_says(fault: Fault, in_cache: int, on_medium: int) -> None:
    log = planned(Fault.OK, fault)
    append(log, "job:1")
    with pytest.raises(OutcomeUnknownError, match=fault.value):
        append(log, "job:2")
    assert log.reopen().position == in_cache
    assert isinstance(log.inner, MemoryLog)
    log.inner.power_failure()
    assert log.reopen().position == on_medium


def test_a_survived_fault_is_counted_and_nothing_else() -> None:
    log = planned(Fault.SURVIVED)
    assert append(log, "job:1").position == 1
    assert (log.survived, log.faults) == (1, [Fault.SURVIVED])


def test_a_failed_log_refuses_everything_until_it_is_reopened() -> None:
    log = planned(Fault.OK, Fault.BEFORE)
    append(log, "job:1")
    scan = log.frames()
    with pytest.raises(OutcomeUnknownError):
        append(log, "job:2")
    calls: list[Callable[[], object]] = [
        lambda: log.head,
        lambda: log.append([record("job:2")], expected=1, epoch=1, recorded_us=1),
        lambda: list(scan),
        lambda: list(log.frames()),
        lambda: log.history("job:1"),
        lambda: log.first("job:1"),
        lambda: log.last("job:1"),
        lambda: log.at(1),
        lambda: log.save_snapshot("queue", 0, b""),
        lambda: newest(log, "queue"),
    ]
    for call in calls:
        with pytest.raises(ReopenNeededError):
            call()
    log.reopen()
    assert append(log, "job:2").position == 2


def test_a_reopening_may_fail_too() -> None:
    failures = iter([True, True, False])
    log = FaultyLog(MemoryLog(), lambda: Fault.AFTER, reopening_fails=lambda: next(failures))
    with pytest.raises(OutcomeUnknownError):
        append(log, "job:1")
    for _ in range(2):
        with pytest.raises(StoreError, match="as planned"):
            log.reopen()
        with pytest.raises(ReopenNeededError):
            _ = log.head
    assert log.reopen().position == 1


def test_a_failed_log_can_be_closed() -> None:
    log = planned(Fault.BEFORE)
    with pytest.raises(OutcomeUnknownError):
        append(log, "job:1")
    log.close()
    with pytest.raises(StoreClosedError):
        log.reopen()


def test_the_same_seed_gives_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault]:
        plan = random_plan(Random(seed), before=0.2, after=0.2, cached=0.1, survived=0.1)
        return [plan() for _ in range(500)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(1)) == set(Fault)
    assert 150 < drawn(1).count(Fault.OK) < 250


@pytest.mark.parametrize("probabilities", [{"before": -0.1}, {"before": 0.6, "after": 0.6}])
def test_probabilities_that_are_none_are_refused(probabilities: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        random_plan(Random(0), **probabilities)


def test_only_a_log_in_memory_has_a_cache_to_lose(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as inner, pytest.raises(TypeError, match="MemoryLog"):
        append(FaultyLog(inner, lambda: Fault.CACHED), "job:1")
