"""A log as lines of JSON and back: whole, with its chain, or a part of it."""

from __future__ import annotations

import base64
from fnmatch import fnmatchcase
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.runtime.errors import InputError
from eventstore.decoding import json_decoder
from eventstore.errors import CorruptStoreError, StoreError
from eventstore.framing import encode_frame
from eventstore.records import EMPTY, Record
from logistics.audit.belonging import entities_of_run
from logistics.audit.past import recorded
from logistics.inputs import instant_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from eventstore.records import Frame, Head
    from logistics.audit.past import Past, RecordedEvent
    from logistics.audit.store_reader import StoreReader

FORMAT: Final = 1


class Part(NamedTuple):
    """Which events of a log an export has; as text, as people read it."""

    run_id: str = ""
    """Those of this run and of all that it needs: enough to fold them."""
    entity: str = ""
    """Those of this one thing."""
    pattern: str = "*"
    """Those with such tags."""
    after: int = 0
    """Those behind this position."""
    upto: int | None = None
    """Those up to this position."""

    def __str__(self) -> str:
        said = (
            f"run:{self.run_id}" if self.run_id else "",
            f"of {self.entity}" if self.entity else "",
            f"tags {self.pattern}" if self.pattern != "*" else "",
            f"after position {self.after}" if self.after else "",
            f"up to position {self.upto}" if self.upto is not None else "",
        )
        return ", ".join(filter(None, said))

    def chooser(self, past: Past) -> Callable[[RecordedEvent], bool]:
        """Return whether an event belongs to it. `UnknownIdError`."""
        wanted = entities_of_run(past, self.run_id) if self.run_id else None
        if self.entity:
            wanted = {self.entity} if wanted is None else wanted & {self.entity}
        return lambda event: (
            (wanted is None or event.entity in wanted) and fnmatchcase(event.tag, self.pattern)
        )


ALL: Final = Part()


class ExportHeader(msgspec.Struct, frozen=True):
    """The first line of an export."""

    logistics_export: int
    """The format of the lines."""
    store_id: str
    position: int
    """Where the log ended."""
    part: str = ""
    """Of what this is a part; empty for all of the log."""


class ExportedEvent(msgspec.Struct, frozen=True):
    """A line: one event. Those with the same `frame` were written together."""

    position: int
    frame: int
    """The position of the first event that was written with it."""
    epoch: int
    recorded_us: int
    tag: str
    entity: str
    version: int
    cause: str
    correlation: str
    payload: str
    """The event as it is stored: msgpack in base64."""
    link: str = ""
    """On the last event of each frame: its link of the chain, SHA-256 in hexadecimal digits."""
    data: msgspec.Raw = msgspec.Raw(b"null")
    """The event for people; not read back."""

    @property
    def record(self) -> Record:
        """The record that it stands for."""
        payload = base64.b64decode(self.payload, validate=True)
        return Record(self.entity, self.version, self.cause, self.correlation, payload)


_ENCODE: Final = msgspec.json.Encoder().encode
_HEADER: Final = json_decoder(ExportHeader)
_EVENT: Final = json_decoder(ExportedEvent)


def export_lines(reader: StoreReader, part: Part = ALL) -> Iterator[bytes]:
    """Yield the lines of an export: of the whole log, provable, or of a part of it. `UnknownIdError`.

    Of one run or thing there may be events left from before what the log begins with: they come with it.
    """
    belongs = part.chooser(reader)
    end = reader.position
    upto = end if part.upto is None else min(part.upto, end)
    begin = reader.begin.position
    with_kept = bool(part.run_id or part.entity) and part.after < begin
    lacking = f"as far as it was not compacted up to position {begin}" if with_kept else ""
    said = ", ".join(filter(None, (reader.part, str(part), lacking)))
    yield _ENCODE(ExportHeader(FORMAT, reader.store_id, end, said))
    for event in filter(belongs, reader.kept() if with_kept else ()):
        if part.after < event.position <= upto:
            yield _ENCODE(_exported(event, event.position, 1, instant_us("recorded", event.recorded_at), ""))
    for frame, events in reader.frames(after=begin if with_kept else part.after, upto=upto):
        for event in filter(belongs, events):
            link = frame.link.hex() if not said and event.position == frame.last else ""
            yield _ENCODE(_exported(event, frame.first, frame.epoch, frame.recorded_us, link))


def export_frames(frames: Iterable[Frame], codec: EventCodec, *, part: str) -> Iterator[bytes]:
    """Yield the lines of an export of frames that were found without a log around them."""
    yield _ENCODE(ExportHeader(FORMAT, "", 0, part))
    for frame in frames:
        for position in range(frame.first, frame.last + 1):
            event = recorded(frame.stored(position), codec)
            link = frame.link.hex() if position == frame.last else ""
            yield _ENCODE(_exported(event, frame.first, frame.epoch, frame.recorded_us, link))


def _exported(event: RecordedEvent, first: int, epoch: int, recorded_us: int, link: str) -> ExportedEvent:
    try:
        data = msgspec.Raw(_ENCODE(event.data()))
    except (TypeError, ValueError, RecursionError):
        data = msgspec.Raw(b"null")
    return ExportedEvent(
        event.position,
        first,
        epoch,
        recorded_us,
        event.tag,
        event.entity,
        event.version,
        event.cause,
        event.correlation,
        base64.b64encode(event.raw).decode(),
        link,
        data,
    )


def import_lines(lines: Iterable[bytes], log: Log) -> Head:
    """Append an export to an empty log; a whole one gets the same chain, which is checked. Return the head.

    `InputError` for what is no export, `CorruptStoreError` for one that was changed.
    """
    if log.head != EMPTY:
        msg = "an export is imported into an empty store only"
        raise InputError(msg)

    def append(head: Head, records: list[Record], epoch: int, recorded_us: int) -> Head:
        return log.append(records, expected=head.position, epoch=epoch, recorded_us=recorded_us)

    return _read(lines, append)


def verify_export(lines: Iterable[bytes], *, seen: Callable[[Head], object] = lambda _: None) -> Head:
    """Read an export and check its chain; return the head. Raises as `import_lines` does.

    `seen` gets the head after each frame.
    """

    def append(head: Head, records: list[Record], epoch: int, recorded_us: int) -> Head:
        frame, _ = encode_frame(records, head=head, epoch=epoch, recorded_us=recorded_us)
        seen(frame.head)
        return frame.head

    return _read(lines, append)


def _read(lines: Iterable[bytes], append: Callable[[Head, list[Record], int, int], Head]) -> Head:
    numbered = enumerate(lines, 1)
    header = export_header(next(numbered, (1, b""))[1])
    events = ((number, _event(number, line)) for number, line in numbered if line.strip())
    head = EMPTY
    for _, group in groupby(events, key=lambda each: each[1].frame):
        written = list(group)
        number, last = written[-1]
        for place, (at, event) in enumerate(written, head.position + 1):
            same = (event.frame, event.epoch, event.recorded_us) == (last.frame, last.epoch, last.recorded_us)
            if not header.part and (not same or event.position != place or last.frame != head.position + 1):
                raise CorruptStoreError(f"line {at}: it does not follow on position {place - 1}")
        try:
            records = [event.record for _, event in written]
            head = append(head, records, max(last.epoch, 1), last.recorded_us)
        except (ValueError, StoreError) as error:
            msg = f"line {number}: {error}"
            raise InputError(msg) from error
        if not header.part and (head.position, head.link.hex()) != (last.position, last.link):
            raise CorruptStoreError(f"line {number}: the chain is broken at position {head.position}")
    if not header.part and head.position != header.position:
        raise CorruptStoreError(f"the export ends at {head.position}, its first line says {header.position}")
    return head


def export_header(line: bytes) -> ExportHeader:
    """Return what the first line of an export says. `InputError`."""
    try:
        header = _HEADER(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"line 1: not the first line of an export: {error}"
        raise InputError(msg) from error
    if header.logistics_export != FORMAT:
        msg = f"line 1: an export of format {header.logistics_export}; this version reads {FORMAT}"
        raise InputError(msg)
    return header


def _event(number: int, line: bytes) -> ExportedEvent:
    try:
        return _EVENT(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"line {number}: not an event of an export: {error}"
        raise InputError(msg) from error
