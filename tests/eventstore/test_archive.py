"""What was compacted can be read back: a log joined with its archive says what it always said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from eventstore import archive, frame_table
from eventstore.archive import ArchiveFile, archive_name, files_upto, write_archive
from eventstore.checking import check_log
from eventstore.errors import ArchiveError, CompactedError, StoreAccessError, StoreFullError
from eventstore.joined_log import JoinedLog
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.records import EMPTY, Stored
from eventstore.retention import NO_HORIZON
from tests.eventstore.support import append
from tests.eventstore.test_retention import fill, head_at, plan, settle
from tests.support.scale import scaled


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LmdbLog]:
    """A log in small blocks, so that a file has several."""
    monkeypatch.setattr(archive, "_BLOCK_BYTES", 500)
    with LmdbLog.open(tmp_path / "store", segment_records=5) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def compact(log: Any, folder: Path, position: int, *kept: str) -> None:
    """Archive and forget everything up to a position."""
    made = plan(log, position, *kept)
    name = write_archive(log, folder, upto=made.horizon.head)
    log.compact(replace(made, horizon=made.horizon._replace(archive=name)))
    settle(log)


def test_a_log_and_its_archive_say_what_the_log_said(log: LmdbLog, folder: Path) -> None:
    everything = fill(log)
    entities = list(log.entities(""))
    histories = {
        (entity, upto): log.history(entity, upto=upto) for entity in entities for upto in (None, 20, 40)
    }
    frames = list(log.frames())
    compact(log, folder, 18, "job:3", "run:1")
    compact(log, folder, 33, "job:3")
    joined = JoinedLog(log, folder)
    assert joined.horizon == NO_HORIZON
    assert list(joined.frames()) == frames
    assert next(joined.frames(after=4, upto=44)).records == [each.record for each in everything[4:6]]
    assert list(joined.frames(after=20, upto=25)) == [each.clipped(after=20, upto=25) for each in frames[6:9]]
    assert [joined.at(n) for n in range(62)] == [None, *everything, None]
    assert list(joined.entities("")) == entities
    assert list(joined.entities("job:", before="job:3")) == [e for e in entities if "job:" <= e < "job:3"]
    for (entity, upto), history in histories.items():
        assert joined.history(entity, upto=upto) == history
        assert joined.first(entity, upto=upto) == (history[0] if history else None)
        assert joined.last(entity, upto=upto) == (history[-1] if history else None)
    check = check_log(joined)
    assert (check.problem, check.head, check.records) == ("", log.head, 60)


def test_a_joined_log_follows_a_log_that_goes_on(log: LmdbLog, folder: Path) -> None:
    fill(log)
    joined = JoinedLog(log, folder)
    assert len(list(joined.frames())) == 20
    compact(log, folder, 30)
    append(log, "job:new")
    compact(log, folder, 60)
    assert len(list(joined.frames())) == 21
    assert joined.last("job:new") == log.at(61)


def test_what_was_kept_of_what_no_archive_has_is_still_there(log: LmdbLog, folder: Path) -> None:
    everything = fill(log)
    log.compact(plan(log, 18, "job:3", "run:1"))
    settle(log)
    compact(log, folder, 33, "job:3", "run:1")
    joined = JoinedLog(log, folder)
    kept = [each for each in everything if each.position > 18 or each.record.entity in {"job:3", "run:1"}]
    for entity in ("job:3", "job:9", "run:1"):
        history = [each for each in kept if each.record.entity == entity]
        assert joined.history(entity) == history
        assert (joined.first(entity), joined.last(entity)) == (history[0], history[-1])
        assert joined.history(entity, upto=18) == [each for each in history if each.position <= 18]
        assert joined.last(entity, upto=18) == next(
            (each for each in history[::-1] if each.position <= 18), None
        )
    assert list(joined.kept()) == [each for each in kept if each.position <= 18]


class Forgetful(JoinedLog):
    """A joined log whose log is compacted right after each look at where its horizon is."""

    def __init__(self, log: LmdbLog, folder: Path, *horizons: int) -> None:
        super().__init__(log, folder)
        self.horizons = list(horizons)

    def _look(self) -> int:
        seen = super()._look()
        if self.horizons:
            assert isinstance(self._log, LmdbLog)
            compact(self._log, self._folder, self.horizons.pop(0), "job:3")
        return seen


def test_a_log_that_is_compacted_while_it_is_read_says_what_it_said(log: LmdbLog, folder: Path) -> None:
    everything = fill(log)
    history = log.history("run:1")
    assert Forgetful(log, folder, 18, 33, 45).history("run:1") == history
    assert Forgetful(log, folder, 51).first("job:16") == everything[47]
    assert Forgetful(log, folder, 54).at(54) == everything[53]


def test_a_scan_goes_on_in_the_archive(log: LmdbLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_table, "_BATCH_FRAMES", 1)
    fill(log)
    frames = list(log.frames())
    scan = JoinedLog(log, folder).frames()
    found = [next(scan)]
    for horizon in (18, 33, 45):
        compact(log, folder, horizon, "job:3")
        found += [next(scan), next(scan)]
    assert [*found, *scan] == frames


def test_of_what_the_archive_lacks_the_log_says_where_it_was(log: LmdbLog, folder: Path) -> None:
    fill(log)
    compact(log, folder, 18)
    compact(log, folder, 33)
    oldest, newest = (each.path for each in files_upto(folder, 33))
    oldest.unlink()
    joined = JoinedLog(log, folder)
    assert joined.horizon.head == ArchiveFile(newest).table.before
    assert len(list(joined.frames(after=18))) == 14
    with pytest.raises(CompactedError, match=newest.name):
        list(joined.frames())
    newest.unlink()
    assert JoinedLog(log, folder).horizon == log.horizon
    with pytest.raises(CompactedError, match=newest.name):
        list(JoinedLog(log, folder).frames(after=18))


def test_a_damaged_file_fails_the_reads_that_need_it_and_no_other(log: LmdbLog, folder: Path) -> None:
    everything = fill(log)
    compact(log, folder, 18)
    compact(log, folder, 33, "job:3")
    oldest, newest = (each.path for each in files_upto(folder, 33))
    oldest.write_bytes(oldest.read_bytes()[:-1])
    joined = JoinedLog(log, folder)
    assert joined.horizon == NO_HORIZON
    assert len(list(joined.frames(after=33))) == 9
    assert len(list(joined.frames(after=18))) == 14
    assert joined.at(40) == everything[39]
    assert joined.at(20) == everything[19]
    assert joined.last("run:1") == everything[58]
    for read in (
        lambda: joined.at(3),
        lambda: list(joined.frames()),
        lambda: joined.history("job:1"),
        lambda: list(joined.entities("")),
    ):
        with pytest.raises(ArchiveError, match=oldest.name):
            read()
    newest.unlink()
    newest.mkdir()  # no more can be read of it than of one that is another user's
    joined = JoinedLog(log, folder)
    assert joined.at(40) == everything[39]
    with pytest.raises(ArchiveError, match=newest.name):
        joined.at(20)


def test_a_file_under_a_wrong_name_is_refused(log: LmdbLog, folder: Path) -> None:
    fill(log)
    compact(log, folder, 18)
    (only,) = (each.path for each in files_upto(folder, 18))
    only.rename(only.with_name(f"{4:020d}-{18:020d}{archive.SUFFIX}"))
    with pytest.raises(ArchiveError, match="does not belong to this log"):
        JoinedLog(log, folder).at(6)


@pytest.mark.parametrize("upto", [None, 50])
def test_a_list_has_what_is_forgotten_while_it_is_made(log: LmdbLog, folder: Path, upto: int | None) -> None:
    fill(log)
    entities = list(log.entities("", upto=upto))
    assert list(Forgetful(log, folder, 18, 33, 48).entities("", upto=upto)) == entities
    listing = JoinedLog(log, folder).entities("", upto=upto)
    begun = [next(listing), next(listing)]
    compact(log, folder, 54, "job:3")
    assert [*begun, *listing] == entities


def test_an_archive_of_another_log_is_refused(log: LmdbLog, folder: Path) -> None:
    fill(log)
    compact(log, folder, 18)
    other = MemoryLog()
    append(other, "job:other", "run:1", "job:1")
    fill(other)
    other.compact(plan(other, 18))
    with pytest.raises(ArchiveError, match="does not belong to this log"):
        list(JoinedLog(other, folder).frames())


def test_a_joined_log_is_only_read(log: LmdbLog, folder: Path) -> None:
    fill(log)
    joined = JoinedLog(log, folder)
    with pytest.raises(StoreAccessError, match="only read"):
        joined.append([], expected=60, epoch=1, recorded_us=1)
    with pytest.raises(StoreAccessError, match="only read"):
        joined.compact(plan(log, 30))
    with pytest.raises(StoreAccessError, match="only read"):
        joined.save_snapshot("a", 1, b"")
    assert not joined.tidy()


def test_a_file_with_a_wrong_bit_never_says_anything_wrong(log: LmdbLog, folder: Path) -> None:
    everything = fill(log)
    name = write_archive(log, folder, upto=head_at(log, 30))
    whole = (folder / name).read_bytes()
    random = Random(64)
    found = 0
    for _ in range(scaled("flips", 200)):
        damaged = bytearray(whole)
        bit = random.randrange(len(damaged) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(damaged)
        try:
            assert records(ArchiveFile(folder / name)) == everything[:30]
        except ArchiveError:
            found += 1
    assert found == scaled("flips", 200)


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_file_that_is_cut_off_is_noticed(log: LmdbLog, folder: Path, left: int) -> None:
    fill(log)
    path = folder / write_archive(log, folder, upto=head_at(log, 30))
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ArchiveError):
        ArchiveFile(path)


def records(file: ArchiveFile) -> list[Stored]:
    file.check()
    return [frame.stored(n) for frame in file.frames() for n in range(frame.first, frame.last + 1)]


def test_a_file_for_a_compaction_that_was_given_up_is_replaced(log: LmdbLog, folder: Path) -> None:
    fill(log)
    given_up = write_archive(log, folder, upto=head_at(log, 18))
    name = write_archive(log, folder, upto=head_at(log, 30))
    assert name != given_up
    assert [path.name for path in folder.iterdir()] == [name]
    assert ArchiveFile(folder / name).table.before == EMPTY


def test_without_the_extra_it_is_named(log: LmdbLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(log)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ArchiveError, match="zstandard") as caught:
        write_archive(log, folder, upto=head_at(log, 30))
    assert "logistics[archive]" in caught.value.remedy
    assert "--no-archive" in caught.value.remedy


def test_f22_a_file_for_which_there_is_no_room_leaves_nothing_behind(
    log: LmdbLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log)
    write = archive._write

    def full(file: Any, *what: Any) -> None:
        write(file, *what)
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "_write", full)
    for horizon in (18, 33):
        with pytest.raises(StoreFullError, match="No space left"):
            write_archive(log, folder, upto=head_at(log, horizon))
        assert list(folder.iterdir()) == []
    monkeypatch.undo()
    (folder / archive_name(EMPTY, head_at(log, 33))).with_suffix(".zst.new").touch()  # of one that was killed
    name = write_archive(log, folder, upto=head_at(log, 45))
    assert [file.name for file in folder.iterdir()] == [name]
