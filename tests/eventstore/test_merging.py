"""Segments of the index become one a piece at a time, whatever happens between two pieces."""

from __future__ import annotations

from errno import EIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import entity_index
from eventstore.entity_index import MANY, MERGED, PIECE_ROWS, Change, EntityIndex
from eventstore.errors import CapReachedError, CompactedError, OutcomeUnknownError
from eventstore.lmdb_log import LmdbLog
from eventstore.records import EMPTY, Frame
from eventstore.retention import Compaction, Horizon
from eventstore.segments import Entries, merged_blocks, number_of
from tests.eventstore.support import append, record

PER_SEGMENT = 8
FEW = 16
BLOCKS = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True), max_size=4)


def sorted_blocks(found: list[list[str]], source: int) -> list[Entries]:
    """Return the blocks of one segment: no entity is in two of them."""
    entities = sorted({entity for block in found for entity in block})
    sizes = [len(block) for block in found]
    entries = [(entity, [source * 10, source * 10 + 1]) for entity in entities]
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    blocks = [entries[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return [block for block in blocks if block]


@given(st.lists(BLOCKS, max_size=5))
def test_segments_together_hold_what_each_held_in_order(found: list[list[list[str]]]) -> None:
    sources = [sorted_blocks(blocks, n) for n, blocks in enumerate(found)]
    expected: dict[str, list[int]] = {}
    for blocks in sources:
        for entity, positions in (entry for block in blocks for entry in block):
            expected[entity] = expected.get(entity, []) + positions
    merged = [entry for stretch in merged_blocks(map(iter, sources)) for entry in stretch]
    assert merged == sorted(expected.items())


def index_with_segments(count: int, each: int) -> tuple[EntityIndex, dict[bytes, bytes]]:
    """Return an index that has so many segments, each of so many entities, and its rows."""
    rows: dict[bytes, bytes] = {}
    index = EntityIndex((), lambda keys: [rows.get(key) for key in keys], segment_records=each)
    for number in range(count):
        names = [f"job:{number * each + n:08}" for n in range(each)]
        first = number * each + 1
        records = [record(name) for name in names]
        index.add(Frame(first, 1, 1, EMPTY.link, bytes(32), records))
        change = index.due()
        assert change is not None
        take(index, rows, change)
    return index, rows


def take(index: EntityIndex, rows: dict[bytes, bytes], change: Change) -> None:
    rows.update(change.rows)
    index.take(change)


def merge_whole(index: EntityIndex, rows: dict[bytes, bytes]) -> int:
    """Merge as much as is due; return how many segments there are then."""
    while (change := index.merge()) is not None:
        take(index, rows, change)
    return len(index.version)  # type: ignore[arg-type]  # the segments


def test_segments_become_one_once_looking_at_each_has_cost_as_much() -> None:
    index, rows = index_with_segments(MERGED, 100)
    assert merge_whole(index, rows) == MERGED
    for _ in range(2 * entity_index._PROBES_PER_BLOCK):
        assert index.all_of("job:00000007", end=100) == [8]
    assert merge_whole(index, rows) == 1


def test_very_many_segments_become_fewer_though_nobody_looks_anything_up() -> None:
    index, rows = index_with_segments(MANY, 1)
    assert merge_whole(index, rows) < MANY


def test_no_transaction_holds_more_than_a_piece_of_a_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_index, "MANY", 0)
    index, rows = index_with_segments(MERGED, 10 * PIECE_ROWS)
    pieces = 0
    while (change := index.merge()) is not None:
        assert len(change.rows) <= PIECE_ROWS
        assert index.all_of("job:00000007", end=100) == [8]
        take(index, rows, change)
        pieces += 1
    assert pieces > 2
    assert len(index.version) == 1  # type: ignore[arg-type]  # the segments
    assert index.all_of("job:00000700", end=1_000) == [701]


# -- on disk ----------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Few segments, a row in each piece: there are as many places to be cut off as can be."""
    monkeypatch.setattr(entity_index, "MERGED", FEW)
    monkeypatch.setattr(entity_index, "MANY", FEW)
    monkeypatch.setattr(entity_index, "PIECE_ROWS", 1)
    return tmp_path / "store"


def fill(log: LmdbLog) -> None:
    for n in range(FEW):
        append(log, "run:1", *(f"job:{n:03}-{m}" for m in range(PER_SEGMENT)))


def opened(path: Path) -> LmdbLog:
    return LmdbLog.open(path, segment_records=PER_SEGMENT)


def is_right(log: LmdbLog) -> bool:
    each = PER_SEGMENT + 1
    positions = [[s.position for s in log.history(f"job:{n:03}-0")] for n in range(FEW)]
    return positions == [[n * each + 2] for n in range(FEW)] and len(log.history("run:1")) == FEW + 1


def segments_on_disk(log: LmdbLog) -> set[int]:
    databases = log._databases
    with databases.environment.begin(db=databases.index) as transaction:
        return {number_of(key) for key, _ in transaction.cursor()}


def settle(log: LmdbLog) -> None:
    while log.tidy():
        pass


def test_a_merge_that_is_cut_off_anywhere_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its commits fails once, in the same process or before another opens the store."""
    commit, left = LmdbLog._commit, [0]

    def failing(log: LmdbLog, transaction: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(EIO, "planned")
        commit(log, transaction)

    for after in range(100):
        here = path.with_name(f"store-{after}")
        with opened(here) as log:
            fill(log)
            append(log, "run:1")
            left[0] = after
            with monkeypatch.context() as patch:
                patch.setattr(LmdbLog, "_commit", failing)
                try:
                    settle(log)
                    break
                except OutcomeUnknownError:
                    pass
            if after % 2:
                log.reopen()
                assert is_right(log)
                settle(log)
        with opened(here) as log:
            assert is_right(log)
            settle(log)
            assert is_right(log)
            assert len(segments_on_disk(log)) < FEW // 2
            assert log._ledger.retired == ()
    assert after > 3


def test_a_compaction_in_the_middle_of_a_merge_ends_it(path: Path) -> None:
    with opened(path) as log:
        fill(log)
        append(log, "run:1")
        assert log.tidy()
        assert log.tidy()
        end = 2 * (PER_SEGMENT + 1)
        (frame,) = log.frames(after=end - 1, upto=end)
        log.compact(Compaction(Horizon(frame.head, "old"), [("run:1", [1])], {}, log.head.position))
        settle(log)
        with pytest.raises(CompactedError):
            log.at(2)
        assert [stored.position for stored in log.history("run:1")][:2] == [1, end + 1]
        assert len(log.history("job:002-0")) == 1
        assert log._ledger.retired == ()
        assert segments_on_disk(log) == {segment.number for segment in log._entities.version}  # type: ignore[attr-defined]


def test_records_that_come_in_the_middle_of_a_merge_are_found_after_it(path: Path) -> None:
    with opened(path) as log:
        fill(log)
        append(log, "run:1")
        more = 0
        while log.tidy():
            append(log, *(f"job:late-{more}-{n}" for n in range(PER_SEGMENT)))
            more += 1
        assert more > 3
        assert is_right(log)
        assert all(len(log.history(f"job:late-{n}-0")) == 1 for n in range(more))
    with opened(path) as log:
        assert is_right(log)
        assert all(len(log.history(f"job:late-{n}-0")) == 1 for n in range(more))


def test_a_merge_for_which_there_is_no_room_is_begun_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece that is not written is never taken for one that was."""
    with opened(path) as log:
        fill(log)
        append(log, "run:1")
        assert log.tidy()
        with monkeypatch.context() as patch:
            patch.setattr(LmdbLog, "_has_committed", lambda *_: False)
            patch.setattr(log, "_max_map_size", 0)
            with pytest.raises(CapReachedError):
                log.tidy()
        settle(log)
        assert is_right(log)
        assert log._ledger.retired == ()
