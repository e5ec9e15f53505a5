"""What was released is readable for ever: every event that was ever written, as it was written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eventstore.codec import EventCodec
from eventstore.errors import CodecError
from tests.golden.lines import CODEC, Line, golden, present
from tests.golden.samples import samples

GOLDEN = golden()
HOW = "run `python -m tests.golden` and commit the lines that it adds; never change or remove one"


@pytest.mark.parametrize("tag", sorted({line.tag for line in GOLDEN}))
def test_every_released_event_is_understood_and_loses_nothing(tag: str) -> None:
    for line in GOLDEN:
        if line.tag == tag:
            assert is_kept(line), f"{line.text()} is read as something else"


def is_kept(line: Line, codec: EventCodec = CODEC) -> bool:
    """Whether all that a line says is in the event that is made of it; what came later has its default."""
    event = codec.decode(line.record)
    now = msgspec.msgpack.decode(codec.encode(event))
    is_of_today = line.version == getattr(event, "schema_version", 1)
    return not is_of_today or _begins_with(now, msgspec.msgpack.decode(line.record.payload))


def _begins_with(now: Any, then: Any) -> bool:
    if isinstance(now, list) and isinstance(then, list):
        return len(now) >= len(then) and all(map(_begins_with, now, then))
    return bool(now == then)


def test_every_event_of_today_has_a_golden_line() -> None:
    missing = sorted({f"{line.tag} version {line.version}" for line in present() if line not in set(GOLDEN)})
    assert not missing, f"no golden line for the present shape of {', '.join(missing)}: {HOW}"


def test_every_version_of_an_event_has_a_golden_line() -> None:
    known = {(line.tag, line.version) for line in GOLDEN}
    for type_ in CODEC.types:
        for version in range(1, getattr(type_, "schema_version", 1) + 1):
            assert (type_.__struct_config__.tag, version) in known, HOW


def test_an_event_from_before_its_last_fields_were_added_is_read_with_their_defaults() -> None:
    for type_ in CODEC.types:
        for event in samples(type_):
            record = CODEC.record(event, entity="entity:x")
            stored = msgspec.msgpack.decode(record.payload)
            fields = msgspec.structs.fields(type_)
            for number in range(len(fields), 0, -1):
                if fields[number - 1].required:
                    break
                short = msgspec.msgpack.encode(stored[:number])
                earlier = CODEC.decode(msgspec.structs.replace(record, payload=short))
                assert [getattr(earlier, each.name) for each in fields[number - 1 :]] == [
                    msgspec.structs.fields(type_)[place].default for place in range(number - 1, len(fields))
                ]


class Was(msgspec.Struct, frozen=True, array_like=True, tag="job.ready"):
    """A change that must not be made: two fields that have changed places."""

    reason: str
    job_id: str
    at_us: int


class Narrow(msgspec.Struct, frozen=True, array_like=True, tag="job.ready"):
    """Another one: a field has gone."""

    job_id: str
    at_us: int


def test_a_change_that_breaks_what_was_released_is_found() -> None:
    line = next(line for line in GOLDEN if line.tag == "job.ready")
    with pytest.raises(CodecError):
        is_kept(line, EventCodec((Was,)))
    assert not is_kept(line, EventCodec((Narrow,)))
