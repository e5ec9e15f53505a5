"""A frame's bytes: whatever happens to them is noticed, and nothing wrong is handed out."""

from __future__ import annotations

import struct
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.errors import CorruptStoreError, StoreError, StoreFormatError
from eventstore.framing import copied, decode_frame, encode_frame
from eventstore.records import EMPTY, Frame, Head, Record
from tests.eventstore.support import record
from tests.support.scale import scaled


def written(*records: Record, head: Head = EMPTY) -> tuple[Frame, bytes]:
    return encode_frame(records, head=head, epoch=7, recorded_us=-5)


def sealed_again(value: bytes, at: int, field: bytes) -> bytes:
    """A forged frame: other bytes, and a checksum that fits them."""
    sealed = bytearray(value[6:])
    sealed[at - 6 : at - 6 + len(field)] = field
    return value[:2] + struct.pack(">I", crc32(sealed)) + bytes(sealed)


def test_a_frame_decodes_to_what_was_encoded() -> None:
    frame, value = written(record("job:1"), record("job:2"), head=Head(41, 3, b"\7" * 32, 9))
    assert decode_frame(42, value) == frame
    assert (frame.first, frame.last, frame.epoch, frame.recorded_us) == (42, 43, 7, -5)
    assert frame.previous == b"\7" * 32


TEXTS = st.text(max_size=20)
RECORDS = st.builds(
    Record, st.text(min_size=1, max_size=20), st.integers(0, 2**63), TEXTS, TEXTS, st.binary(max_size=50)
)


@given(st.lists(RECORDS, min_size=1, max_size=5), st.integers(0, 2**40), st.integers(0, 2**62))
def test_any_records_come_back(records: list[Record], position: int, recorded_us: int) -> None:
    head = Head(position, 1, bytes(32), 0)
    frame, value = encode_frame(records, head=head, epoch=2, recorded_us=recorded_us)
    assert decode_frame(position + 1, value) == frame


def test_f28_each_flipped_bit_is_detected_and_the_position_named() -> None:
    _, value = written(record("job:1", "a note"), record("job:2", "another"))
    random = Random(28)
    for _ in range(scaled("flips", 1000)):
        bit = random.randrange(len(value) * 8)
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StoreError, match="position 1") as caught:
            decode_frame(1, bytes(damaged))
        assert isinstance(caught.value, CorruptStoreError | StoreFormatError)


def test_f28_the_entity_is_named_where_it_can_be_read() -> None:
    _, value = written(record("job:1"))
    damaged = value[:-1] + bytes([value[-1] ^ 1])
    with pytest.raises(CorruptStoreError, match=r"position 1 \(of 'job:1'\) fails its checksum"):
        decode_frame(1, damaged)


def test_each_shortening_is_detected() -> None:
    _, value = written(record("job:1"))
    for size in range(len(value)):
        with pytest.raises(CorruptStoreError):
            decode_frame(1, value[:size])


def test_only_a_frame_of_its_own_length_is_copied() -> None:
    _, value = written(record("job:1"))
    assert copied(1, memoryview(value)) == value
    for stored in (b"", value[:-1], value + b"\0", value[:69]):
        with pytest.raises(CorruptStoreError, match="position 1 is not as long"):
            copied(1, memoryview(stored))


def test_f44_a_frame_in_the_place_of_another_is_detected() -> None:
    _, value = written(record("job:1"))
    with pytest.raises(CorruptStoreError, match="from 1 on"):
        decode_frame(2, value)


def test_f44_a_frame_that_says_another_size_is_detected() -> None:
    _, value = written(record("job:1"))
    forged = sealed_again(value, 34, struct.pack(">I", 2))
    with pytest.raises(CorruptStoreError, match="says of itself 2 records from 1 on, and holds 1"):
        decode_frame(1, forged)


@pytest.mark.parametrize("value", [b"\2\0", b"\1\1"], ids=["format", "flags"])
def test_f41_a_newer_format_is_refused_as_that(value: bytes) -> None:
    _, good = written(record("job:1"))
    with pytest.raises(StoreFormatError, match=r"this version reads 1\.0") as caught:
        decode_frame(1, value + good[2:])
    assert "newer version" in caught.value.remedy


def test_f64_forged_bodies_are_errors_and_nothing_worse() -> None:
    _, value = written(record("job:1"))
    bodies = [
        b"",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x91\x95\xa1\xff",
        b"\xc0",
    ]
    random = Random(64)
    bodies += [random.randbytes(random.randrange(40)) for _ in range(scaled("fuzz", 5000))]
    for body in bodies:
        sealed = value[6:70] + body
        forged = value[:2] + struct.pack(">I", crc32(sealed)) + sealed
        with pytest.raises(CorruptStoreError):
            decode_frame(1, forged)
