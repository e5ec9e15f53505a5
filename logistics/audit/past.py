"""What a log says: its events one by one, and the history of one thing."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.runtime.fold import first_states
from actors.runtime.seals import MAGIC, shown
from actors.schedule.decider import SchedulerRules
from actors.schedule.messages import ScheduleTriggered
from eventstore.errors import ArchiveError, CodecError, CompactedError
from eventstore.records import Stored
from logistics.audit.narrowing import entities_with
from logistics.audit.story import Story
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from actors.runtime.messages import Event
    from actors.schedule.state import Schedule
    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from eventstore.records import Frame, Head, Record
    from logistics.audit.narrowing import Clue


class RecordedEvent(NamedTuple):
    """An event with its place in the log."""

    position: int
    recorded_at: datetime
    tag: str
    entity: str
    """Whose fact it is: `job:…`, `run:…`, `schedule:…`."""
    cause: str
    """The command, attempt or actor that led to it; empty if nobody said."""
    correlation: str
    """The entity at the root of the story; empty for its own."""
    version: int
    """The schema version that it was written in."""
    event: Event | None
    """None if this version of the code does not understand it."""
    raw: bytes
    """The payload as it is stored, msgpack."""

    def data(self) -> Any:
        """Return its fields as plain data; of what is not understood, the stored array."""
        if self.event is None:
            try:
                return msgspec.msgpack.decode(self.raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return self.raw
        fields = {name: getattr(self.event, name) for name in self.event.__struct_fields__}
        if MAGIC in self.raw:
            fields = {
                name: shown(msgspec.to_builtins(each, builtin_types=(bytes,)))
                for name, each in fields.items()
            }
        return {name: msgspec.to_builtins(each) for name, each in fields.items()}

    def cloud_event(self, source: str) -> dict[str, Any]:
        """Return it in the shape of CloudEvents 1.0, plain JSON data; `source` names the store.

        Source and id together are unique; an event that is handled again comes with the same ones.
        """
        context = {
            "specversion": "1.0",
            "id": str(self.position),
            "source": source,
            "type": f"logistics.{self.tag}",
            "subject": self.entity,
            "time": self.recorded_at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
        }
        about = {"cause": self.cause, "correlation": self.correlation}
        return context | {name: value for name, value in about.items() if value} | {"data": self.data()}


class Past:
    """The events of a log, up to what counts as durable at each moment."""

    def __init__(self, log: Log, codec: EventCodec, end: Callable[[], int]) -> None:
        self._log = log
        self._codec = codec
        self._end = end

    @property
    def position(self) -> int:
        """The position of the newest event."""
        return self._end()

    @property
    def begin(self) -> Head:
        """Up to where what there was is not on record any more; `EMPTY` if all of it is."""
        return self._log.horizon.head

    def events(
        self, pattern: str = "*", *, after: int = 0, upto: int | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield events whose tag matches, in order, of the positions after `after` up to `upto`."""
        end = self._end() if upto is None else min(upto, self._end())
        for frame in self._log.frames(after=after, upto=end):
            for position in range(frame.first, frame.last + 1):
                stored = frame.stored(position)
                if pattern == "*" or fnmatchcase(_tag(stored), pattern):
                    yield self._recorded(stored)

    def led_to(
        self, roots: Collection[str], pattern: str = "*", *, after: int = 0, upto: int | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield, as `events` does, those that commands, jobs, runs or schedules led to: see `Story`.

        Of what was compacted away nothing is known: a story that begins there is told from the horizon on.
        """

        def first_of(entity: str) -> int:
            first = self._log.first(entity, upto=end)
            return 0 if first is None else first.position

        end = self._end() if upto is None else min(upto, self._end())
        story = Story(roots, first_of, self._triggered)
        for frame in self._log.frames(after=self._log.horizon.head.position, upto=end):
            for position, record in enumerate(frame.records, frame.first):
                if story.takes(record, position) and position > after:
                    stored = frame.stored(position)
                    if pattern == "*" or fnmatchcase(_tag(stored), pattern):
                        yield self._recorded(stored)

    def _triggered(self, record: Record) -> tuple[str, ...]:
        if record.entity.startswith("schedule:"):
            event = recorded(Stored(0, 0, record), self._codec).event
            if isinstance(event, ScheduleTriggered):
                return f"job:{event.job_id}", f"run:{event.job_id}"
        return ()

    def frames(self, *, after: int = 0, upto: int) -> Iterator[tuple[Frame, list[RecordedEvent]]]:
        """Yield frames with their events, of the positions after `after` up to `upto`."""
        for frame in self._log.frames(after=after, upto=upto):
            recorded = [
                self._recorded(frame.stored(position)) for position in range(frame.first, frame.last + 1)
            ]
            yield frame, recorded

    def schedule_at_begin(self, name: str) -> Schedule | None:
        """Return a schedule as it was at `begin`, or where the log itself begins: what defined it was forgotten."""
        return schedule_at_begin(self._log, name, upto=self._end())

    def kept(self) -> Iterator[RecordedEvent]:
        """Yield what is left of the events up to `begin`, in order."""
        return map(self._recorded, self._log.kept())

    def entities_with(self, clues: Sequence[Clue]) -> frozenset[str] | None:
        """Return the entities of which all clues hold; None if too many are, or the log lacks some of its past.

        It goes through all of the log once, which is far quicker than history by history.
        """
        try:
            frames = self._log.frames(after=0, upto=self._end())
            return entities_with(chain.from_iterable(frame.records for frame in frames), clues)
        except (CompactedError, ArchiveError):
            return None

    def of(self, entity: str) -> list[RecordedEvent]:
        """Return the events of one entity, oldest first; costs what that history costs."""
        return [self._recorded(stored) for stored in self._log.history(entity, upto=self._end())]

    def first_of(self, entity: str) -> RecordedEvent | None:
        """Return the oldest event of an entity."""
        stored = self._log.first(entity, upto=self._end())
        return None if stored is None else self._recorded(stored)

    def last_of(self, entity: str) -> RecordedEvent | None:
        """Return the newest event of an entity."""
        stored = self._log.last(entity, upto=self._end())
        return None if stored is None else self._recorded(stored)

    def entities(self, prefix: str) -> Iterator[str]:
        """Yield the entities that begin with a prefix, newest first where ids are made of the time."""
        return self._log.entities(prefix, upto=self._end())

    def _recorded(self, stored: Stored) -> RecordedEvent:
        return recorded(stored, self._codec)


def source_of(store_id: str) -> str:
    """Return what CloudEvents of a store name as their source."""
    return f"urn:logistics:{store_id}"


def recorded(stored: Stored, codec: EventCodec) -> RecordedEvent:
    """Return a stored record as an event with its place; `event` is None for what is not understood."""
    record = stored.record
    try:
        event = codec.decode(record)
    except CodecError:
        event = None
    return RecordedEvent(
        stored.position,
        as_datetime(stored.recorded_us),
        _tag(stored),
        record.entity,
        record.cause,
        record.correlation,
        record.version,
        event,
        record.payload,
    )


def _tag(stored: Stored) -> str:
    try:
        return stored.record.tag
    except CodecError:
        return "?"


def schedule_at_begin(log: Log, name: str, *, upto: int | None = None) -> Schedule | None:
    """Return a schedule as it was where a log begins that was compacted; None if there was none."""
    states, _ = first_states(log, (SchedulerRules(),), upto=upto, snapshots=False)
    schedule: Schedule | None = states[SchedulerRules.name].schedules.get(name)
    return schedule
