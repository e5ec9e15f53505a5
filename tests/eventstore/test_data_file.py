"""The look at the data file before the engine has it (F30, F31, F41)."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import lmdb
import pytest

from eventstore.data_file import look_at, verify
from eventstore.errors import CorruptStoreError, StoreFormatError, StoreTruncatedError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append, record, run_child
from tests.support.scale import scaled

PAGE = 4096


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with LmdbLog.open(tmp_path / "store") as log:
        for n in range(30):
            append(log, f"job:{n}", *[f"run:{n}:{m}" for m in range(40)])
    return tmp_path / "store" / "data.mdb"


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_healthy_file_looks_as_usual_at_every_commit(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        for _ in range(20):
            append(log, "job:1")
            assert look_at(tmp_path / "store" / "data.mdb")
    verify(tmp_path / "store" / "data.mdb")


def test_a_file_that_the_engine_only_just_made_looks_as_usual(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path), lib_version=0).close()
    assert look_at(tmp_path / "data.mdb")


@pytest.mark.parametrize("size", [1, 100, 151])
def test_f30_less_than_a_meta_page_is_truncated(data: Path, size: int) -> None:
    os.truncate(data, size)
    with pytest.raises(StoreTruncatedError, match=f"only {size} bytes"):
        look_at(data)


@pytest.mark.no_cover
def test_f30_each_truncation_is_refused_before_the_engine_sees_it(data: Path) -> None:
    """Where only free pages are missing at the end, the file may be as good as before."""
    good = data.read_bytes()
    step = max(len(good) // scaled("truncations", 40), 1)
    refused = 0
    for size in range(152, len(good), step):
        os.truncate(data, size)
        with pytest.raises(StoreTruncatedError, match="bytes"):
            look_at(data)
        refused += 1
        data.write_bytes(good)
    assert refused >= 40


@pytest.mark.no_cover
def test_f30_the_engine_survives_each_truncation_by_not_being_asked(data: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
data = Path(sys.argv[1])
good = data.read_bytes()
for size in [0, 1, 4095, 4096, 4097, 8191, 8192, 12288, len(good) // 4, len(good) // 2, len(good) - 1]:
    data.write_bytes(good)
    os.truncate(data, size)
    for read_only in (False, True):
        try:
            LmdbLog.open(data.parent, read_only=read_only)
        except StoreError as error:
            print(type(error).__name__)
data.write_bytes(good)
LmdbLog.open(data.parent).close()
"""
    child = run_child(code, data)
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["StoreEmptyError"] * 2 + ["StoreTruncatedError"] * 20


def test_f41_a_file_of_a_later_engine_is_refused_as_that(tmp_path: Path) -> None:
    # Format 3 has larger page headers, and the same magic number after them.
    later = bytes(24) + struct.pack("=II", 0xBEEFC0DE, 3) + bytes(12_000)
    (tmp_path / "data.mdb").write_bytes(later)
    with pytest.raises(StoreFormatError, match="format 3 of LMDB; this version reads 1"):
        look_at(tmp_path / "data.mdb")


def test_something_else_is_no_data_file(tmp_path: Path) -> None:
    path = tmp_path / "data.mdb"
    for content in (b"hello " * 5000, bytes(100_000), b"SQLite format 3\0" + bytes(9000)):
        path.write_bytes(content)
        with pytest.raises(CorruptStoreError, match="not a data file"):
            look_at(path)


TRUNCATED_WHILE_OPEN = """
import os, sys
from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
log = LmdbLog.open(sys.argv[1])
os.truncate(sys.argv[1] + "/data.mdb", 4 * 4096)
try:
    list(log.frames())
except StoreError as error:
    print("error", flush=True)
os._exit(0)
"""


def test_f34_a_file_that_is_cut_off_while_it_is_open_is_refused_at_the_next_start(data: Path) -> None:
    """Whoever reads beyond the end is ended by the system: nothing can be done about that. Nothing wrong is told."""
    child = run_child(TRUNCATED_WHILE_OPEN, data.parent)
    assert child.returncode == -signal.SIGBUS or child.stdout == "error\n", child.stderr
    with pytest.raises(StoreTruncatedError):
        LmdbLog.open(data.parent)


LOW_ON_FILES = """
import os, resource, sys
from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
with LmdbLog.open(sys.argv[1]) as log:
    append(log, "job:1")
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
used = len(os.listdir("/dev/fd"))
for more in range(1, 8):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used - 2 + more, limits[1]))
    try:
        with LmdbLog.open(sys.argv[1]) as log:
            append(log, "job:2")
            print("enough")
            break
    except StoreError as error:
        print("refused", error)
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
with LmdbLog.open(sys.argv[1]) as log:
    print("head", append(log, "job:3").position, len(log.history("job:2")))
"""


def test_f45_a_process_without_descriptors_is_refused_and_goes_on_when_it_has_some(tmp_path: Path) -> None:
    child = run_child(LOW_ON_FILES, tmp_path / "store")
    assert child.returncode == 0, child.stderr
    *refused, last = child.stdout.splitlines()
    assert sum("Too many open files" in line for line in refused) >= 2
    written = refused.count("enough")
    assert last == f"head {2 + written} {written}"


def test_f30_a_long_record_that_lost_its_end_is_missed_though_no_page_tells(tmp_path: Path) -> None:
    """Walking the pages does not find it, and the engine would die of it."""
    with LmdbLog.open(tmp_path / "store") as log:
        for _ in range(9):  # so that there are free pages before the long record
            append(log, "job:1")
        log.append([record("job:1", "long " * 9000)], expected=9, epoch=1, recorded_us=1_000_000)
    data = tmp_path / "store" / "data.mdb"
    os.truncate(data, data.stat().st_size - PAGE)
    verify(data)
    with pytest.raises(StoreTruncatedError, match="SIGBUS"):
        LmdbLog.open(tmp_path / "store")


@pytest.mark.parametrize("page", [0, 1])
def test_f31_a_damaged_meta_page_is_noticed(data: Path, page: int) -> None:
    overwrite(data, page * PAGE + 16, b"\0\0\0\0")
    assert not look_at(data)


@pytest.mark.parametrize("page", [0, 1])
def test_f31_a_transaction_number_out_of_turn_is_noticed(data: Path, page: int) -> None:
    at = page * PAGE + 16 + 128
    (number,) = struct.unpack_from("=Q", data.read_bytes(), at)
    overwrite(data, at, struct.pack("=Q", number ^ 64))
    assert not look_at(data)


def test_f29_verifying_finds_a_page_of_rubbish(data: Path) -> None:
    for page in range(2, data.stat().st_size // PAGE):
        overwrite(data, page * PAGE, b"\xa5" * PAGE)
    with pytest.raises(CorruptStoreError, match=r"damaged places, the first|cannot be verified"):
        verify(data)


def test_what_cannot_be_verified_at_all_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"hello")
    with pytest.raises(CorruptStoreError, match="cannot be verified"):
        verify(tmp_path / "data.mdb")
