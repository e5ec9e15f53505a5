"""What can be saved of a damaged store that was compacted: from its horizon on, or nothing, and why (F28–F30)."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from eventstore.archive import FOLDER_NAME, write_archive
from eventstore.backup import copy_store
from eventstore.checking import check_log
from eventstore.doctor import check_frames
from eventstore.errors import CorruptStoreError, NotAStoreError
from eventstore.joined_log import JoinedLog
from eventstore.lmdb_log import LmdbLog
from eventstore.log import Log
from eventstore.records import Frame, Head
from eventstore.retention import NO_HORIZON, Compaction, Horizon
from eventstore.salvage import remains_of, salvage
from tests.eventstore.support import append, record
from tests.eventstore.test_retention import plan, settle
from tests.eventstore.test_salvage import spoil
from tests.support.scale import scaled

HORIZON = 60
BASES = {"queue": b"the state of the queue", "clock": b"the state of the clock" * 1000}


def build(path: Path, *, settled: bool = True) -> None:
    """Make a store of 40 frames of three records, compacted up to the twentieth; some are kept."""
    with LmdbLog.open(path, segment_records=25) as log:
        for n in range(40):
            append(log, f"job:{n}", "run:1", f"job:{n + 1}", epoch=1 + n // 10)
        compaction = plan(log, HORIZON, "job:3", "job:18", "run:1", **BASES)
        name = write_archive(log, path / FOLDER_NAME, upto=compaction.horizon.head)
        log.compact(Compaction(Horizon(compaction.horizon.head, name), compaction.kept, BASES, 120))
        if settled:
            settle(log)


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the store that every test damages a copy of, byte for byte."""
    path = tmp_path_factory.mktemp("original") / "store"
    build(path)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "store"))


def answers(log: Log, end: int) -> list[object]:
    """Return all that a log says, up to a position."""
    entities = sorted(log.entities("", upto=end))
    return [
        log.horizon,
        list(log.kept()),
        list(log.frames(after=HORIZON, upto=end)),
        {entity: log.history(entity, upto=end) for entity in entities},
        {name: next(log.load_snapshots(name)) for name in BASES},
    ]


def answers_of(folder: Path, end: int) -> list[object]:
    with LmdbLog.open(folder, read_only=True) as log:
        return answers(log, end)


def whole_frames(folder: Path) -> list[Frame]:
    with LmdbLog.open(folder, read_only=True) as log:
        return list(log.frames(after=HORIZON))


@pytest.mark.parametrize("settled", [True, False], ids=["taken out", "not yet taken out"])
def test_a_compacted_store_is_saved_from_its_horizon_on(
    store: Path, tmp_path: Path, *, settled: bool
) -> None:
    new = tmp_path / "new"
    if not settled:
        store = tmp_path / "unsettled"
        build(store, settled=False)
    remains = remains_of(store)
    assert (remains.lost, remains.unsaved, remains.known_end, remains.problem) == ([], [], 120, "")
    with LmdbLog.open(store, read_only=True) as log:
        assert salvage(remains, new) == log.head
    assert answers_of(new, 120) == answers_of(store, 120)


def test_a_store_that_was_saved_goes_on_and_has_its_archive(store: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with LmdbLog.open(store, read_only=True) as log:
        everything = list(JoinedLog(log, store / FOLDER_NAME).frames())
    salvage(remains_of(store), new)
    with LmdbLog.open(new, segment_records=25) as log:
        append(log, "job:3", epoch=9)
        assert [stored.position for stored in log.history("job:3")] == [9, 10, 121]
        assert list(JoinedLog(log, new / FOLDER_NAME).frames(upto=120)) == everything
        log.compact(plan(log, 90, "job:3"))
        settle(log)
        assert [stored.position for stored in log.kept()] == [9, 10]
    with LmdbLog.open(new, read_only=True) as log:
        assert check_log(log).problem == ""


def test_a_gap_behind_the_horizon_ends_what_is_saved(store: Path, tmp_path: Path) -> None:
    whole = whole_frames(store)
    spoil_record(store, 80)
    remains = remains_of(store)
    assert (remains.end, remains.lost, remains.unsaved) == (78, [(79, 81)], [(82, 120)])
    assert list(remains.frames(remains.beyond)) == whole[7:]
    salvage(remains, tmp_path / "new")
    assert whole_frames(tmp_path / "new") == whole[:6]


def test_the_last_frame_which_keeps_the_log_from_opening_costs_itself_only(
    store: Path, tmp_path: Path
) -> None:
    whole = whole_frames(store)
    spoil_record(store, 119)
    assert salvage(remains_of(store), tmp_path / "new").position == 117
    assert whole_frames(tmp_path / "new") == whole[:-1]


def test_where_nothing_is_left_behind_the_horizon_the_store_begins_again_there(
    store: Path, tmp_path: Path
) -> None:
    before, new = answers_of(store, HORIZON), tmp_path / "new"
    with LmdbLog.open(store, read_only=True) as log:
        horizon: Head = log.horizon.head
    spoil_record(store, HORIZON + 1)
    remains = remains_of(store)
    assert (remains.lost, remains.unsaved) == ([(61, 63)], [(64, 120)])
    assert salvage(remains, new) == horizon
    with LmdbLog.open(new) as log:
        assert log.head == horizon
        assert answers(log, HORIZON) == before
        append(log, "job:3", epoch=9)
    with LmdbLog.open(new) as log:
        assert log.head.position == HORIZON + 1
        assert [stored.position for stored in log.history("job:3")] == [9, 10, 61]


def test_less_can_be_saved_but_not_what_is_before_the_horizon(store: Path, tmp_path: Path) -> None:
    remains = remains_of(store)
    assert salvage(remains, tmp_path / "new", upto=70).position == 72
    assert salvage(remains, tmp_path / "states", upto=HORIZON).position == HORIZON
    with pytest.raises(NotAStoreError, match=r"was compacted up to 60") as refused:
        salvage(remains, tmp_path / "less", upto=HORIZON - 1)
    assert "from 60 on" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"state of the queue", "the state of 'queue', as of the horizon, fails its checksum"),
        (b"a note\x37", "the remnant at position 55 fails its checksum"),
        (b".frames.zst", "the ledger of compactions fails its checksum"),
    ],
    ids=["a state", "a record that was kept", "the ledger"],
)
def test_what_the_horizon_is_made_of_is_missed_by_name(
    store: Path, tmp_path: Path, text: bytes, words: str
) -> None:
    shutil.rmtree(store / FOLDER_NAME)
    spoil(store, b"a note\x01")  # pages that are free may still hold all frames from the first on
    spoil(store, text)
    remains = remains_of(store)
    assert (remains.end, remains.unsaved[-1][1]) == (0, 120)
    assert words in remains.problem
    with pytest.raises(NotAStoreError, match=words) as refused:
        salvage(remains, tmp_path / "new")
    assert "backup" in refused.value.remedy
    assert "archive" in refused.value.remedy
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"state of the queue", "kept from before position 60 is not whole: the state of 'queue'"),
        (b"only kept", "kept from before position 60 is not whole: the remnant at position 1 "),
        (b"a note\x37", "the remnant at position 55 fails its checksum"),
    ],
    ids=["a state", "a record of what is over", "a record of what goes on"],
)
def test_what_is_kept_is_examined_and_a_copy_without_it_is_refused(
    tmp_path: Path, text: bytes, words: str
) -> None:
    store = tmp_path / "store"
    with LmdbLog.open(store) as log:
        log.append([record("job:over", "only kept")], expected=0, epoch=1, recorded_us=1)
        log.append([record("job:gap")] * 2, expected=1, epoch=1, recorded_us=1)
        for n in range(1, 30):
            append(log, f"job:{n}", "run:1", f"job:{n + 1}")
        log.compact(plan(log, HORIZON, "job:over", "job:18", "run:1", **BASES))
        settle(log)
    assert [finding.level for finding in check_frames(str(store))] == ["note"]
    spoil(store, text)
    (finding,) = check_frames(str(store))
    assert finding.level == "wrong"
    assert words in finding.text
    with LmdbLog.open(store) as log, pytest.raises(CorruptStoreError, match=words):
        copy_store(log, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("text", [b"state of the queue", b".frames.zst"], ids=["a state", "the ledger"])
def test_where_the_horizon_is_lost_the_archive_has_the_beginning(
    store: Path, tmp_path: Path, text: bytes
) -> None:
    with LmdbLog.open(store, read_only=True) as log:
        everything = list(JoinedLog(log, store / FOLDER_NAME).frames())
    spoil(store, b"a note\x01")
    spoil(store, text)
    spoil(store, everything[38].records[0].payload)
    remains = remains_of(store)
    assert salvage(remains, tmp_path / "new").position == 114
    assert salvage(remains, tmp_path / "less", upto=30).position == 30
    for name, frames in (("new", 38), ("less", 10)):
        with LmdbLog.open(tmp_path / name, read_only=True) as log:
            assert log.horizon == NO_HORIZON
            assert list(log.frames()) == everything[:frames]


def test_an_archive_that_is_damaged_is_named_and_not_used(store: Path) -> None:
    spoil(store, b"a note\x01")
    spoil(store, b"state of the queue")
    (file,) = (store / FOLDER_NAME).iterdir()
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    remains = remains_of(store)
    assert (remains.end, remains.archived) == (0, [])
    assert "the state of 'queue', as of the horizon, fails its checksum" in remains.problem
    assert f"{file} is damaged" in remains.problem


def test_where_the_horizon_is_lost_a_beginning_in_pages_that_are_free_is_saved(
    store: Path, tmp_path: Path
) -> None:
    with LmdbLog.open(store, read_only=True) as log:
        everything = list(JoinedLog(log, store / FOLDER_NAME).frames())
    shutil.rmtree(store / FOLDER_NAME)
    spoil(store, b"state of the queue")
    assert salvage(remains_of(store), tmp_path / "new").position == 120
    with LmdbLog.open(tmp_path / "new", read_only=True) as log:
        assert log.horizon == NO_HORIZON
        assert list(log.frames()) == everything


def test_a_row_that_was_kept_and_is_gone_is_missed(store: Path) -> None:
    with LmdbLog.open(store) as log, log._databases.environment.begin(write=True) as transaction:
        transaction.delete((10).to_bytes(8, "big"), db=log._databases.frames)
    assert "position 10 was kept, and is missing, with 1 more" in remains_of(store).problem


def test_a_page_that_kills_the_engine_is_told(store: Path, tmp_path: Path) -> None:
    data = store / "data.mdb"
    content = bytearray(data.read_bytes())
    content[: 2 * 4096] = bytes(2 * 4096)
    data.write_bytes(content)
    shutil.rmtree(store / FOLDER_NAME)
    spoil(store, b"a note\x01")
    remains = remains_of(store)
    assert "whether it was compacted cannot be read" in remains.problem
    assert (remains.end, remains.unsaved[-1][1]) == (0, 120)
    with pytest.raises(NotAStoreError, match="whether it was compacted cannot be read"):
        salvage(remains, tmp_path / "new")


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(scaled("compacted_salvages", 6)))
def test_whatever_is_damaged_what_is_saved_is_true(store: Path, tmp_path: Path, seed: int) -> None:
    whole, data, random = whole_frames(store), store / "data.mdb", Random(seed)
    with LmdbLog.open(store, read_only=True) as log:
        everything = list(JoinedLog(log, store / FOLDER_NAME).frames())
    truths = {end: answers_of(store, end) for end in (HORIZON, *(frame.last for frame in whole))}
    content = bytearray(data.read_bytes())
    for _ in range(random.choice([1, 5, 50])):
        content[random.randrange(2 * 4096, len(content))] ^= 1 << random.randrange(8)
    if seed % 2:
        page = random.randrange(2, len(content) // 4096) * 4096
        content[page : page + 4096] = random.randbytes(4096)
    data.write_bytes(content)
    remains = remains_of(store)
    end = salvage(remains, tmp_path / "new").position
    if not remains.problem:
        assert answers_of(tmp_path / "new", end) == truths[end]
    else:
        with LmdbLog.open(tmp_path / "new", read_only=True) as log:
            assert list(log.frames()) == everything[: end // 3]
    assert data.read_bytes() == content


def spoil_record(store: Path, position: int) -> None:
    """Flip a bit of a frame that holds a position, by the number that its note has there."""
    (frame,) = (each for each in whole_frames(store) if each.first <= position <= each.last)
    spoil(store, frame.records[position - frame.first].payload)
