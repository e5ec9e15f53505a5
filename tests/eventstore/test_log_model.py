"""Any sequence of calls: the log in memory and the log on disk do what a plain list does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from eventstore import archive, entity_index
from eventstore.archive import write_archive
from eventstore.errors import CompactedError, ConflictError, FencedError
from eventstore.joined_log import JoinedLog
from eventstore.lmdb_log import LmdbLog
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from eventstore.records import Record, Stored
from eventstore.retention import Compaction, Horizon
from tests.eventstore.support import newest, record
from tests.support.scale import scaled

ENTITIES = st.sampled_from(["job:1", "job:2", "run:1", "n" * 450, "n" * 451])
UPTO = st.none() | st.integers(0, 40)


def kept_entries(log: Log, kept: set[str], end: int) -> list[tuple[str, list[int]]]:
    """What a compaction up to `end` is told to keep: entities that have records, and where these are."""
    entries = [(name, [each.position for each in log.history(name, upto=end)]) for name in sorted(kept)]
    return [(name, positions) for name, positions in entries if positions]


class LogMachine(RuleBasedStateMachine):
    """The model is the list of all records; a frame is a slice of it."""

    open_log: Callable[[Path], Log]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.log = type(self).open_log(Path(self.folder.name) / "store")
        self.reader = self.log
        self.model: list[Stored] = []
        self.ends: list[int] = []
        self.epoch = 0
        self.horizon = 0
        self.forgotten: set[int] = set()

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()

    def within(self, upto: int | None) -> list[Stored]:
        there = self.model if upto is None else self.model[:upto]
        return [stored for stored in there if stored.position not in self.forgotten]

    @rule(entities=st.lists(ENTITIES, min_size=1, max_size=5), epochs=st.integers(0, 2))
    def append(self, entities: list[str], epochs: int) -> None:
        self.epoch += epochs
        records: list[Record] = [record(e, number=n) for n, e in enumerate(entities)]
        end = len(self.model)
        head = self.log.append(records, expected=end, epoch=self.epoch, recorded_us=end)
        self.model += [Stored(end + n, end, record) for n, record in enumerate(records, 1)]
        self.ends.append(head.position)

    @rule(off=st.integers(-3, 3).filter(bool))
    def append_elsewhere(self, off: int) -> None:
        with pytest.raises(ConflictError):
            self.log.append([record("x")], expected=len(self.model) + off, epoch=self.epoch, recorded_us=0)

    @rule()
    def append_too_late(self) -> None:
        with pytest.raises(FencedError):
            self.log.append([record("x")], expected=len(self.model), epoch=self.epoch - 1, recorded_us=0)

    @rule()
    def reopen(self) -> None:
        assert self.log.reopen() == self.log.head

    @rule(data=st.data(), kept=st.sets(ENTITIES))
    def compact(self, data: st.DataObject, kept: set[str]) -> None:
        ends = [end for end in self.ends[:-1] if end > self.horizon]
        if not ends:
            return
        end = data.draw(st.sampled_from(ends))
        (last,) = self.log.frames(after=end - 1, upto=end)
        entries = kept_entries(self.log, kept, end)
        self.log.compact(Compaction(Horizon(last.head, "old"), entries, {"state": b"base"}, len(self.model)))
        self.horizon = end
        self.forgotten |= {each.position for each in self.model[:end] if each.record.entity not in kept}

    @rule(most=st.integers(1, 3))
    def tidy(self, most: int) -> None:
        while most and self.log.tidy():
            most -= 1

    @rule(entity=ENTITIES, upto=UPTO)
    def look_up(self, entity: str, upto: int | None) -> None:
        expected = [stored for stored in self.within(upto) if stored.record.entity == entity]
        assert self.reader.history(entity, upto=upto) == expected
        assert self.reader.first(entity, upto=upto) == (expected[0] if expected else None)
        assert self.reader.last(entity, upto=upto) == (expected[-1] if expected else None)

    @rule(prefix=st.sampled_from(["", "job:", "run:", "n", "x"]), before=st.none() | ENTITIES, upto=UPTO)
    def list_entities(self, prefix: str, before: str | None, upto: int | None) -> None:
        there = {stored.record.entity for stored in self.within(upto)}
        expected = [each for each in there if each.startswith(prefix) and (before is None or each < before)]
        assert list(self.reader.entities(prefix, before=before, upto=upto)) == sorted(expected, reverse=True)

    @rule(position=st.integers(-1, 40))
    def look_at(self, position: int) -> None:
        if position in self.forgotten:
            with pytest.raises(CompactedError):
                self.reader.at(position)
            return
        expected = self.model[position - 1] if 1 <= position <= len(self.model) else None
        assert self.reader.at(position) == expected

    @rule(after=st.integers(-1, 40), upto=UPTO)
    def scan(self, after: int, upto: int | None) -> None:
        end = len(self.model) if upto is None else min(upto, len(self.model))
        if max(after, 0) < min(self.horizon, end):
            with pytest.raises(CompactedError):
                list(self.reader.frames(after=after, upto=upto))
            return
        frames = list(self.reader.frames(after=after, upto=upto))
        found = [frame.stored(n) for frame in frames for n in range(frame.first, frame.last + 1)]
        assert found == self.model[max(after, 0) : end]
        assert all(frame.last in self.ends for frame in frames[:-1])

    @rule(data=st.binary(max_size=20))
    def take_a_snapshot(self, data: bytes) -> None:
        self.log.save_snapshot("state", len(self.model), data)
        assert newest(self.log, "state") == (len(self.model), data)

    @invariant()
    def the_head_is_the_end(self) -> None:
        head = self.log.head
        assert head.position == len(self.model)
        if self.model:
            assert head.epoch == self.epoch


class JoinedMachine(LogMachine):
    """What is taken out is archived, or not, and the log is read together with its archive."""

    def __init__(self) -> None:
        super().__init__()
        self.archive = Path(self.folder.name) / "archive"
        self.reader = JoinedLog(self.log, self.archive)

    @staticmethod
    def open_log(path: Path) -> Log:
        return LmdbLog.open(path, segment_records=4)

    @rule(data=st.data(), kept=st.sets(ENTITIES), archived=st.booleans())
    def compact(self, data: st.DataObject, kept: set[str], *, archived: bool) -> None:
        ends = [end for end in self.ends[:-1] if end > self.log.horizon.head.position]
        if not ends:
            return
        end = data.draw(st.sampled_from(ends))
        (last,) = self.log.frames(after=end - 1, upto=end)
        entries = kept_entries(self.log, kept, end)
        if archived:
            write_archive(self.log, self.archive, upto=last.head)
        else:
            self.horizon = end
        self.log.compact(Compaction(Horizon(last.head, ""), entries, {}, len(self.model)))
        there = {position for _, positions in entries for position in positions}
        self.forgotten = set(range(1, self.horizon + 1)) - there


class MemoryMachine(LogMachine):
    @staticmethod
    def open_log(path: Path) -> Log:
        return MemoryLog()


class DiskMachine(LogMachine):
    @staticmethod
    def open_log(path: Path) -> Log:
        return LmdbLog.open(path)


class SegmentsMachine(LogMachine):
    @staticmethod
    def open_log(path: Path) -> Log:
        return LmdbLog.open(path, segment_records=4)


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(MemoryMachine, 60), (DiskMachine, 20), (SegmentsMachine, 20), (JoinedMachine, 20)],
)
def test_a_log_does_what_a_list_does(machine: Any, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_index, "MERGED", 3)
    monkeypatch.setattr(entity_index, "MANY", 3)
    monkeypatch.setattr(entity_index, "PIECE_ROWS", 1)
    monkeypatch.setattr(archive, "_BLOCK_BYTES", 300)
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=scaled("machines", examples), stateful_step_count=30, deadline=None),
    )
