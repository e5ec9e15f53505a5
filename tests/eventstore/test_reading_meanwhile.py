"""Whoever reads in another process while the owner forgets: at whatever moment that happens, no read goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from eventstore.checking import check_log
from eventstore.errors import CompactedError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import ROOT, newest

OWNER = """
import sys
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
from tests.eventstore.test_retention import plan, settle
with LmdbLog.open(sys.argv[1], segment_records=5) as log:
    for n, command in enumerate(sys.stdin):
        if command == "fill\\n":
            for m in range(10):
                append(log, *["kept"][m:], "gone", f"job:{n}")
        else:
            end = log.head.position - 8
            log.compact(plan(log, end, "kept", base=b"%d" % end))
            settle(log)
        print(log.head.position, flush=True)
"""


class Owner:
    """The process that writes the store."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, command: str) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "store")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Owner(process)
        assert process.stdin
        process.stdin.close()


READS: dict[str, Callable[[LmdbLog], object]] = {
    "history": lambda log: [stored.position for stored in log.history("kept")],
    "first": lambda log: log.first("kept"),
    "last": lambda log: log.last("kept"),
    "frames": lambda log: [frame.last for frame in log.frames(after=log.horizon.head.position)][-1],
    "entities": lambda log: [entity for entity in log.entities("") if entity == "kept"],
    "kept": lambda log: {stored.record.entity for stored in log.kept()} == {"kept"},
    "at": lambda log: log.at(log.horizon.head.position + 1) is not None,
    "snapshots": lambda log: (base := newest(log, "base")) is not None and base[1] == b"%d" % base[0],
    "check": lambda log: check_log(log).problem,
}


@pytest.mark.parametrize("name", READS)
def test_a_read_during_which_the_owner_forgets_is_right_or_says_so(
    tmp_path: Path, owner: Owner, name: str
) -> None:
    read = READS[name]
    owner.do("fill")
    owner.do("forget")
    interrupted = 0
    for moment in range(1, 9):
        owner.do("fill")
        with LmdbLog.open(tmp_path / "store", segment_records=1000, read_only=True) as reader:
            read(reader)
            owner.do("fill")
            view = reader._view
            looks = count(1)

            def look(
                *args: Any, looks: Iterator[int] = looks, view: Any = view, moment: int = moment, **what: Any
            ) -> Any:
                nonlocal interrupted
                if next(looks) == moment:
                    interrupted += 1
                    owner.do("forget")
                return view(*args, **what)

            reader._view = look  # type: ignore[method-assign]
            try:
                found = read(reader)
            except CompactedError:
                continue
            reader._view = view  # type: ignore[method-assign]
            assert found == read(reader), moment
    assert interrupted
