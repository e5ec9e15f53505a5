"""Events and bytes: the present decoded fast, the past upcast, everything else one family of errors."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.codec import EventCodec
from eventstore.errors import CodecError, LogisticsError, StoreError, UnknownEventError
from eventstore.framing import encode_frame
from eventstore.records import EMPTY, Frame, Record
from tests.eventstore.support import CODEC, Counted, Noted, record
from tests.support.scale import scaled


class Moved(msgspec.Struct, frozen=True, array_like=True, tag="test.moved"):
    """Version 1 was [tag, place], of version 2 [tag, x, y]; version 3 has a name too."""

    schema_version: ClassVar[int] = 3
    x: int
    y: int
    name: str


class Plain(msgspec.Struct, frozen=True, array_like=True, tag="test.plain"):
    value: bytes = b""


def split_place(fields: list[Any]) -> list[Any]:
    x, y = fields[1].split(",")
    return [fields[0], int(x), int(y)]


UPCASTERS = {
    ("test.moved", 1): split_place,
    ("test.moved", 2): lambda fields: [*fields, "unnamed"],
    ("test.renamed", 1): lambda fields: ["test.moved", *fields[1:]],
}
VERSIONED = EventCodec([Moved, Plain], upcasters=UPCASTERS)


def old(version: int, *fields: Any) -> Record:
    return Record("job:1", version, "", "", msgspec.msgpack.encode(list(fields)))


def frame_of(*records: Record) -> Frame:
    frame, _ = encode_frame(records, head=EMPTY, epoch=1, recorded_us=0)
    return frame


EVENTS = st.one_of(
    st.builds(Noted, st.text(), st.integers(-(2**63), 2**64 - 1)),
    st.builds(Counted, st.lists(st.integers(0, 1000)).map(tuple)),
)


@given(st.lists(EVENTS, min_size=1))
def test_events_come_back_one_by_one_and_by_the_frame(events: list[Any]) -> None:
    records = [CODEC.record(event, entity="job:1") for event in events]
    assert [CODEC.decode(record) for record in records] == events
    assert CODEC.decode_frame(frame_of(*records)) == events


def test_a_record_says_tag_and_version() -> None:
    made = VERSIONED.record(Moved(1, 2, "here"), entity="job:1", cause="cmd:7", correlation="run:3")
    assert (made.entity, made.version, made.cause, made.correlation) == ("job:1", 3, "cmd:7", "run:3")
    assert made.tag == "test.moved"
    assert VERSIONED.record(Plain(), entity="job:1").version == 1


def test_f60_older_versions_are_upcast_step_by_step() -> None:
    records = [
        old(1, "test.moved", "3,4"),
        old(2, "test.moved", 3, 4),
        old(3, "test.moved", 3, 4, "unnamed"),
        old(1, "test.renamed", 3, 4),
    ]
    assert [VERSIONED.decode(record) for record in records] == [Moved(3, 4, "unnamed")] * 4
    assert VERSIONED.decode_frame(frame_of(*records)) == [Moved(3, 4, "unnamed")] * 4


def test_f60_an_older_version_that_looks_like_the_present_one_is_still_upcast() -> None:
    codec = EventCodec(
        [Moved], upcasters={("test.moved", n): lambda fields: [*fields[:3], "v"] for n in (1, 2)}
    )
    assert codec.decode(old(2, "test.moved", 1, 2, "junk")) == Moved(1, 2, "v")
    assert codec.decode_frame(frame_of(old(2, "test.moved", 1, 2, "junk"))) == [Moved(1, 2, "v")]


@pytest.mark.parametrize(
    "fields",
    [["test.noted"], ["test.noted", 5], ["test.noted", "a", 1, "more"], ["test.noted", "a", "1"]],
    ids=["missing", "other type", "one more", "text for a number"],
)
def test_f60_a_payload_of_another_shape_is_an_error_that_names_the_entity(fields: list[Any]) -> None:
    with pytest.raises(CodecError, match=r"'test.noted', version 1, of 'job:1'") as caught:
        CODEC.decode(old(1, *fields))
    assert not isinstance(caught.value, UnknownEventError)
    with pytest.raises(CodecError):
        CODEC.decode_frame(frame_of(record("job:1"), old(1, *fields)))


@pytest.mark.parametrize(
    ("tag", "version"),
    [("test.noted", 2), ("test.unheard", 1), ("test.noted", 0)],
    ids=["newer", "tag", "zero"],
)
def test_f59_what_is_unknown_is_named_and_still_shows_its_tag(tag: str, version: int) -> None:
    unknown = old(version, tag, "text", 1)
    assert unknown.tag == tag
    if version == 0:
        with pytest.raises(CodecError):
            CODEC.decode(unknown)
        return
    with pytest.raises(UnknownEventError, match=f"unknown event '{tag}', version {version}") as caught:
        CODEC.decode(unknown)
    assert (caught.value.tag, caught.value.version) == (tag, version)


def test_f59_an_upcaster_that_ends_at_no_known_version_is_an_error() -> None:
    codec = EventCodec([Plain], upcasters={("test.gone", 1): lambda fields: ["test.plain", b"", *fields[1:]]})
    with pytest.raises(UnknownEventError):
        codec.decode(old(1, "test.gone"))


def test_an_upcaster_that_raises_is_a_codec_error() -> None:
    with pytest.raises(CodecError, match="cannot be upcast"):
        VERSIONED.decode(old(1, "test.moved", "no comma"))


@pytest.mark.parametrize(
    "event",
    [
        Noted("\ud800"),
        Noted("x", 2**64),
        Noted("x", -(2**63) - 1),
        Noted(object()),  # type: ignore[arg-type]
        Noted(lambda: None),  # type: ignore[arg-type]
    ],
    ids=["lone surrogate", "2^64", "below -2^63", "object", "function"],
)
def test_f63_what_cannot_be_encoded_is_one_kind_of_error(event: Noted) -> None:
    with pytest.raises(CodecError, match="Noted cannot be encoded") as caught:
        CODEC.encode(event)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, StoreError)
    assert isinstance(caught.value, LogisticsError)


def test_f63_a_cyclic_value_is_an_error() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(CodecError):
        CODEC.encode(Counted(cycle))  # type: ignore[arg-type]


def test_an_event_of_another_codec_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="Plain is not an event of this codec"):
        CODEC.encode(Plain())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\x91\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x92\xaatest.noted\xa1\xff",
        b"\x92\xa1\xff\x01",
        b"\x92\xaatest.noted" + b"\x91" * 100_000,
        b"\x91" * 100_000,
    ],
    ids=[
        "empty",
        "nil",
        "no tag",
        "number tag",
        "array bomb",
        "bytes bomb",
        "not utf-8",
        "tag",
        "deep",
        "deeper",
    ],
)
def test_f64_hostile_payloads_are_codec_errors(payload: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.decode(Record("job:1", 1, "", "", payload))


def test_f64_random_payloads_are_decoded_or_codec_errors() -> None:
    random = Random(64)
    start = b"\x93\xaatest.noted"
    for _ in range(scaled("fuzz", 20_000)):
        payload = random.choice([b"", start, start[:1]]) + random.randbytes(random.randrange(24))
        try:
            event = CODEC.decode(Record("job:1", 1, "", "", payload))
        except CodecError:
            continue
        assert isinstance(event, Noted | Counted)


def test_two_types_of_one_tag_are_refused() -> None:
    class Twin(msgspec.Struct, frozen=True, array_like=True, tag="test.plain"):
        pass

    with pytest.raises(ValueError, match="Plain and Twin share the tag"):
        EventCodec([Plain, Twin])
    assert EventCodec([Plain, Plain]).encode(Plain()) == b"\x92\xaatest.plain\xc4\x00"


def test_types_that_would_not_last_are_refused() -> None:
    class Thawed(msgspec.Struct, array_like=True, tag="a"):
        pass

    class Mapped(msgspec.Struct, frozen=True, tag="a"):
        pass

    class Untagged(msgspec.Struct, frozen=True, array_like=True):
        pass

    class Numbered(msgspec.Struct, frozen=True, array_like=True, tag=1):
        pass

    class Zeroth(msgspec.Struct, frozen=True, array_like=True, tag="a"):
        schema_version: ClassVar[int] = 0

    for bad in (Thawed, Mapped, Untagged, Numbered, Zeroth):
        with pytest.raises(ValueError, match=bad.__name__):
            EventCodec([bad])
    with pytest.raises(ValueError, match="at least one type"):
        EventCodec([])


def test_a_version_that_no_upcaster_leads_away_from_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from version 2 of 'test\.moved'"):
        EventCodec([Moved], upcasters={("test.moved", 1): split_place})
    with pytest.raises(ValueError, match="away from the present version"):
        EventCodec([Plain], upcasters={("test.plain", 1): split_place})


class Owned(msgspec.Struct, frozen=True, array_like=True, tag="test.owned"):
    owner: str
    size: int

    @property
    def entity(self) -> str:
        return f"job:{self.owner}"


@given(st.lists(st.tuples(st.builds(Owned, st.text(), st.integers(0, 9)), st.text())))
def test_many_events_become_the_records_that_each_of_them_becomes(events: list[tuple[Owned, str]]) -> None:
    codec = EventCodec([Owned])
    assert codec.records(events, cause="queue") == [
        codec.record(event, entity=event.entity, cause="queue", correlation=root) for event, root in events
    ]


def test_among_many_events_the_one_that_has_no_payload_is_named() -> None:
    with pytest.raises(CodecError, match="Owned cannot be encoded"):
        EventCodec([Owned]).records([(Owned("a", 1), ""), (Owned("a", 2**70), "")], cause="")
    with pytest.raises(TypeError, match="Owned is not an event"):
        EventCodec([Plain]).records([(Owned("a", 1), "")], cause="")
