"""The log on disk: what goes wrong with maps, commits, files, forks and bits, and what then holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import lmdb
import pytest

from eventstore import frame_table
from eventstore.data_file import verify
from eventstore.errors import (
    CapReachedError,
    ConflictError,
    CorruptStoreError,
    DiskFullError,
    ForkedError,
    NotWrittenError,
    OutcomeUnknownError,
    ReopenNeededError,
    StoreAccessError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreLostError,
)
from eventstore.framing import encode_frame
from eventstore.lmdb_log import LmdbLog
from eventstore.records import EMPTY, Head, Record
from eventstore.segments import encode_segment, row_key
from tests.eventstore.support import ROOT, append, newest, record, run_child
from tests.support.scale import scaled

NO_SPACE = lmdb.DiskError("mdb_txn_commit: No space left on device")
EIO = lmdb.Error("mdb_txn_commit: Input/output error")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def log(path: Path) -> Iterator[LmdbLog]:
    with LmdbLog.open(path) as opened:
        yield opened


def engine(path: Path) -> Any:
    """The engine alone, to do what nobody should."""
    return lmdb.open(str(path), max_dbs=8, map_size=1 << 30, lib_version=0)


def rewrite(path: Path, change: Callable[[Any, Any], None], table: bytes = b"frames") -> None:
    with engine(path) as environment:
        database = environment.open_db(table, create=False)
        with environment.begin(write=True, db=database) as transaction:
            change(transaction, database)


def every_read(log: LmdbLog) -> list[Callable[[], object]]:
    return [
        lambda: list(log.frames()),
        lambda: log.history("job:1"),
        lambda: log.first("job:1"),
        lambda: log.last("job:1"),
        lambda: log.at(1),
    ]


# --- the map ---------------------------------------------------------------------------------------


def test_f23_a_full_map_grows_and_nobody_notices(path: Path) -> None:
    with LmdbLog.open(path, map_size=64 * 1024) as log:
        for n in range(40):
            append(log, f"job:{n}", *[f"run:{m}" for m in range(100)])
        assert log.head.position == 40 * 101
        assert sum(len(frame.records) for frame in log.frames()) == 40 * 101
        assert path.joinpath("data.mdb").stat().st_size > 64 * 1024


def test_f23_one_frame_larger_than_twice_the_map_is_written(path: Path) -> None:
    with LmdbLog.open(path, map_size=64 * 1024) as log:
        log.append([record("job:1", "x" * 1_000_000)], expected=0, epoch=1, recorded_us=1)
        assert log.head.position == 1


def test_f23_at_the_cap_nothing_is_written_and_the_log_goes_on(path: Path) -> None:
    with LmdbLog.open(path, map_size=1 << 20, max_map_size=1 << 20) as log:
        head = append(log, "job:1")
        with pytest.raises(CapReachedError, match="largest size, 1048576 bytes") as caught:
            log.append([record("job:2", "x" * 2_000_000)], expected=1, epoch=1, recorded_us=1)
        assert isinstance(caught.value, StoreFullError)
        assert isinstance(caught.value, NotWrittenError)
        assert log.head == head
        assert append(log, "job:2").position == 2


def test_f23_readers_in_other_threads_survive_the_growth(path: Path) -> None:
    with LmdbLog.open(path, map_size=64 * 1024) as log, ThreadPoolExecutor(2) as readers:
        append(log, "job:1")

        def read() -> bool:
            for _ in range(100):
                assert log.first("job:1") is not None
                assert [stored.position for stored in log.history("job:1")] == [1]
                assert next(log.frames()).first == 1
            return True

        for n in range(8):
            reading = [readers.submit(read) for _ in range(2)]
            append(log, *[f"run:{n}:{m}" for m in range(1000)])
            assert all(future.result(30) for future in reading)


@pytest.mark.no_cover
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited there only")
def test_f23_little_address_space_is_room_for_a_store_until_that_is_used_up(path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from eventstore.errors import CapReachedError\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "from tests.eventstore.support import append, record\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "with LmdbLog.open(sys.argv[1]) as log:\n"
        "    try:\n"
        "        for n in range(200):\n"
        "            log.append([record('job:1', 'x' * 4_000_000)], expected=n, epoch=1, recorded_us=1)\n"
        "    except CapReachedError as error:\n"
        "        print(n > 20, log.head.position == n, error, error.remedy)\n"
        "    print(append(log, 'job:2').position == n + 1)"
    )
    child = run_child(code, path)
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("True True this process may not map ")
    assert "ulimit -v" in child.stdout
    assert child.stdout.endswith("True\n")
    with LmdbLog.open(path) as log:
        assert log.last("job:2") is not None


def test_f24_a_reader_follows_when_the_owner_lets_the_map_grow(path: Path) -> None:
    with LmdbLog.open(path, map_size=64 * 1024) as log:
        append(log, "job:1")
        log.close()
    with LmdbLog.open(path, map_size=64 * 1024, read_only=True) as reader:
        assert reader.head.position == 1
        code = (
            "import sys\n"
            "from eventstore.lmdb_log import LmdbLog\n"
            "from tests.eventstore.support import append\n"
            "with LmdbLog.open(sys.argv[1], map_size=64 * 1024) as log:\n"
            "    for n in range(30): append(log, *['job:%d' % n] * 100)"
        )
        child = run_child(code, path)
        assert child.returncode == 0, child.stderr
        assert reader.head.position == 3001
        assert len(reader.history("job:7")) == 100
        assert sum(len(frame.records) for frame in reader.frames()) == 3001


@pytest.mark.no_cover
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited there only")
@pytest.mark.parametrize("room", [True, False])
def test_f24_a_reader_with_little_address_space_follows_an_owner_with_much(path: Path, room: bool) -> None:
    append_more = (
        "import resource, sys\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        "from tests.eventstore.support import append\n"
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n"
        "with LmdbLog.open(sys.argv[1]) as log:\n"
        "    for n in range(30): append(log, *['job:%d' % n] * 100)"
    )
    code = (
        "import resource, subprocess, sys\n"
        "from eventstore import lmdb_engine\n"
        "from eventstore.lmdb_log import LmdbLog\n"
        f"if not {room}: lmdb_engine._has_room = lambda size: False\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, -1))\n"
        "with LmdbLog.open(sys.argv[1], map_size=64 * 1024, read_only=True) as reader:\n"
        f"    subprocess.run([sys.executable, '-c', {append_more!r}, sys.argv[1]], check=True)\n"
        "    print(reader.head.position, len(reader.history('job:7')))\n"
        "    print(sum(len(frame.records) for frame in reader.frames()))"
    )
    with LmdbLog.open(path) as log:
        append(log, "job:1")
    child = run_child(code, path)
    assert child.stdout.split() == ["3001", "100", "3001"], child.stderr


# --- failed commits --------------------------------------------------------------------------------


def failing(log: LmdbLog, error: BaseException, *, after_the_write: bool = False) -> None:
    """Let the next commit fail, before or after it is on disk."""

    def commit(transaction: Any) -> None:
        del log._commit
        if after_the_write:
            transaction.commit()
        raise error

    log._commit = commit  # type: ignore[method-assign]


@pytest.mark.parametrize("after_the_write", [False, True])
@pytest.mark.parametrize(
    "error", [EIO, NO_SPACE, MemoryError(), lmdb.PanicError("update of meta page failed")]
)
def test_f21_f25_f26_after_a_failed_commit_only_the_disk_knows(
    log: LmdbLog, error: Exception, *, after_the_write: bool
) -> None:
    head = append(log, "job:1")
    failing(log, error, after_the_write=after_the_write)
    with pytest.raises(OutcomeUnknownError) as caught:
        append(log, "job:2", "job:1")
    assert isinstance(caught.value, DiskFullError) == (error is NO_SPACE)
    assert caught.value.__cause__ is error
    calls = every_read(log)
    calls += [lambda: append(log, "job:3"), lambda: newest(log, "x")]
    for call in calls:
        with pytest.raises(ReopenNeededError):
            call()
    reopened = log.reopen()
    assert reopened.position == (3 if after_the_write else 1)
    assert (reopened == head) is not after_the_write
    assert len(log.history("job:1")) == (2 if after_the_write else 1)
    assert append(log, "job:3").position == reopened.position + 1


def test_f14_an_interrupt_in_a_commit_is_passed_on_and_the_log_wants_to_be_reopened(log: LmdbLog) -> None:
    failing(log, KeyboardInterrupt(), after_the_write=True)
    with pytest.raises(KeyboardInterrupt):
        append(log, "job:1")
    with pytest.raises(ReopenNeededError):
        append(log, "job:1")
    assert log.reopen().position == 1


def test_a_reopening_that_fails_can_be_tried_again(log: LmdbLog, path: Path) -> None:
    head = append(log, "job:1")
    failing(log, EIO)
    with pytest.raises(OutcomeUnknownError):
        append(log, "job:2")
    hidden = path / "STORE.hidden"
    path.joinpath("STORE").rename(hidden)
    path.joinpath("STORE").write_bytes(b"{")
    for _ in range(2):
        with pytest.raises(CorruptStoreError):
            log.reopen()
        with pytest.raises(ReopenNeededError):
            log.at(1)
    hidden.replace(path / "STORE")
    assert log.reopen() == head
    assert append(log, "job:2").position == 2


def test_a_log_that_needs_reopening_can_be_closed_and_opened(path: Path) -> None:
    log = LmdbLog.open(path)
    failing(log, EIO)
    with pytest.raises(OutcomeUnknownError):
        append(log, "job:1")
    log.close()
    with LmdbLog.open(path) as again:
        assert append(again, "job:1").position == 1


def test_f21_a_real_full_disk_is_survived(path: Path) -> None:
    """A limit on the size of files fails writes as a full disk does; it holds for a whole process."""
    code = """
import resource, signal, sys
from eventstore.errors import OutcomeUnknownError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = LmdbLog.open(sys.argv[1])
acked = append(log, *["job:%d" % n for n in range(500)])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    while True:
        acked = append(log, *["run:%d" % n for n in range(500)])
except OutcomeUnknownError as error:
    print(error, file=sys.stderr)
assert log.reopen() == acked
assert log.first("job:7").position == 8
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
head = append(log, "job:last")
assert head.position == acked.position + 1
assert sum(len(frame.records) for frame in log.frames()) == head.position
log.close()
"""
    child = run_child(code, path)
    assert child.returncode == 0, child.stderr
    assert "a commit failed" in child.stderr


# --- others who write ------------------------------------------------------------------------------


def test_a_write_behind_the_back_is_a_conflict_until_reopened(log: LmdbLog, path: Path) -> None:
    append(log, "job:1")
    frame, value = encode_frame([record("job:2")], head=log.head, epoch=1, recorded_us=1)
    code = (
        "import lmdb, sys\n"
        "with lmdb.open(sys.argv[1], lib_version=0, max_dbs=8, map_size=1 << 30) as environment:\n"
        "    frames = environment.open_db(b'frames')\n"
        "    with environment.begin(write=True, db=frames) as transaction:\n"
        "        assert transaction.put(bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]), append=True)"
    )
    child = run_child(code, path, frame_table.pack_position(2).hex(), value.hex())
    assert child.returncode == 0, child.stderr
    with pytest.raises(ConflictError, match="somebody else"):
        append(log, "job:3")
    assert log.reopen() == frame.head
    assert append(log, "job:3").position == 3


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
def test_f33_a_file_that_is_gone_or_another_stops_the_writing(log: LmdbLog, path: Path, name: str) -> None:
    append(log, "job:1")
    path.joinpath(name).rename(path / "elsewhere")
    if name == "lock.mdb":
        log._next_look_s = 0
    with pytest.raises(StoreLostError):
        append(log, "job:2")
    with pytest.raises(ReopenNeededError):
        log.at(1)
    path.joinpath("elsewhere").rename(path / name)
    assert log.reopen().position == 2, "it was written, though nobody was told so"
    path.joinpath(name).rename(path / "elsewhere")
    path.joinpath(name).write_bytes(path.joinpath("elsewhere").read_bytes())
    log._next_look_s = 0
    with pytest.raises(StoreLostError):
        append(log, "job:2")


def test_f33_a_store_that_is_gone_is_not_made_anew_under_who_has_it_open(log: LmdbLog, path: Path) -> None:
    append(log, "job:1")
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    with pytest.raises(StoreLostError):
        append(log, "job:2")
    with pytest.raises(StoreLostError, match="not the store any more"):
        log.reopen()
    assert not path.exists()
    with LmdbLog.open(path):
        pass
    with pytest.raises(StoreLostError, match="not the store any more"):
        log.reopen()
    shutil.rmtree(path)
    elsewhere.rename(path)
    assert log.reopen().position == 2
    assert append(log, "job:3").position == 3


def test_a_reader_decodes_the_end_of_the_log_again_only_when_somebody_has_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = (
        "import sys; from eventstore.lmdb_log import LmdbLog; from tests.eventstore.support import append\n"
        "with LmdbLog.open(sys.argv[1]) as log: append(log, 'job:1')"
    )
    run_child(write, path)
    with LmdbLog.open(path, read_only=True) as reader:
        monkeypatch.setattr("eventstore.lmdb_reading.read_head", counted := Counted(frame_table.read_head))
        for number in (1, 2):
            assert [reader.head.position for _ in range(3)] == [number] * 3
            assert [stored.position for stored in reader.history("job:1")] == list(range(1, number + 1))
            assert counted.calls == number - 1
            run_child(write, path)
        assert reader.head.position == 3


class Counted:
    """A function that counts how often it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self._function(*args, **kwargs)


def test_a_reader_cannot_write(path: Path) -> None:
    LmdbLog.open(path).close()
    with LmdbLog.open(path, read_only=True) as reader:
        for call in (lambda: append(reader, "job:1"), lambda: reader.save_snapshot("x", 0, b"")):
            with pytest.raises(StoreAccessError, match="read only"):
                call()


def test_f18_a_forked_child_is_refused_and_the_parent_unharmed(log: LmdbLog) -> None:
    append(log, "job:1")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            refused = 0
            for call in [*every_read(log), lambda: append(log, "job:2"), log.reopen]:
                try:
                    call()
                except ForkedError:
                    refused += 1
            try:
                LmdbLog.open(log.path)
            except StoreInUseError:
                refused += 1
            log.close()
            os.write(writing, bytes([refused]))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == bytes([8])
    assert append(log, "job:2").position == 2
    assert log.reopen().position == 2


# --- damage ----------------------------------------------------------------------------------------


def fill(path: Path, *, segment_records: int = 8192) -> list[Record]:
    """Fill a store with 60 records in 20 frames; with a segment of so many, one more frame has it written."""
    with LmdbLog.open(path, segment_records=segment_records) as log:
        for n in range(20):
            append(log, f"job:{n}", "job:1", f"run:{n}")
        if segment_records <= 60:
            append(log, "job:odd entity")
        return [record for frame in log.frames() for record in frame.records]


@pytest.mark.no_cover
def test_f28_a_flipped_bit_in_a_record_is_never_handed_out(memory_path: Path) -> None:
    """Each flip hits the stored bytes of one frame, as a bad disk would, below the engine."""
    path = memory_path / "store"
    fill(path)
    with LmdbLog.open(path) as log:
        log.append([record("job:odd", "one odd text")], expected=60, epoch=1, recorded_us=1)
        append(log, "job:1")
    data = path / "data.mdb"
    good, random = data.read_bytes(), Random(28)
    # Pages are never written in place, so older copies of the page may be in the file as well.
    copies = [found.start() for found in re.finditer(b"one odd text", good)]
    for _ in range(scaled("flips", 200)):
        bit = random.randrange(12 * 8)
        damaged = bytearray(good)
        for copy in copies:
            damaged[copy + bit // 8] ^= 1 << bit % 8
        data.write_bytes(damaged)
        with LmdbLog.open(path) as log:
            for read in (lambda: list(log.frames()), lambda: log.history("job:odd"), lambda: log.at(61)):
                with pytest.raises(CorruptStoreError, match="position 61"):
                    read()
            assert log.at(60) is not None


FLIPS = """
import sys
from pathlib import Path
from random import Random
from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
path, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
data, whole = path / "data.mdb", path.with_name("whole.mdb")
def read():
    with LmdbLog.open(path) as log:
        frames = [record for frame in log.frames() for record in frame.records]
        found = [log.history(entity) for entity in ("job:1", "run:19", "job:nobody")]
        return frames, found, log.last("job:7", upto=40), log.first("run:3"), list(log.entities("job:"))
good = whole.read_bytes()
data.write_bytes(good)
expected = read()
for number in range(begin, end):
    bit = Random(number).randrange(2 * 4096 * 8, len(good) * 8)
    damaged = bytearray(good)
    damaged[bit // 8] ^= 1 << bit % 8
    data.write_bytes(damaged)
    print(number, "bit", bit, flush=True)
    try:
        assert read() == expected, bit
    except StoreError:
        print(number, "error", flush=True)
"""


@pytest.mark.no_cover
def test_f28_f29_a_flip_anywhere_is_an_error_or_harmless_or_found_by_verifying(memory_path: Path) -> None:
    """Where a page's own structure is hit, the engine itself may die of it: only verifying helps there."""
    path = memory_path / "store"
    fill(path)
    path.with_name("whole.mdb").write_bytes(path.joinpath("data.mdb").read_bytes())
    begin, end, errors = 0, scaled("flips", 200), 0
    while begin < end:
        child = run_child(FLIPS, path, begin, end)
        errors += child.stdout.count("error")
        assert child.returncode <= 0, child.stderr
        begin = 1 + int(child.stdout.splitlines()[-1].split()[0])
        if child.returncode:
            with pytest.raises(CorruptStoreError, match="damaged places"):
                verify(path / "data.mdb")
    assert errors > end // 50


def test_f44_a_gap_is_detected(path: Path) -> None:
    fill(path)
    rewrite(path, lambda transaction, _: transaction.delete(frame_table.pack_position(7)))
    with LmdbLog.open(path) as log:
        with pytest.raises(CorruptStoreError, match="chain is broken at position 7"):
            list(log.frames())
        with pytest.raises(CorruptStoreError, match="no frame holds position 8"):
            log.at(8)
        assert log.at(10) is not None


def test_f44_a_forged_frame_breaks_the_chain(path: Path) -> None:
    """A whole frame, its checksum right, in the place of another: only the chain tells."""
    fill(path)
    forged = [record("job:6", "forged"), record("job:1"), record("run:6")]
    head = Head(18, 1, b"\6" * 32, 0)
    frame, value = encode_frame(forged, head=head, epoch=1, recorded_us=1)
    rewrite(path, lambda transaction, _: transaction.put(frame_table.pack_position(19), value))
    with LmdbLog.open(path) as log, pytest.raises(CorruptStoreError, match="chain is broken at position 19"):
        list(log.frames())
    assert frame.first == 19


def test_f44_a_frame_after_a_forged_one_breaks_the_chain(path: Path) -> None:
    fill(path)
    with LmdbLog.open(path) as log:
        before = next(log.frames(after=15, upto=18)).head
    forged = [record("job:6", "forged"), record("job:1"), record("run:6")]
    _, value = encode_frame(forged, head=before, epoch=1, recorded_us=1)
    rewrite(path, lambda transaction, _: transaction.put(frame_table.pack_position(19), value))
    with LmdbLog.open(path) as log:
        with pytest.raises(CorruptStoreError, match="chain is broken at position 22"):
            list(log.frames())
        with pytest.raises(CorruptStoreError, match="chain is broken at position 22"):
            list(log.frames(after=18))


def test_f44_a_frame_that_skips_positions_is_detected(path: Path) -> None:
    """Its checksum and its link to the frame before are right; only its position is not."""
    fill(path)
    with LmdbLog.open(path) as log:
        skipping = log.head._replace(position=61)
    _, value = encode_frame([record("job:1")], head=skipping, epoch=1, recorded_us=1)
    rewrite(path, lambda transaction, _: transaction.put(frame_table.pack_position(62), value))
    with LmdbLog.open(path) as log, pytest.raises(CorruptStoreError, match="chain is broken at position 61"):
        list(log.frames())


def test_a_reopened_log_has_forgotten_what_it_knew(log: LmdbLog, path: Path) -> None:
    """An older copy was put in place of the data: what is read is what is there now."""
    head = append(log, "job:1", "job:2")
    older = path.joinpath("data.mdb").read_bytes()
    append(log, "job:3", "job:4")
    path.joinpath("older").write_bytes(older)
    path.joinpath("older").replace(path / "data.mdb")
    assert log.reopen() == head
    assert log.at(3) is None
    append(log, "job:5")
    stored = log.at(3)
    assert stored is not None
    assert stored.record.entity == "job:5"


def test_f44_the_engine_refuses_to_append_out_of_order_and_is_not_believed(log: LmdbLog) -> None:
    append(log, "job:1", "job:2")
    log._head = EMPTY
    with pytest.raises(OutcomeUnknownError, match="refused to append at position 1"):
        log.append([record("job:3")], expected=0, epoch=1, recorded_us=1)
    assert log.reopen().position == 2
    assert log.history("job:3") == []


def test_an_index_that_leads_elsewhere_is_detected(path: Path) -> None:
    fill(path, segment_records=60)
    _, rows = encode_segment(0, [("job:0", [1]), ("job:1", [1])], most=2, first=1, last=60)

    def forge(transaction: Any, segments: Any) -> None:
        for key, value in rows:
            transaction.put(key, value, db=segments)

    rewrite(path, forge, b"segments")
    with LmdbLog.open(path) as log, pytest.raises(CorruptStoreError, match="leads to 'job:0' at 1"):
        log.history("job:1")


@pytest.mark.no_cover
def test_f28_a_flipped_bit_in_the_index_never_hides_an_entity(memory_path: Path) -> None:
    """Each flip hits a row of the one segment; what opens all the same says so when it is asked."""
    path = memory_path / "store"
    fill(path, segment_records=60)
    with LmdbLog.open(path) as log:
        whole = [log.history(f"job:{n}") for n in range(20)]
    with engine(path) as environment:
        segments = environment.open_db(b"segments", create=False)
        with environment.begin(db=segments) as transaction:
            rows = list(transaction.cursor())
    assert len(rows) == 2
    random = Random(28)
    for _ in range(scaled("flips", 200)):
        key, value = random.choice(rows)
        damaged = bytearray(value)
        bit = random.randrange(len(damaged) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        put(path, key, bytes(damaged))
        with pytest.raises(CorruptStoreError, match="index"), LmdbLog.open(path) as log:
            _ = [log.history(f"job:{n}") for n in range(20)]
        put(path, key, value)
    with LmdbLog.open(path) as log:
        assert [log.history(f"job:{n}") for n in range(20)] == whole


def put(path: Path, key: bytes, value: bytes) -> None:
    rewrite(path, lambda transaction, segments: transaction.put(key, value, db=segments), b"segments")


@pytest.mark.parametrize("block", [0, 1], ids=["header", "block"])
def test_a_row_of_the_index_that_is_gone_is_missed(path: Path, block: int) -> None:
    fill(path, segment_records=60)
    rewrite(path, lambda transaction, _: transaction.delete(row_key(0, block)), b"segments")
    with pytest.raises(CorruptStoreError, match="the index lacks"), LmdbLog.open(path) as log:
        log.history("job:1")


def test_a_segment_out_of_its_place_is_noticed(path: Path) -> None:
    fill(path, segment_records=60)
    _, rows = encode_segment(1, [("job:0", [70])], most=1, first=70, last=70)
    for key, value in rows:
        put(path, key, value)
    with pytest.raises(CorruptStoreError, match="the index goes on at 70, not at 61"):
        LmdbLog.open(path)


def test_what_the_index_had_in_memory_is_found_again(path: Path) -> None:
    """A segment is written with the frame behind it; the rest is read from the frames at the first look."""
    with LmdbLog.open(path, segment_records=8) as log:
        for n in range(10):
            append(log, f"job:{n}", "job:1")
        whole = {entity: log.history(entity) for entity in log.entities("")}
    with LmdbLog.open(path, segment_records=8) as log:
        assert {entity: log.history(entity) for entity in log.entities("")} == whole
        assert len(whole["job:1"]) == 11


OWNER = """
import sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
with LmdbLog.open(sys.argv[1], segment_records=8) as log:
    append(log, "job:1")
    print("open", flush=True)
    for n in sys.stdin:
        append(log, f"job:{int(n)}", "job:1")
        print("done", flush=True)
"""


def test_who_reads_beside_the_owner_follows_the_index(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdin
        assert owner.stdout
        assert owner.stdout.readline() == "open\n"
        with LmdbLog.open(path, segment_records=8, read_only=True) as reader:
            for n in range(2, 40):
                owner.stdin.write(f"{n}\n")
                owner.stdin.flush()
                assert owner.stdout.readline() == "done\n"
                assert len(reader.history("job:1")) == n
                assert [stored.position for stored in reader.history(f"job:{n}")] == [2 * n - 2]
            assert len(list(reader.entities("job:"))) == 39
        owner.stdin.close()


def test_a_failed_commit_leaves_the_index_as_it_was(path: Path) -> None:
    with LmdbLog.open(path, segment_records=4) as log:
        for n in range(4):
            append(log, f"job:{n}")
        failing(log, EIO)
        with pytest.raises(OutcomeUnknownError):
            append(log, "job:9")
        log.reopen()
        assert list(log.entities("")) == ["job:3", "job:2", "job:1", "job:0"]
        append(log, "job:1")
        assert [stored.position for stored in log.history("job:1")] == [2, 5]


def test_f41_a_frame_of_a_newer_format_is_refused_at_opening(path: Path) -> None:
    fill(path)

    def age(transaction: Any, frames: Any) -> None:
        key = frame_table.pack_position(58)
        transaction.put(key, b"\2" + transaction.get(key)[1:])

    rewrite(path, age)
    with pytest.raises(StoreFormatError, match=r"format 2\.0; this version reads 1\.0"):
        LmdbLog.open(path)


def test_a_store_without_its_databases_is_damaged_not_new(path: Path) -> None:
    def drop(transaction: Any, database: Any) -> None:
        transaction.drop(database, delete=True)

    LmdbLog.open(path).close()
    rewrite(path, drop, b"segments")
    with pytest.raises(CorruptStoreError, match="lacks a database"):
        LmdbLog.open(path)


# --- reading in bounds -----------------------------------------------------------------------------


def test_f47_a_slow_scan_does_not_make_the_file_grow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that writers free can be used again while somebody reads the log frame by frame."""
    monkeypatch.setattr(frame_table, "_BATCH_FRAMES", 2)

    def grown(*, reading: bool) -> int:
        folder = path.with_name(f"reading-{reading}")
        with LmdbLog.open(folder) as log:
            for n in range(50):
                append(log, f"job:{n}")
            before = folder.joinpath("data.mdb").stat().st_size
            scan = log.frames()
            for n in range(50):
                append(log, f"run:{n}")
                if reading:
                    next(scan)
            return folder.joinpath("data.mdb").stat().st_size - before

    assert grown(reading=True) <= grown(reading=False) * 1.1 + 8 * 4096


def test_f38_more_readers_than_slots_hurt_only_readers(log: LmdbLog) -> None:
    append(log, "job:1")
    environment = log._databases.environment
    held = [environment.begin() for _ in range(1023)]
    with pytest.raises(lmdb.ReadersFullError):
        held.extend(environment.begin() for _ in range(2))
    with pytest.raises(StoreError, match="reading failed"):
        list(log.frames())
    assert append(log, "job:2").position == 2
    held.clear()
    assert len(list(log.frames())) == 2


def test_f37_slots_of_dead_readers_are_freed_at_opening(path: Path) -> None:
    LmdbLog.open(path).close()
    code = (
        "import lmdb, os, sys\n"
        "environment = lmdb.open(sys.argv[1], max_dbs=8, map_size=1 << 30, lib_version=0)\n"
        "transactions = [environment.begin() for _ in range(50)]\n"
        "os.kill(os.getpid(), 9)"
    )
    with LmdbLog.open(path) as log:
        run_child(code, path)
        assert log._databases.environment.readers().count(" ") > 50
        log.reopen()
        assert log._databases.environment.reader_check() == 0
