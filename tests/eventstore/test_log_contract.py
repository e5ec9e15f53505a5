"""What every log promises, held against each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from eventstore.errors import CodecError, ConflictError, FencedError, StoreClosedError
from eventstore.faulty_log import FaultyLog
from eventstore.lmdb_log import LmdbLog
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from eventstore.records import EMPTY, Head, Record, Stored
from tests.eventstore.support import append, newest, record

MAKERS: dict[str, Callable[[Path], Log]] = {
    "memory": lambda path: MemoryLog(),
    "lmdb": lambda path: LmdbLog.open(path / "store", map_size=1 << 20),
    "lmdb with short segments": lambda path: LmdbLog.open(path / "store", segment_records=3),
    "faulty memory": lambda path: FaultyLog(MemoryLog()),
    "faulty lmdb": lambda path: FaultyLog(LmdbLog.open(path / "store")),
}


@pytest.fixture(params=MAKERS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


def numbers(found: list[Stored]) -> list[int]:
    return [stored.position for stored in found]


def test_a_new_log_is_empty(log: Log) -> None:
    assert log.head == EMPTY == Head(0, 0, bytes(32), 0)
    assert list(log.frames()) == []
    assert log.history("job:1") == []
    assert log.first("job:1") is log.last("job:1") is log.at(1) is None


def test_an_append_returns_the_new_head(log: Log) -> None:
    head = append(log, "job:1", "job:2", epoch=3, recorded_us=77)
    assert head == log.head
    assert (head.position, head.epoch, head.recorded_us) == (2, 3, 77)
    assert len(head.link) == 32


def test_frames_come_back_as_they_were_written(log: Log) -> None:
    first = append(log, "job:1", "job:2", recorded_us=5)
    second = append(log, "job:1", epoch=2, recorded_us=6)
    one, two = log.frames()
    assert (one.first, one.last, one.epoch, one.recorded_us) == (1, 2, 1, 5)
    assert (two.first, two.last, two.epoch, two.recorded_us) == (3, 3, 2, 6)
    assert one.records == [record("job:1", number=1), record("job:2", number=2)]
    assert (one.previous, one.link) == (bytes(32), first.link)
    assert (two.previous, two.link) == (first.link, second.link)
    assert one.head == first


def test_the_same_history_has_the_same_links_in_every_log(log: Log) -> None:
    append(log, "job:1", "job:2")
    append(log, "job:1")
    reference = MemoryLog()
    append(reference, "job:1", "job:2")
    append(reference, "job:1")
    assert log.head.link == reference.head.link


def test_positions_are_gapless_across_frames(log: Log) -> None:
    for size in (1, 3, 1, 2):
        append(log, *[f"job:{n}" for n in range(size)])
    frames = list(log.frames())
    assert [frame.first for frame in frames] == [1, 2, 5, 6]
    assert log.head.position == frames[-1].last == 7


def test_frames_stop_and_begin_inside_a_frame_when_asked(log: Log) -> None:
    append(log, "job:1", "job:2", "job:3")
    append(log, "job:4", "job:5", "job:6")
    for after in range(8):
        for upto in range(8):
            expected = list(range(after + 1, min(upto, 6) + 1))
            frames = list(log.frames(after=after, upto=upto))
            assert [n for frame in frames for n in range(frame.first, frame.last + 1)] == expected
            entities = [record.entity for frame in frames for record in frame.records]
            assert entities == [f"job:{n}" for n in expected]


def test_frames_end_at_the_head_of_their_beginning(log: Log) -> None:
    append(log, "job:1")
    frames = log.frames()
    assert next(frames).first == 1
    append(log, "job:2")
    assert list(frames) == []


def test_an_entity_is_found_by_its_index(log: Log) -> None:
    append(log, "job:1", "job:2", "job:1")
    append(log, "run:1")
    append(log, "job:1", "job:2")
    assert numbers(log.history("job:1")) == [1, 3, 5]
    assert numbers(log.history("job:2")) == [2, 6]
    first, last = log.first("job:1"), log.last("job:1")
    assert first == Stored(1, 1_000_000, record("job:1", number=1))
    assert last is not None
    assert last.position == 5
    assert log.history("job:") == []


@pytest.mark.parametrize("upto", range(8))
def test_no_read_sees_beyond_its_end(log: Log, upto: int) -> None:
    append(log, "job:1", "job:2", "job:1")
    append(log, "job:2", "job:1", "job:2")
    for entity, positions in (("job:1", [1, 3, 5]), ("job:2", [2, 4, 6])):
        seen = [position for position in positions if position <= upto]
        assert numbers(log.history(entity, upto=upto)) == seen
        first, last = log.first(entity, upto=upto), log.last(entity, upto=upto)
        assert (first and first.position) == (seen[0] if seen else None)
        assert (last and last.position) == (seen[-1] if seen else None)


def test_entities_come_by_prefix_from_the_greatest_downwards(log: Log) -> None:
    append(log, "run:2", "job:9", "run:1", "run:2", "runner:1")
    append(log, "run:10", "run:3", "run:1", "rum:1")
    assert list(log.entities("run:")) == ["run:3", "run:2", "run:10", "run:1"]
    assert list(log.entities("run:", before="run:2")) == ["run:10", "run:1"]
    assert list(log.entities("run:", before="run:15")) == ["run:10", "run:1"]
    assert list(log.entities("run:", before="zzz")) == list(log.entities("run:"))
    assert list(log.entities("run:", before="run:1")) == list(log.entities("run:", before="a")) == []
    assert list(log.entities("run:", upto=5)) == ["run:2", "run:1"]
    assert list(log.entities("")) == ["runner:1", "run:3", "run:2", "run:10", "run:1", "rum:1", "job:9"]
    assert list(log.entities("nobody:")) == []


def test_entities_that_come_while_they_are_listed_are_not_waited_for(log: Log) -> None:
    append(log, *[f"run:{number:04}" for number in range(600)])
    found = log.entities("run:")
    first = next(found)
    append(log, "run:0000x", "run:9999")
    assert [first, *found] == [f"run:{number:04}" for number in reversed(range(600))]


@pytest.mark.parametrize("size", [360, 363, 364, 367, 368, 395, 396, 397, 500])
def test_entities_of_any_length_are_listed(log: Log, size: int) -> None:
    entities = {f"run:{'é' * (size // 2)}{tail}" for tail in ("", "a", "b" * 40)}
    append(log, *entities, "run:1")
    assert set(log.entities("run:é")) == entities
    longest = max(entities, key=len)
    assert longest in set(log.entities(longest[:-1]))
    assert set(log.entities("run:")) == {*entities, "run:1"}


def test_a_record_is_found_by_its_position(log: Log) -> None:
    append(log, "job:1", "job:2")
    append(log, "job:3")
    found = [log.at(position) for position in (-1, 0, 1, 2, 3, 4)]
    assert [stored and stored.record.entity for stored in found] == [
        None, None, "job:1", "job:2", "job:3", None,
    ]  # fmt: skip


def test_an_append_at_a_stale_position_is_a_conflict_and_writes_nothing(log: Log) -> None:
    head = append(log, "job:1", "job:2")
    for expected in (0, 1, 3):
        with pytest.raises(ConflictError, match="ends at 2"):
            log.append([record("job:3")], expected=expected, epoch=1, recorded_us=1)
    assert log.head == head
    assert append(log, "job:3").position == 3


def test_an_append_of_a_stale_epoch_is_fenced(log: Log) -> None:
    append(log, "job:1", epoch=5)
    with pytest.raises(FencedError):
        append(log, "job:2", epoch=4)
    assert append(log, "job:2", epoch=5).position == 2


def test_an_append_of_nothing_or_of_no_entity_is_refused(log: Log) -> None:
    with pytest.raises(ValueError, match="at least one record"):
        log.append([], expected=0, epoch=1, recorded_us=1)
    with pytest.raises(ValueError, match="needs an entity"):
        log.append([record("job:1"), record("")], expected=0, epoch=1, recorded_us=1)
    assert log.head == EMPTY


@pytest.mark.parametrize(
    "bad", [Record("job:\ud800", 1, "", "", b""), Record("job:1", 2**64, "", "", b"")], ids=["text", "int"]
)
def test_what_cannot_be_encoded_is_refused_and_nothing_written(log: Log, bad: Record) -> None:
    with pytest.raises(CodecError):
        log.append([record("job:1"), bad], expected=0, epoch=1, recorded_us=1)
    assert log.head == EMPTY
    assert append(log, "job:1").position == 1


@pytest.mark.parametrize("entity", ["x", "ä" * 199, "é" * 200, "n" * 400, "n" * 401, "n" * 5000, "a\0b"])
def test_entities_of_any_length_are_told_apart(log: Log, entity: str) -> None:
    others = [entity + "!", entity[:-1] + "?", "n" * 368]
    append(log, entity, *others, entity)
    assert numbers(log.history(entity)) == [1, 5]
    assert numbers(log.history(others[0])) == [2]
    assert log.history(entity + "?") == []


def test_asking_for_what_cannot_be_an_entity_finds_nothing(log: Log) -> None:
    append(log, "job:1")
    for entity in ("", "\ud800"):
        assert log.history(entity) == []
        assert log.first(entity) is log.last(entity) is None


def test_a_log_reopens_to_what_it_was(log: Log) -> None:
    append(log, "job:1", "job:2")
    head = append(log, "job:1")
    before = list(log.frames())
    assert log.reopen() == head == log.head
    assert list(log.frames()) == before
    assert numbers(log.history("job:1")) == [1, 3]
    assert append(log, "job:3").position == 4


def test_the_caller_may_change_its_list_afterwards(log: Log) -> None:
    records = [record("job:1"), record("job:2")]
    log.append(records, expected=0, epoch=1, recorded_us=1)
    records.clear()
    assert [len(frame.records) for frame in log.frames()] == [2]
    assert log.at(2) is not None


def test_large_records_and_large_frames_come_back(log: Log) -> None:
    big = [record(f"job:{n}", "x" * 300_000) for n in range(3)]
    many = [record(f"run:{n % 100}", number=n) for n in range(3000)]
    log.append(big, expected=0, epoch=1, recorded_us=1)
    log.append(many, expected=3, epoch=1, recorded_us=1)
    assert [frame.records for frame in log.frames()] == [big, many]
    assert len(log.history("run:7")) == 30
    log.reopen()
    assert [log.first(f"job:{n}") for n in range(3)] == [Stored(n + 1, 1, big[n]) for n in range(3)]


def test_a_snapshot_comes_back_and_the_newest_wins(log: Log) -> None:
    append(log, "job:1", "job:2")
    assert newest(log, "queue") is None
    log.save_snapshot("queue", 1, b"one")
    log.save_snapshot("queue", 2, b"two")
    log.save_snapshot("../clock", 0, b"")
    assert newest(log, "queue") == (2, b"two")
    assert newest(log, "../clock") == (0, b"")
    append(log, "job:3")
    log.reopen()
    assert newest(log, "queue") == (2, b"two")


def test_a_snapshot_of_what_is_not_there_yet_is_refused(log: Log) -> None:
    append(log, "job:1")
    for position in (-1, 2):
        with pytest.raises(ValueError, match="beyond the log"):
            log.save_snapshot("queue", position, b"")


def test_a_closed_log_refuses_everything_and_closes_again(log: Log) -> None:
    append(log, "job:1")
    log.close()
    log.close()
    calls: list[Callable[[], object]] = [
        lambda: log.head,
        lambda: append(log, "job:2"),
        lambda: log.append([record("job:2")], expected=1, epoch=1, recorded_us=1),
        lambda: list(log.frames()),
        lambda: log.history("job:1"),
        lambda: log.first("job:1"),
        lambda: log.last("job:1"),
        lambda: list(log.entities("job:")),
        lambda: log.at(1),
        lambda: log.save_snapshot("queue", 0, b""),
        lambda: newest(log, "queue"),
        log.reopen,
    ]
    for call in calls:
        with pytest.raises(StoreClosedError):
            call()


def test_a_scan_that_is_under_way_notices_that_the_log_was_closed(log: Log) -> None:
    for entity in ("job:1", "job:2", "job:3"):
        append(log, entity)
    frames = log.frames()
    next(frames)
    log.close()
    with pytest.raises(StoreClosedError):
        list(frames)


def test_the_chain_is_the_hash_of_what_is_stored(log: Log) -> None:
    append(log, "job:1")
    append(log, "job:2")
    links = [frame.link for frame in log.frames()]
    assert len({*links, bytes(32)}) == 3
    assert all(len(link) == sha256().digest_size for link in links)


def test_a_store_has_an_id(log: Log) -> None:
    assert log.store_id
    log.reopen()
    assert log.store_id == log.store_id
