"""What a log forgets, and what it does not: held against each of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from errno import EIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventstore import entity_index
from eventstore.checking import check_log
from eventstore.entity_index import MERGED
from eventstore.errors import CompactedError, CorruptStoreError, OutcomeUnknownError, ReopenNeededError
from eventstore.faulty_log import Fault, FaultyLog
from eventstore.lmdb_log import LmdbLog
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from eventstore.records import Head, Stored
from eventstore.retention import NO_HORIZON, Compaction, Horizon, decode_remnant, encode_remnant, remnant_of
from tests.eventstore.support import ROOT, append
from tests.support.scale import scaled

MAKERS: dict[str, Callable[[Path], Log]] = {
    "memory": lambda path: MemoryLog(),
    "lmdb": lambda path: LmdbLog.open(path / "store", map_size=1 << 20),
    "lmdb with short segments": lambda path: LmdbLog.open(path / "store", segment_records=3),
    "faulty lmdb": lambda path: FaultyLog(LmdbLog.open(path / "store", segment_records=5)),
}


@pytest.fixture(params=MAKERS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


def head_at(log: Log, position: int) -> Head:
    (frame,) = log.frames(after=position - 1, upto=position)
    return frame.head


def plan(log: Log, position: int, *kept: str, **bases: bytes) -> Compaction:
    """Return a plan that keeps some entities."""
    found = [
        (entity, [stored.position for stored in log.history(entity, upto=position)])
        for entity in sorted(kept)
    ]
    return Compaction(Horizon(head_at(log, position), "archive-1"), found, bases, log.head.position)


def settle(log: Log) -> None:
    while log.tidy():
        pass


def fill(log: Log) -> list[Stored]:
    """Write twenty frames of three records; return all records."""
    for n in range(20):
        append(log, f"job:{n}", "run:1", f"job:{n + 1}")
    return [frame.stored(n) for frame in log.frames() for n in range(frame.first, frame.last + 1)]


@pytest.mark.parametrize("settled", [True, False], ids=["taken out", "not yet taken out"])
def test_what_is_kept_and_what_comes_later_stays_where_it_was(log: Log, settled: bool) -> None:
    everything = fill(log)
    assert log.horizon == NO_HORIZON
    log.compact(plan(log, 30, "job:3", "run:1"))
    if settled:
        settle(log)
    assert log.horizon.head.position == 30
    kept = [each for each in everything if each.position > 30 or each.record.entity in {"job:3", "run:1"}]
    assert list(log.kept()) == [each for each in kept if each.position <= 30]
    for entity in {each.record.entity for each in everything}:
        there = [each for each in kept if each.record.entity == entity]
        assert log.history(entity) == there
        assert log.first(entity) == (there[0] if there else None)
        assert log.last(entity) == (there[-1] if there else None)
    assert set(log.entities("")) == {each.record.entity for each in kept}
    assert [log.at(each.position) for each in kept] == kept
    frames = list(log.frames(after=30))
    assert frames[0].first == 31
    assert frames[0].previous == log.horizon.head.link


def test_a_scan_that_a_compaction_overtakes_skips_nothing(log: Log) -> None:
    fill(log)
    before = list(log.frames())
    scan = log.frames()
    found = [next(scan)]
    log.compact(plan(log, 30, "job:3"))
    settle(log)
    try:
        found += scan
    except CompactedError:
        assert found == before[: len(found)]
    else:
        assert found == before


def test_who_asks_for_what_was_compacted_is_told_where_it_is(log: Log) -> None:
    fill(log)
    log.compact(plan(log, 30, "job:3"))
    settle(log)
    with pytest.raises(
        CompactedError, match=r"position 1 .* compacted up to position 30; the archive 'archive-1'"
    ):
        list(log.frames())
    with pytest.raises(CompactedError, match="position 30 "):
        list(log.frames(after=29))
    with pytest.raises(CompactedError, match="position 2 "):
        log.at(2)
    assert log.at(0) is None


def test_a_log_goes_on_after_a_compaction(log: Log) -> None:
    fill(log)
    log.compact(plan(log, 30))
    append(log, "job:1")
    settle(log)
    append(log, "job:1")
    assert [stored.position for stored in log.history("job:1")] == [61, 62]
    log.compact(plan(log, 61, "job:1"))
    settle(log)
    assert [stored.position for stored in log.history("job:1")] == [61, 62]
    assert log.reopen().position == 62
    assert [stored.position for stored in log.history("job:1")] == [61, 62]


def test_what_was_kept_may_go_with_the_next_compaction(log: Log) -> None:
    fill(log)
    log.compact(plan(log, 30, "job:3", "job:4"))
    settle(log)
    log.compact(plan(log, 33, "job:4"))
    settle(log)
    assert log.history("job:3") == []
    assert [stored.position for stored in log.history("job:4")] == [12, 13]
    assert [stored.position for stored in log.kept()] == [12, 13]


def test_a_fold_begins_with_the_state_as_of_the_horizon(log: Log) -> None:
    fill(log)
    log.save_snapshot("queue", 12, b"older")
    log.save_snapshot("queue", 45, b"newer")
    log.compact(plan(log, 30, queue=b"base"))
    assert list(log.load_snapshots("queue")) == [(45, b"newer"), (30, b"base")]
    assert list(log.load_snapshots("queue", upto=44)) == [(30, b"base")]
    assert list(log.load_snapshots("queue", upto=29)) == []
    assert list(log.load_snapshots("clock")) == []
    log.reopen()
    assert list(log.load_snapshots("queue")) == [(45, b"newer"), (30, b"base")]


def test_a_plan_that_does_not_fit_is_refused_and_changes_nothing(log: Log) -> None:
    fill(log)
    for wrong in (plan(log, 60), Compaction(Horizon(head_at(log, 30)._replace(epoch=7), ""), [], {}, 60)):
        with pytest.raises(ValueError, match="horizon"):
            log.compact(wrong)
    log.compact(plan(log, 30))
    with pytest.raises(ValueError, match="not between the present one, 30, and the end, 60"):
        log.compact(Compaction(log.horizon, [], {}, 60))
    assert len(list(log.frames(after=30))) == 10


def test_the_chain_is_proven_from_the_horizon_on(log: Log) -> None:
    fill(log)
    head = log.head
    log.compact(plan(log, 30, "job:3"))
    settle(log)
    check = check_log(log)
    assert (check.problem, check.head, check.records) == ("", head, 30)


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_a_compaction_that_fails_has_happened_or_not(tmp_path: Path, fault: Fault) -> None:
    faults = [fault]
    for inner in (MemoryLog(), LmdbLog.open(tmp_path / "store")):
        everything = fill(inner)
        log = FaultyLog(inner, lambda: faults[0])
        with pytest.raises(OutcomeUnknownError):
            log.compact(plan(inner, 30, "job:3"))
        with pytest.raises(ReopenNeededError):
            log.tidy()
        log.reopen()
        assert log.horizon.head.position == (30 if fault is Fault.AFTER else 0)
        assert [log.at(each.position) for each in everything[30:]] == everything[30:]
        inner.close()


# -- on disk ----------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def failing_after(commits: int) -> Callable[[LmdbLog, Any], None]:
    """Return a way to commit that works so many times."""
    commit, left = LmdbLog._commit, [commits]

    def failing(log: LmdbLog, transaction: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(EIO, "planned")
        commit(log, transaction)

    return failing


def test_a_commit_that_fails_while_taking_out_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LmdbLog.open(path, segment_records=4) as log:
        everything = fill(log)
        log.compact(plan(log, 30, "job:3"))
        for after in range(100):
            with monkeypatch.context() as patch:
                patch.setattr(LmdbLog, "_commit", failing_after(after))
                try:
                    settle(log)
                    break
                except OutcomeUnknownError:
                    pass
            log.reopen()
            assert [each.position for each in log.history("job:3")] == [9, 10]
            assert [log.at(each.position) for each in everything[30:]] == everything[30:]
        assert after
        assert check_log(log).problem == ""
        with pytest.raises(CompactedError):
            log.at(1)


def test_space_is_used_again(path: Path) -> None:
    """Under constant load, with a compaction now and then, the file is as long as it was after some rounds."""
    sizes = []
    with LmdbLog.open(path, segment_records=200) as log:
        for turn in range(16):
            for n in range(60):
                append(log, *(f"job:{turn}-{n}-{m}" for m in range(n % 7 + 1)), "run:1")
            end = log.head.position
            append(log, "run:1")
            log.compact(plan(log, end, f"job:{turn}-5-0"))
            settle(log)
            sizes.append((path / "data.mdb").stat().st_size)
    assert sizes[-1] <= max(sizes[:6])


def test_who_reads_beside_the_owner_sees_a_compaction(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdin
        assert owner.stdout
        assert owner.stdout.readline() == "filled\n"
        with LmdbLog.open(path, segment_records=4, read_only=True) as reader:
            before = reader.history("job:3")
            assert len(reader.history("job:2")) == 2
            scan = reader.entities("job:")
            found = [next(scan)]
            owner.stdin.write("go on\n")
            owner.stdin.flush()
            assert owner.stdout.readline() == "compacted\n"
            found += scan
            assert "job:3" in found
            assert "job:15" in found
            assert len(found) == len(set(found))
            assert reader.history("job:3") == before
            assert reader.history("job:2") == []
            assert reader.horizon.head.position == 30
            with pytest.raises(CompactedError):
                next(reader.frames())
        owner.stdin.close()


OWNER = """
import sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.test_retention import fill, plan, settle
with LmdbLog.open(sys.argv[1], segment_records=4) as log:
    fill(log)
    print("filled", flush=True)
    sys.stdin.readline()
    log.compact(plan(log, 30, "job:3"))
    settle(log)
    print("compacted", flush=True)
    sys.stdin.readline()
"""


def test_many_segments_become_few(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_index, "MANY", 0)
    with LmdbLog.open(path, segment_records=4) as log:
        for n in range(MERGED * 4):
            append(log, f"job:{n}", "run:1", f"job:{n // 2}")
        whole = {entity: log.history(entity) for entity in log.entities("")}
        before = len(log._entities._view.segments)
        settle(log)
        assert len(log._entities._view.segments) < before // 5
        assert {entity: log.history(entity) for entity in log.entities("")} == whole
        assert check_log(log).problem == ""
        for n in range(20):
            append(log, f"job:new {n}", "run:1")
        assert len(log.history("run:1")) == MERGED * 4 + 20
    with LmdbLog.open(path, segment_records=4) as log:
        assert {entity: log.history(entity, upto=MERGED * 12) for entity in whole} == whole
        settle(log)
        assert len(log.history("run:1")) == MERGED * 4 + 20


def test_a_remnant_with_a_wrong_bit_is_never_handed_out() -> None:
    log = MemoryLog()
    append(log, "job:1", "job:2", "job:3")
    (frame,) = log.frames()
    left = remnant_of(frame, [2])
    assert left is not None
    value = encode_remnant(left)
    assert list(decode_remnant(1, value).all()) == [frame.stored(2)]
    for bit in range(len(value) * 8):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptStoreError):
            decode_remnant(1, bytes(damaged))


FORGETFUL = """
import sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
from tests.eventstore.test_retention import plan, settle
with LmdbLog.open(sys.argv[1], segment_records=7) as log:
    while True:
        for n in range(12):
            append(log, "kept", f"job:{n}", f"job:{n + 1}")
            print(log.head.position, flush=True)
        end = log.head.position
        append(log, "kept")
        log.compact(plan(log, end, "kept"))
        settle(log)
"""


@pytest.mark.no_cover
def test_a_process_that_is_killed_while_it_forgets_loses_nothing_of_the_rest(path: Path) -> None:
    random = Random(61)
    horizons = set()
    for _ in range(scaled("forgetful_kills", 8)):
        with subprocess.Popen(
            [sys.executable, "-c", FORGETFUL, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            told = 0
            for _ in range(random.randint(10, 60)):
                told = int(child.stdout.readline())
            child.kill()
        with LmdbLog.open(path, segment_records=7) as log:
            assert log.head.position >= told
            horizon = log.horizon.head.position
            horizons.add(horizon)
            assert check_log(log).problem == ""
            kept = [stored.position for stored in log.history("kept")]
            assert [each.position for each in log.kept()] == [each for each in kept if each <= horizon]
            frames = (kept[-1] - kept[0]) // 3  # three records each, but for one a round
            assert len(kept) > frames
            settle(log)
            assert [stored.position for stored in log.history("kept")] == kept
    assert len(horizons) > 1
