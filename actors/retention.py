"""What may be forgotten: stories that are over, and that nobody who goes on has a name for.

A *story* is a run with its jobs, signals and all else that has it as its correlation, or a job of its own. It is
over if nothing of it was recorded behind the horizon, and no actor's state names it. What a later record or a
story that stays names, stays too (the run that a fork began with, a job whose output is used again). Names are
looked for in everything that is said, so that a feature that refers to something old keeps it without being
asked about it: too careful at times, never too careless.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.runtime.fold import first_states, replay, snapshot_of, whole_enough
from eventstore.records import DECODE_ERRORS, Head, Record
from eventstore.retention import Compaction, Horizon
from eventstore.segments import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from actors.runtime.rules import Rules
    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from eventstore.records import Stored

ENDING: Final = frozenset({"job", "run", "signal", "cache", "allocation"})
"""Kinds of entities that are over some day."""
FOLDED: Final = frozenset({"schedule", "schedules", "queue", "resource", "clock", "engine"})
"""Kinds whose past is all in the states: nothing looks their events up. Kinds in neither set are kept."""
RECORDS: Final = 1_000_000
"""Records that one compaction goes through at most: what it has to remember of them must fit into memory.

One frame is gone through however many it has: a million jobs that were enqueued at once are one.
"""

_SEPARATORS: Final = re.compile(r"[.:/]")
_LONGEST: Final = 800
"""Characters of the longest text that may name something: an id has up to 500 (`Key`), perhaps a name behind it."""
_DECODE: Final = msgspec.msgpack.Decoder().decode


def plan_compaction(
    log: Log,
    codec: EventCodec,
    all_rules: Sequence[Rules],
    *,
    before_us: int,
    upto: int,
    pinned: Iterable[str] = (),
    least: int = 1,
    records: int = RECORDS,
    survey_type: type[Survey] | None = None,
    whole_log: Callable[[], Log] | None = None,
) -> Compaction | None:
    """Return what may be forgotten of what was recorded before an instant; None if there is nothing.

    `upto` is a durable position: what counts is how the states are there. `pinned` names what is kept
    whatever else is so; fewer than `least` records are not worth it. Raises what the log and the fold raise.
    """
    survey = (survey_type or Survey)(log)
    head = survey.take_in(before_us=before_us, upto=upto, records=records)
    if head is None:
        return None
    states, begun = first_states(log, all_rules, upto=head.position)
    replay(whole_enough(log, begun, whole_log or (lambda: log)), codec, states, begun, upto=head.position)
    bases = {name: snapshot_of(state) for name, state in states.items()}
    replay(log, codec, states, dict.fromkeys(states, head.position), upto=upto)
    for text in pinned:
        survey.hear(text)
    for state in states.values():
        survey.live_in(state.dump())
    for frame in log.frames(after=head.position, upto=upto):
        for record in frame.records:
            survey.go_on(record)
    survey.spread()
    if survey.forgets < least and not survey.is_cut:
        return None
    return Compaction(Horizon(head, ""), survey.kept(), bases, upto)


class Survey:
    """What there is up to a horizon, by story, and which of these stories must stay."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[str, list[int]] = {}
        self._story: dict[str, str] = {}
        """The story of each entity that may be forgotten, and of each story itself."""
        self._named: dict[str, set[str]] = {}
        """Stories by the ids that name them or a part of them."""
        self._living: set[str] = set()
        self._heard: set[str] = set()
        self._begin = log.horizon.head.position
        self._end = self._begin
        self.is_cut = False
        """Whether more is old enough than one compaction goes through: then the next one is to go on behind it."""

    def take_in(self, *, before_us: int, upto: int, records: int) -> Head | None:
        """Take in what may be forgotten; return the head where that ends, None if there is nothing new."""
        head: Head | None = None
        for stored in self._log.kept():
            self._add(stored.position, stored.record)
        for frame in self._log.frames(after=self._begin, upto=upto):
            if frame.recorded_us > before_us or frame.last >= upto:
                break
            if head is not None and frame.last - self._begin > records:
                self.is_cut = True
                break
            for position, record in enumerate(frame.records, frame.first):
                self._add(position, record)
            head, self._end = frame.head, frame.last
        return head

    def _add(self, position: int, record: Record) -> None:
        entity = record.entity
        positions = self._positions.get(entity)
        if positions is not None:
            positions.append(position)
            return
        self._positions[entity] = [position]
        if kind_of(entity) in ENDING:
            story = self.story_of(record)
            for name in (entity, story):
                self._story[name] = story
                self._named.setdefault(name.partition(":")[2], set()).add(story)

    def story_of(self, record: Record) -> str:
        """Return the story that a record is a part of: its run, or its own entity."""
        if record.entity.startswith("cache:") or not record.correlation.startswith("run:"):
            return record.entity
        return record.correlation

    # -- what stays -------------------------------------------------------------------------------------------

    def go_on(self, record: Record) -> None:
        """Something was recorded behind the horizon: its story stays, and whatever it names."""
        for name in (record.entity, record.correlation):
            if name in self._story:
                self._living.add(self._story[name])
        self._hear_all(record)

    def live_in(self, image: Any) -> None:
        """Keep whatever an actor's state names."""
        for text in texts(image):
            self.hear(text)

    def hear(self, text: str) -> None:
        """Keep whatever a text names."""
        if text in self._heard:
            return
        self._heard.add(text)
        for name in names_in(text):
            self._living.update(self._named.get(name, ()))

    def _hear_all(self, record: Record) -> None:
        try:
            said = _DECODE(record.payload)
        except DECODE_ERRORS:
            return
        for text in texts(said):
            self.hear(text)

    def spread(self) -> None:
        """Keep what is named by what is kept, until that is no more.

        Outputs that are kept for identical calls are named once more by those that go: somebody may be about
        to use them.
        """
        before = -1
        while before != len(self._living):
            before = len(self._living)
            for record in self._records():
                if self.keeps(record.entity) or kind_of(record.entity) == "cache":
                    self._hear_all(record)

    def _records(self) -> Iterator[Record]:
        for stored in self._log.kept():
            yield stored.record
        for frame in self._log.frames(after=self._begin, upto=self._end):
            yield from frame.records

    # -- the outcome ------------------------------------------------------------------------------------------

    def keeps(self, entity: str) -> bool:
        """Whether an entity stays."""
        kind = kind_of(entity)
        return kind not in FOLDED and (kind not in ENDING or self._story[entity] in self._living)

    @property
    def forgets(self) -> int:
        """How many records go."""
        going = (positions for entity, positions in self._positions.items() if not self.keeps(entity))
        return sum(map(len, going))

    def kept(self) -> list[tuple[str, list[int]]]:
        """Return the entities that stay, sorted, with their positions."""
        return [each for each in sorted(self._positions.items()) if self.keeps(each[0])]


def texts(value: Any) -> Iterator[str]:
    """Yield every text in plain data, however deep, that may name something; arguments and outputs are unpacked."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if len(value) <= _LONGEST:
                yield value
        elif isinstance(value, bytes):
            # A word of a worker has a letter that says what it is, and then a name.
            if len(value) <= _LONGEST:
                text = value.decode("utf-8", "replace")
                yield text
                yield text[1:]
            with suppress(*DECODE_ERRORS):
                stack.append(_DECODE(value))
        elif isinstance(value, dict):
            stack += value.keys()
            stack += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            stack += value


def names_in(text: str) -> Iterator[str]:
    """Yield every part of a text, from one separator to another, that may be an id."""
    begins = [0]
    ends = []
    for mark in _SEPARATORS.finditer(text):
        ends.append(mark.start())
        begins.append(mark.end())
    ends.append(len(text))
    for number, begin in enumerate(begins):
        for end in ends[number:]:
            yield text[begin:end]


class Objections:
    """Finds in what was recorded since a plan was made whether something uses what the plan forgets."""

    def __init__(self, plan: Compaction, first: Callable[[str], Stored | None]) -> None:
        """`first` returns the oldest record of an entity."""
        self._horizon = plan.horizon.head.position
        self._kept = {entity for entity, _ in plan.kept}
        self._first = first
        self._heard: set[str] = set()
        self._harmless: set[str] = set()

    def stands_against(self, record: Record) -> bool:
        """Whether a record has to do with something that is to be forgotten."""
        return any(self._is_forgotten(entity) for entity in self._entities(record))

    def _entities(self, record: Record) -> Iterator[str]:
        yield record.entity
        yield record.correlation
        try:
            said = _DECODE(record.payload)
        except DECODE_ERRORS:
            return
        for text in texts(said):
            if text not in self._heard:
                self._heard.add(text)
                for name in names_in(text):
                    for kind in ENDING:
                        yield f"{kind}:{name}"

    def _is_forgotten(self, entity: str) -> bool:
        if entity in self._harmless or entity in self._kept or kind_of(entity) not in ENDING:
            return False
        first = self._first(entity)
        if first is not None and first.position <= self._horizon:
            return True
        self._harmless.add(entity)
        return False
