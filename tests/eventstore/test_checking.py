"""A walk over a log: it finds what is wrong, and says where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventstore import checking
from eventstore.checking import check_log
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.records import Frame, Stored
from tests.eventstore.support import append


class Forged(MemoryLog):
    """A log whose frames can be replaced, and whose index can forget."""

    def __init__(self) -> None:
        super().__init__()
        self.forged: dict[int, dict[str, Any]] = {}
        self.forgets = ""

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        for frame in super().frames(after=after, upto=upto):
            yield msgspec.structs.replace(frame, **self.forged.get(frame.first, {}))

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        return [] if entity == self.forgets else super().history(entity, upto=upto)


@pytest.fixture
def log() -> Forged:
    log = Forged()
    for number in range(5):
        append(log, f"job:{number}", "run:1", recorded_us=1_000 + number)
    return log


def test_a_good_log_is_good(log: Forged) -> None:
    seen: list[int] = []
    check = check_log(log, seen=lambda frame: seen.append(frame.first))
    assert check == (5, 10, 6, log.head, "")
    assert seen == [1, 3, 5, 7, 9]
    assert check_log(MemoryLog()).problem == ""


@pytest.mark.parametrize(
    ("forged", "text"),
    [
        ({"previous": b"x" * 32}, "chain is broken at position 5"),
        ({"first": 6}, "chain is broken at position 6"),
        ({"epoch": 0}, "goes back at position 5"),
        ({"recorded_us": 1}, "goes back at position 5"),
    ],
)
def test_f44_what_does_not_follow_is_found(log: Forged, forged: dict[str, Any], text: str) -> None:
    log.forged[5] = forged
    check = check_log(log)
    assert text in check.problem
    assert check.head.position == 4


def test_an_index_that_forgets_is_found(log: Forged) -> None:
    log.forgets = "run:1"
    assert "index of 'run:1' has 0 positions, the log 5" in check_log(log).problem


def test_of_many_entities_only_some_are_compared_and_never_fewer_than_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the walk over a large log would take as much memory as all the names in it."""
    monkeypatch.setattr(checking, "INDEXED", 8)
    log = Forged()
    for number in range(100):
        append(log, f"job:{number}", f"job:{number}")
    found = 0
    for number in range(100):
        log.forgets = f"job:{number}"
        found += "has 0 positions, the log 2" in check_log(log).problem
    assert 8 <= found <= 16


def test_damage_is_reported_and_not_raised(tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "store") as log:
        for number in range(20):
            append(log, f"job:{number}")
    data = tmp_path / "store" / "data.mdb"
    content = bytearray(data.read_bytes())
    for at in range(len(content) - 6):
        if content[at : at + 6] == b"job:11":
            content[at] ^= 1
    data.write_bytes(content)
    with LmdbLog.open(tmp_path / "store", read_only=True) as log:
        check = check_log(log)
    assert "checksum" in check.problem
    assert check.head.position == 11
