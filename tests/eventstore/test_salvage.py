"""What can be saved of a damaged store: the longest proven beginning, honestly told (F28–F30)."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from eventstore.backup import checked
from eventstore.checking import check_log
from eventstore.errors import CorruptStoreError, NotAStoreError
from eventstore.framing import encode_frame
from eventstore.lmdb_log import LmdbLog
from eventstore.loose_frames import LooseFrame, find_frames, read_loose
from eventstore.records import EMPTY, Frame, Record
from eventstore.salvage import look_for_remains, salvage
from tests.eventstore.support import append, record
from tests.support.scale import scaled


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Fill a store with 40 frames: small ones, one over many pages, and one of many records."""
    with LmdbLog.open(tmp_path / "store", segment_records=30) as log:
        for n in range(40):
            if n == 20:
                long = record("job:long", "long " * 4000)
                log.append([long], expected=log.head.position, epoch=1, recorded_us=1_000_000)
            elif n == 30:
                append(log, *[f"run:{m}" for m in range(200)], epoch=2)
            else:
                append(log, f"job:{n}", epoch=1 + n // 30)
    return tmp_path / "store"


def frames_of(folder: Path) -> list[Frame]:
    with LmdbLog.open(folder, read_only=True) as log:
        assert check_log(log).problem == ""
        return list(log.frames())


def spoil(store: Path, text: bytes) -> None:
    """Flip a bit of a text wherever it is: older copies of its page may be in the file, too."""
    data = store / "data.mdb"
    content = bytearray(data.read_bytes())
    at = -1
    assert text in content
    while (at := content.find(text, at + 1)) >= 0:
        content[at] ^= 1
    data.write_bytes(content)


def test_a_whole_store_is_saved_whole(store: Path, tmp_path: Path) -> None:
    remains = look_for_remains(store)
    assert (remains.lost, remains.unsaved, remains.known_end) == ([], [], 239)
    with LmdbLog.open(store, read_only=True) as log:
        assert salvage(remains, tmp_path / "new") == log.head
    assert frames_of(tmp_path / "new") == frames_of(store)
    assert checked(tmp_path / "new").position == 239


@pytest.mark.parametrize("pages", [[0, 1], [0, 1, 2, 3, 4]])
def test_no_page_of_the_engine_is_needed(store: Path, tmp_path: Path, pages: list[int]) -> None:
    whole, data = frames_of(store), store / "data.mdb"
    content = bytearray(data.read_bytes())
    for page in pages:
        content[page * 4096 : page * 4096 + 16] = bytes(16)
    content[: 2 * 4096] = bytes(2 * 4096)
    data.write_bytes(content)
    remains = look_for_remains(store)
    salvage(remains, tmp_path / "new")
    assert frames_of(tmp_path / "new") == whole


def test_a_gap_ends_what_is_saved_and_what_is_behind_it_is_named(store: Path, tmp_path: Path) -> None:
    whole = frames_of(store)
    spoil(store, b"job:10")
    remains = look_for_remains(store)
    assert (remains.end, remains.lost, remains.unsaved) == (10, [(11, 11)], [(12, 239)])
    assert list(remains.frames(remains.beyond)) == whole[11:]
    assert salvage(remains, tmp_path / "new").link == whole[9].link
    assert frames_of(tmp_path / "new") == whole[:10]


def test_frames_that_lie_over_many_pages_are_found_and_missed(store: Path) -> None:
    spoil(store, b"long long")
    assert look_for_remains(store).lost == [(21, 21)]


def test_less_can_be_saved_than_there_is(store: Path, tmp_path: Path) -> None:
    assert salvage(look_for_remains(store), tmp_path / "new", upto=25).position == 25
    assert salvage(look_for_remains(store), tmp_path / "more", upto=100).position == 230


def test_the_mark_beside_the_log_tells_what_is_gone_from_the_end(store: Path) -> None:
    os.truncate(store / "data.mdb", 4096 * 6)
    remains = look_for_remains(store)
    assert remains.known_end == 239
    assert remains.lost[-1][1] == 239


@pytest.mark.parametrize("seed", range(scaled("salvages", 12)))
def test_whatever_is_damaged_only_a_true_beginning_is_saved(store: Path, tmp_path: Path, seed: int) -> None:
    whole, data, random = frames_of(store), store / "data.mdb", Random(seed)
    before = data.read_bytes()
    content = bytearray(before)
    for _ in range(random.choice([1, 10, 200])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    if seed % 3 == 0:
        page = random.randrange(len(content) // 4096) * 4096
        content[page : page + 4096] = random.randbytes(4096)
    if seed % 4 == 0:
        del content[random.randrange(len(content)) :]
    data.write_bytes(content)
    remains = look_for_remains(store)
    if remains.end:
        salvage(remains, tmp_path / "new")
        assert frames_of(tmp_path / "new") == whole[: len(remains.chain)]
    assert all(frame in whole for frame in remains.frames(remains.beyond))
    known = {
        position for first, last in (*remains.lost, *remains.unsaved) for position in range(first, last + 1)
    }
    assert known == set(range(remains.end + 1, 240))
    assert data.read_bytes() == content


def test_nothing_is_saved_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(NotAStoreError, match=r"has no data.mdb"):
        look_for_remains(tmp_path)
    (tmp_path / "data.mdb").write_bytes(b"hello" * 10_000)
    with pytest.raises(NotAStoreError, match="nothing can be saved"):
        salvage(look_for_remains(tmp_path), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_new_store_is_never_made_over_something(store: Path) -> None:
    with pytest.raises(NotAStoreError, match="there already"):
        salvage(look_for_remains(store), store)


def test_of_two_ways_on_the_one_that_leads_further_is_taken(tmp_path: Path) -> None:
    """A commit that failed may have left its bytes behind."""
    first, begun = encode_frame([record("job:1")], head=EMPTY, epoch=1, recorded_us=1)
    failed, lost = encode_frame([record("job:2", "failed")], head=first.head, epoch=1, recorded_us=2)
    second, kept = encode_frame([record("job:2", "kept")], head=first.head, epoch=2, recorded_us=1)
    third, newest = encode_frame([record("job:3")], head=second.head, epoch=2, recorded_us=3)
    data = tmp_path / "data.mdb"
    for parts, chain in (
        ([begun, lost, kept, newest], [first, second, third]),
        ([kept, lost, begun], [first, second]),  # both are the end: the newer one
        ([b"\x01" + lost, begun], [first, failed]),
    ):
        data.write_bytes(b"rubbish".join(parts))
        remains = look_for_remains(tmp_path)
        assert list(remains.frames(remains.chain)) == chain


def test_a_frame_inside_of_another_is_not_one(tmp_path: Path) -> None:
    inner, content = encode_frame([record("job:2")], head=EMPTY, epoch=9, recorded_us=9)
    carrier = Record("job:1", 1, "", "", content)
    outer, value = encode_frame([carrier], head=EMPTY, epoch=1, recorded_us=1)
    (tmp_path / "data.mdb").write_bytes(value)
    assert [found.link for found in find_frames(tmp_path / "data.mdb")] == [outer.link] != [inner.link]


def test_a_disk_that_does_not_give_a_page_costs_that_page_only(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F25, when reading."""
    data, real = store / "data.mdb", os.pread
    (long,) = (found for found in set(find_frames(data)) if found.first == 21)
    bad = long.offset // 4096 + 1

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if offset < (bad + 1) * 4096 and bad * 4096 < offset + size:
            raise OSError(5, "Input/output error")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    remains = look_for_remains(store)
    assert (remains.lost, remains.end) == ([(21, 21)], 20)


def test_frames_across_the_parts_in_which_a_file_is_read_are_found(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = set(find_frames(store / "data.mdb"))
    monkeypatch.setattr("eventstore.loose_frames._CHUNK", 1000)
    assert set(find_frames(store / "data.mdb")) == whole


def test_what_changed_since_it_was_found_is_not_handed_out(store: Path) -> None:
    found: LooseFrame = next(find_frames(store / "data.mdb"))
    spoil(store, b"a note")
    with pytest.raises(CorruptStoreError):
        read_loose(store / "data.mdb", found)
