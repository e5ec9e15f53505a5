"""The golden file: bytes of released events, kept for ever. `python -m tests.golden` adds what is missing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from actors.folding import event_codec
from eventstore.records import Record
from tests.golden.samples import samples

FILE = Path(__file__).with_name("events.jsonl")
CODEC = event_codec()


class Line(NamedTuple):
    """One released event."""

    tag: str
    version: int
    payload: str
    """As it is stored, in base64."""

    @property
    def record(self) -> Record:
        return Record("entity:x", self.version, "", "", base64.b64decode(self.payload))

    def text(self) -> str:
        """The line, with the stored array for people beside it."""
        stored = msgspec.to_builtins(msgspec.msgpack.decode(self.record.payload))
        return json.dumps({**self._asdict(), "stored": stored}, ensure_ascii=False)


def golden() -> list[Line]:
    """Return the lines that are there."""
    rows = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    return [Line(row["tag"], row["version"], row["payload"]) for row in rows]


def present() -> list[Line]:
    """Return what the code of today writes, a sample of each shape."""
    return [_line(event) for type_ in CODEC.types for event in samples(type_)]


def _line(event: Any) -> Line:
    record = CODEC.record(event, entity="entity:x")
    return Line(record.tag, record.version, base64.b64encode(record.payload).decode())
