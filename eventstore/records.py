"""The data of the log: records, the frames that hold them, and the head."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from eventstore.decoding import msgpack_decoder
from eventstore.errors import CodecError

NO_LINK: Final = bytes(32)
"""What the first frame names as the link of its predecessor."""

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bytes that it cannot decode: not one family."""


class _Tagged(msgspec.Struct, array_like=True, gc=False):
    """The first element of a payload; msgspec skips the others."""

    tag: str


_TAGGED: Final = msgpack_decoder(_Tagged)


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event as it is stored; the log does not look into its payload."""

    entity: str
    """What the event belongs to, never empty; the key of the index."""
    version: int
    """The schema version of the payload."""
    cause: str
    """The id of what caused the event; empty for none."""
    correlation: str
    """The entity at the root of the story; empty for the entity itself."""
    payload: bytes
    """The event as a msgpack array with its tag first."""

    @property
    def tag(self) -> str:
        """The event's type, read from the payload. `CodecError` if there is none."""
        try:
            return _TAGGED(self.payload).tag
        except DECODE_ERRORS as error:
            raise CodecError(f"a payload of {self.entity!r} does not begin with a tag: {error}") from error


class Head(NamedTuple):
    """The end of the log: what the next append has to name."""

    position: int
    """The position of the last record; positions are gapless and begin with 1."""
    epoch: int
    """The epoch of the last frame."""
    link: bytes
    """The link of the last frame: SHA-256 of its stored bytes."""
    recorded_us: int
    """When the last frame was recorded, µs UTC."""


EMPTY: Final = Head(position=0, epoch=0, link=NO_LINK, recorded_us=0)
"""The head of a log that nothing was written to."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One append: records that were written together, all or none."""

    first: int
    """The position of the first record."""
    epoch: int
    recorded_us: int
    """When the frame was recorded, µs UTC."""
    previous: bytes
    """The link of the frame before, 32 bytes."""
    link: bytes
    """SHA-256 of the stored frame, `previous` included: a chain that shows tampering."""
    records: list[Record]

    @property
    def last(self) -> int:
        """The position of the last record."""
        return self.first + len(self.records) - 1

    @property
    def head(self) -> Head:
        """The head of a log that ends with this frame."""
        return Head(self.last, self.epoch, self.link, self.recorded_us)

    def stored(self, position: int) -> Stored:
        """Return the record at a position of this frame."""
        return Stored(position, self.recorded_us, self.records[position - self.first])

    def clipped(self, *, after: int, upto: int) -> Frame:
        """Return the frame with the records of `after + 1` to `upto` only; its link stays."""
        if after < self.first and self.last <= upto:
            return self
        begin = max(after + 1 - self.first, 0)
        records = self.records[begin : max(upto + 1 - self.first, 0)]
        return msgspec.structs.replace(self, first=self.first + begin, records=records)


class Stored(NamedTuple):
    """A record with its place in the log."""

    position: int
    recorded_us: int
    """When its frame was recorded, µs UTC."""
    record: Record
