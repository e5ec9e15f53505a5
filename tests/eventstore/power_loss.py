"""What may be on a disk when the power goes: images built of the writes and syncs that a real store asked for.

A write counts as durable once the file was synced after it, or if its descriptor is one that syncs by itself. Of all
others, each sector may be there or not: lost, reordered, torn. `python -m tests.eventstore.power_loss` records anew
what is used where there is no `strace`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from unittest.mock import patch

import msgspec

from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import ROOT

SECTOR = 512
COMMITS = 40
FORGOTTEN_AT, FORGOTTEN_UPTO, REOPENED_AT = 20, 9, 30
"""The commits before which the log is compacted up to the end of another, and reopened."""
RECORDED = Path(__file__).parent / "recorded"
MODES = ("as it is", "without sync", "told too early")
"""How the writer of a recording works; the second and the third are wrong."""

WRITER = f"""
import functools, os, sys
import lmdb
from eventstore.lmdb_log import LmdbLog
from eventstore.retention import Compaction, Horizon
from tests.eventstore.support import append
mode = sys.argv[2]
if mode == "without sync":
    lmdb.open = functools.partial(lmdb.open, sync=False)
log = LmdbLog.open(sys.argv[1], segment_records=50)
heads = []
for n in range({COMMITS}):
    if n == {REOPENED_AT}:
        log.reopen()
    if n == {FORGOTTEN_AT}:
        horizon = heads[{FORGOTTEN_UPTO}]
        kept = [stored.position for stored in log.history("job:0", upto=horizon.position)]
        log.compact(Compaction(Horizon(horizon, ""), [("job:0", kept)], dict(name=b"state"), log.head.position))
        os.write(1, b"forgot %d" % horizon.position)
    log.tidy()
    size = 1 + n * 7 % 40
    if mode == "told too early":
        os.write(1, b"ack %d" % (log.head.position + size))
    append(log, *["job:%d" % (n * m) for m in range(size)])
    os.write(1, b"ack %d" % log.head.position)
    heads.append(log.head)
os._exit(0)
"""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """Something that the process asked the system for, in order."""

    kind: str
    """`write`, `write through` (durable by itself), `sync`, `ack`, or `forgot`."""
    offset: int = 0
    """Of a write: where; of an acknowledgement: which position; of a compaction: which horizon."""
    data: bytes = b""


class Recording(msgspec.Struct, frozen=True):
    """A store, and what was done to its data file."""

    data: bytes
    marker: bytes
    steps: list[Step]
    after: bytes
    """The data file in the end, as a process sees it."""


def recording(mode: str, folder: Path) -> Recording:
    """Return what a process does now, where that can be traced, else what one did."""
    if shutil.which("strace"):
        return record(mode, folder)
    content = zlib.decompress((RECORDED / f"{mode.replace(' ', '_')}.z").read_bytes())
    return msgspec.msgpack.decode(content, type=Recording)


def record(mode: str, folder: Path) -> Recording:
    """Trace a process that writes to a new store."""
    store, trace = folder / "store", folder / "trace"
    LmdbLog.open(store).close()
    data, marker = (store / "data.mdb").read_bytes(), (store / "STORE").read_bytes()
    calls = "trace=openat,pwrite64,write,writev,pwritev,lseek,fdatasync,fsync,msync,sync_file_range,ftruncate"
    command = ["strace", "-f", "-y", "-xx", "-s", "9999999", "-e", calls, "-o", str(trace)]
    subprocess.run(
        [*command, sys.executable, "-c", WRITER, str(store), mode],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    steps = list(parse(trace.read_text(encoding="ascii")))
    return Recording(data, marker, steps, (store / "data.mdb").read_bytes())


CALL = re.compile(
    r"^\d+ +(\w+)\((?:AT_FDCWD(?:<[^>]*>)?|(\d+)(?:<([^>]*)>)?)(.*)\) += (-?\d+)(?:<[^>]*>)?.*$"
)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def parse(trace: str) -> Iterator[Step]:
    """Yield the steps of a trace that concern the data file, and the acknowledgements."""
    through: set[str] = set()
    place = 0
    for line in trace.splitlines():
        found = CALL.match(line)
        if found is None:
            continue
        call, descriptor, path, rest, result = found.groups()
        texts = b"".join(unhex(text) for text in TEXT.findall(rest))
        name = unhex(path).decode() if path and path.startswith("\\x") else path or ""
        if call == "openat":
            through.discard(result)
            if "O_DSYNC" in rest or "O_SYNC" in rest:
                through.add(result)
        elif call == "write" and descriptor == "1":
            kind, position = texts.decode().split()
            yield Step(kind, int(position))
        elif name.endswith("data.mdb"):
            if call in {"fdatasync", "fsync"}:
                yield Step("sync")
            else:
                place = place_of(call, rest, result, place)
                if texts:
                    assert int(result) == len(texts), line
                    yield Step("write through" if descriptor in through else "write", place, texts)
                    place += len(texts)


def place_of(call: str, rest: str, result: str, place: int) -> int:
    """Return where in the file a call writes, or leads to."""
    if call in {"pwrite64", "pwritev"}:
        return int(rest.rpartition(",")[2])
    assert call in {"lseek", "write", "writev"}, f"a call that this model does not know: {call}"
    return int(result) if call == "lseek" else place


def image(recorded: Recording, number: int) -> tuple[bytes, dict[str, int]]:
    """Return what may be on the disk after a power failure, and the positions told by then: `ack`, `forgot`."""
    random = Random(number)
    end = random.randrange(len(recorded.steps) + 1)
    content, told = bytearray(recorded.data), {"ack": 0, "forgot": 0}
    pending: list[tuple[int, bytes]] = []
    for step in recorded.steps[:end]:
        if step.kind in told:
            told[step.kind] = step.offset
        elif step.kind == "sync":
            put(content, pending)
            pending = []
        elif step.kind == "write through":
            put(content, [(step.offset, step.data)])
        else:
            pending.append((step.offset, step.data))
    if end < len(recorded.steps) and recorded.steps[end].kind.startswith("write"):
        pending.append(
            (recorded.steps[end].offset, recorded.steps[end].data)
        )  # the power went in the middle of it
    grain, share = random.choice((SECTOR, 8 * SECTOR)), random.choice((0.1, 0.5, 0.9))
    sectors = [
        (offset + at, data[at : at + grain])
        for offset, data in pending
        for at in range(0, len(data), grain)
        if random.random() < share
    ]
    put(content, sectors)
    return bytes(content), told


def put(content: bytearray, writes: list[tuple[int, bytes]]) -> None:
    for offset, data in writes:
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data


def outcome(folder: Path, recorded: Recording, number: int, links: dict[int, bytes]) -> str:
    """Open an image as the owner after the next start of the machine does; return `good` or what is wrong with it."""
    content, told = image(recorded, number)
    (folder / "data.mdb").write_bytes(content)
    (folder / "STORE").write_bytes(recorded.marker)
    (folder / "owner.json").write_bytes(b'{"pid":1,"boot_id":"another","since":""}')
    try:
        with seldom_verified(number), LmdbLog.open(folder, segment_records=50) as log:
            horizon = log.horizon.head.position
            if log.head.position < told["ack"] or horizon < told["forgot"]:
                return "lost"
            ends = {frame.last: frame.link for frame in log.frames(after=horizon)}
            begin = min(links) - 1
            if {end: link for end, link in ends.items() if end > begin} != {
                end: link for end, link in links.items() if end <= log.head.position
            }:
                return "another history"
            if horizon:
                assert list(log.load_snapshots("name")) == [(horizon, b"state")]
            for entity in ("job:0", "job:7", "job:39"):
                assert all(stored.record.entity == entity for stored in log.history(entity))
    except StoreError as error:
        return type(error).__name__
    finally:
        (folder / "high_water.json").unlink(missing_ok=True)
    return "good"


def seldom_verified(number: int) -> AbstractContextManager[object]:
    """Walk all pages of one image in thirty: it takes a child process."""
    return nullcontext() if number % 30 == 0 else patch("eventstore.opening.verify")


def main(arguments: list[str]) -> None:
    """Try the images from one number to another; a line before each, so that a death can be counted.

    With `not taken back` behind the numbers, the last commit is not looked for.
    """
    folder, begin, end = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    if arguments[3:]:
        patch("eventstore.last_commit.find_following", return_value=()).start()
    recorded = msgspec.msgpack.decode((folder / "recording").read_bytes(), type=Recording)
    whole, work = folder / "whole", folder / "work"
    for path in (whole, work):
        path.mkdir(exist_ok=True)
        (path / "STORE").write_bytes(recorded.marker)
    (whole / "data.mdb").write_bytes(recorded.after)
    with LmdbLog.open(whole, segment_records=50) as log:
        links = {frame.last: frame.link for frame in log.frames(after=log.horizon.head.position)}
    for number in range(begin, end):
        print(number, end=" ", flush=True)
        print(outcome(work, recorded, number, links), flush=True)


def outcomes(folder: Path, recorded: Recording, number: int, *how: str) -> Counter[str]:
    """Try so many images in children, and return how often each outcome was met."""
    (folder / "recording").write_bytes(msgspec.msgpack.encode(recorded))
    code = "import sys; from tests.eventstore.power_loss import main; main(sys.argv[1:])"
    seen: Counter[str] = Counter()
    begin = 0
    while begin < number:
        child = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(begin), str(number), *how],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert child.returncode <= 0, child.stderr
        for line in child.stdout.splitlines():
            case, _, result = line.partition(" ")
            begin = int(case) + 1
            seen[result or "killed"] += 1
    return seen


if __name__ == "__main__":
    RECORDED.mkdir(exist_ok=True)
    for each in MODES:
        with tempfile.TemporaryDirectory() as temporary:
            made = msgspec.msgpack.encode(record(each, Path(temporary)))
        file = RECORDED / f"{each.replace(' ', '_')}.z"
        file.write_bytes(zlib.compress(made, 9))
        print(file, file.stat().st_size)
