"""What the tests of the store share: events, records, a short way to append, code for children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import msgspec

from eventstore.codec import EventCodec
from eventstore.log import Log
from eventstore.records import Head, Record

ROOT = Path(__file__).parents[2]


class Noted(msgspec.Struct, frozen=True, array_like=True, tag="test.noted", forbid_unknown_fields=True):
    schema_version: ClassVar[int] = 1
    text: str
    number: int = 0


class Counted(msgspec.Struct, frozen=True, array_like=True, tag="test.counted", forbid_unknown_fields=True):
    schema_version: ClassVar[int] = 1
    amounts: tuple[int, ...]


CODEC = EventCodec([Noted, Counted])


def record(entity: str, text: str = "a note", *, number: int = 0) -> Record:
    return CODEC.record(Noted(text, number), entity=entity, cause="cmd:1", correlation="run:1")


def append(log: Log, *entities: str, epoch: int = 1, recorded_us: int = 1_000_000) -> Head:
    """Append one frame with a record for each entity, numbered by position."""
    position = log.head.position
    records = [record(entity, number=position + n) for n, entity in enumerate(entities, 1)]
    return log.append(records, expected=position, epoch=epoch, recorded_us=recorded_us)


def run_child(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own: it may crash, or hold a lock, or be killed."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def newest(log: Log, name: str) -> tuple[int, bytes] | None:
    """Return the newest snapshot of a name that fits."""
    return next(log.load_snapshots(name), None)
