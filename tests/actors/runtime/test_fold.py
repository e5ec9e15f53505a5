"""Rebuilding states: from the beginning, from snapshots, and what cannot be taken in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.queue.events import JobCompleted, JobEnqueued, JobStarted
from actors.queue.specs import JobSpec
from actors.runtime import fold as folding
from actors.runtime.fold import fold, snapshot_of
from actors.runtime.messages import Event
from eventstore.errors import ReplayError
from eventstore.memory_log import MemoryLog
from eventstore.records import Head, Record
from eventstore.retention import Horizon

CODEC = event_codec()
RULES = [actor.rules for actor in ACTORS]


def put(log: MemoryLog, *events: Event) -> None:
    records = [CODEC.record(event, entity=event.entity) for event in events]
    log.append(records, expected=log.head.position, epoch=1, recorded_us=1)


def life(job_id: str) -> list[Event]:
    spec = JobSpec(job_id, "q", "n", "m:f", b"")
    return [JobEnqueued(spec, b"", 1), JobStarted(job_id, 1, 1, 1), JobCompleted(job_id, 1, b"", 1, 1)]


def dumps(log: MemoryLog, **options: Any) -> dict[str, Any]:
    return {name: state.dump() for name, state in fold(log, CODEC, RULES, **options).items()}


def keep(log: MemoryLog, position: int, *, spoil: bool = False) -> None:
    for name, state in fold(log, CODEC, RULES, upto=position).items():
        data = snapshot_of(state)
        log.save_snapshot(name, position, data[:-1] if spoil else data)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    for number in range(6):
        put(log, *life(f"j{number}")[: 1 + number % 3])
    return log


def test_every_snapshot_and_its_tail_give_the_state_of_the_whole_log(log: MemoryLog) -> None:
    for position in range(log.head.position + 1):
        keep(log, position)
        for upto in range(log.head.position + 1):
            assert dumps(log, upto=upto, snapshots=True) == dumps(log, upto=upto)


def test_each_actor_may_begin_somewhere_else(log: MemoryLog) -> None:
    for position, name in enumerate(("queue", "supervisor", "clock"), 3):
        log.save_snapshot(name, position, snapshot_of(fold(log, CODEC, RULES, upto=position)[name]))
    assert dumps(log, snapshots=True) == dumps(log)


def test_f42_a_snapshot_that_does_not_fit_gives_way_to_an_older_one(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(log, 3)
    keep(log, 7, spoil=True)
    states, begun = folding.first_states(log, RULES)
    assert set(begun.values()) == {3}
    monkeypatch.setattr(folding, "fingerprint", lambda: b"other code")
    states, begun = folding.first_states(log, RULES)
    assert set(begun.values()) == {0}
    assert {name: state.dump() for name, state in states.items()} == dumps(log, upto=0)


def test_a_state_as_of_the_horizon_that_does_not_fit_is_tried_and_told_of_once(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(log, 3, spoil=True)
    monkeypatch.setattr(MemoryLog, "horizon", Horizon(Head(3, 1, bytes(32), 1), ""))
    _, begun = folding.first_states(log, RULES)
    assert set(begun.values()) == {0}
    assert caplog.text.count("does not fit and is ignored") == len(RULES)


def test_f19_an_event_that_its_state_cannot_take_in_is_named(log: MemoryLog) -> None:
    end = log.head.position
    put(log, *life("good"), JobStarted("never-enqueued", 1, 1, 1), *life("later"))
    with pytest.raises(
        ReplayError, match=f"'job.started' of 'job:never-enqueued' at position {end + 4}"
    ) as e:
        dumps(log)
    assert (e.value.position, e.value.entity) == (end + 4, "job:never-enqueued")
    assert isinstance(e.value.__cause__, KeyError)


def test_f59_an_event_from_a_newer_version_is_named_and_says_what_to_do(log: MemoryLog) -> None:
    end = log.head.position
    payload = msgspec.msgpack.encode(["job.teleported", "j0"])
    records = [Record("job:j0", 1, "", "", payload)]
    log.append(records, expected=end, epoch=1, recorded_us=1)
    with pytest.raises(ReplayError, match=f"'job.teleported'.*position {end + 1}.*unknown event") as error:
        dumps(log)
    assert "newer" in error.value.remedy


def test_bytes_that_are_no_event_are_named(log: MemoryLog) -> None:
    end = log.head.position
    log.append([Record("job:j0", 1, "", "", b"\xc1")], expected=end, epoch=1, recorded_us=1)
    with pytest.raises(ReplayError, match=f"'job:j0' at position {end + 1}"):
        dumps(log)
