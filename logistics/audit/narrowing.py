"""Listing a few of many: what cannot be meant is left out without its history being read."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from actors.runtime.messages import Event
    from eventstore.records import Record

LOOKED_AT = 1_000
"""Things that are looked at one by one before the log is gone through for clues: most lists are full by then."""
MOST = 100_000
"""Things of which a clue may tell: one of more says little, and keeps much in memory."""


class Clue(NamedTuple):
    """What the log says of each thing that is meant, and perhaps of some others."""

    tags: frozenset[str]
    """An event with one of these tags …"""
    text: bytes = b""
    """… has this text somewhere, as it is stored."""


def clue(kinds: Iterable[type[Event]], text: str = "") -> Clue:
    """Return the clue that an event of one of these types has a text."""
    return Clue(frozenset(tag_of(each) for each in kinds), text.encode())


def tag_of(kind: type[Event]) -> str:
    """Return the permanent tag of a type of events."""
    return str(kind.__struct_config__.tag)


def narrowed(
    entities: Iterable[str],
    clues: Sequence[Clue],
    find: Callable[[Sequence[Clue]], Collection[str] | None],
) -> Iterator[str]:
    """Yield the entities that may be meant, of those given; all of them if that is not known sooner than from each.

    After some were looked at without enough of what is wanted being among them, `find` is asked once of which all
    clues hold, as `entities_with` says; None: it cannot tell.
    """
    likely: Collection[str] | None = None
    for number, entity in enumerate(entities):
        if clues and number == LOOKED_AT:
            likely = find(clues)
        if likely is None or entity in likely:
            yield entity


def among(entities: Iterator[str], find: Callable[[], Collection[str] | None]) -> Iterator[str]:
    """Yield entities, which come from the greatest downwards; after some were looked at, only those that are meant.

    `find` is asked once, like that of `narrowed`.
    """
    left, last = LOOKED_AT, ""
    for last in islice(entities, LOOKED_AT):
        yield last
        left -= 1
    if not left:
        found = find()
        yield from (
            entities if found is None else sorted((each for each in found if each < last), reverse=True)
        )


def entities_with(records: Iterable[Record], clues: Sequence[Clue]) -> frozenset[str] | None:
    """Return the entities of which all clues hold, but for a clue that holds of too many; None: all do."""
    found: list[set[str]] = [set() for _ in clues]
    by_tag: dict[str, list[tuple[bytes, set[str]]]] = {}
    for each, those in zip(clues, found, strict=True):
        for tag in each.tags:
            by_tag.setdefault(tag, []).append((each.text, those))
    for record in records:
        for text, those in by_tag.get(record.tag, ()):
            if text in record.payload and len(those) <= MOST:
                those.add(record.entity)
    few = [those for those in found if len(those) <= MOST]
    return frozenset(set.intersection(*few)) if few else None
