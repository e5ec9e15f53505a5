"""Records and frames as values."""

from __future__ import annotations

import pytest

from eventstore.errors import CodecError, StoreError, UnknownEventError
from eventstore.framing import encode_frame
from eventstore.records import EMPTY, Record
from tests.eventstore.support import record


def test_a_record_reads_its_tag_from_the_payload() -> None:
    assert record("job:1").tag == "test.noted"


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x91\x05", b"\x91\xa1\xff", b"\xa1x"])
def test_a_payload_without_a_tag_is_an_error_that_names_the_entity(payload: bytes) -> None:
    with pytest.raises(CodecError, match="'job:1' does not begin with a tag"):
        _ = Record("job:1", 1, "", "", payload).tag


def test_a_clipped_frame_keeps_positions_and_link() -> None:
    frame, _ = encode_frame([record(f"job:{n}") for n in range(5)], head=EMPTY, epoch=1, recorded_us=0)
    assert frame.clipped(after=0, upto=5) is frame
    clipped = frame.clipped(after=1, upto=3)
    assert (clipped.first, clipped.last, clipped.link) == (2, 3, frame.link)
    assert clipped.records == frame.records[1:3]
    assert clipped.stored(3) == frame.stored(3)


def test_errors_carry_a_remedy_where_people_see_it() -> None:
    error = StoreError("it broke", remedy="Mend it.")
    assert (str(error), error.remedy, error.__notes__) == ("it broke", "Mend it.", ["Mend it."])
    for kind in (kind for kind in StoreError.__subclasses__() if kind is not CodecError):
        assert kind.remedy.endswith(".")
    assert str(UnknownEventError("a.b", 3)) == "unknown event 'a.b', version 3"
