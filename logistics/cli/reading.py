"""Commands that look into a store, while it is in use or not: they change nothing and wait for nobody."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.runtime.errors import UnknownIdError
from logistics.audit.past import RecordedEvent, source_of
from logistics.audit.store_reader import StoreReader
from logistics.cli.fields import gist, readable
from logistics.cli.looking import Looking
from logistics.cli.options import (
    AfterOption,
    CauseOption,
    CloudEventsOption,
    JsonOption,
    LimitOption,
    StoreOption,
    TagsOption,
    UptoOption,
    position,
)
from logistics.cli.output import flush, say, say_json, show, show_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logistics.cli.interrupts import Interrupts

LOOK_S = 0.2
"""How often `tail` looks for news."""
EVENTS = ("position", "at", "tag", "entity", "cause", "data")
KINDS = ("run", "job", "schedule", "workflow", "session", "project", "resource", "queue", "allocation")
"""What an id alone may be of. A run that a schedule began has the id of the job that began it: the run is meant."""


def find(reader: StoreReader, what: str) -> str:
    """Return the entity that is meant: `job:ID`, or an ID of whatever kind. `UnknownIdError`."""
    for entity in (what, *(f"{kind}:{what}" for kind in KINDS)):
        if ":" in entity and reader.last_of(entity) is not None:
            return entity
    if reader.begin.position and (name := what.removeprefix("schedule:")) in _scheduled(reader):
        return f"schedule:{name}"
    msg = f"nothing on record is called {what!r}"
    raise UnknownIdError(msg)


def _scheduled(reader: StoreReader) -> set[str]:
    """Return the names of the schedules: one may go on of which all events are forgotten."""
    return {view.name for view in reader.as_of().schedules()}


def _meant(what: str) -> tuple[str, ...]:
    """Return what may have led to something: `command:ID`, or an ID of whatever kind."""
    return (what,) if ":" in what else tuple(f"{kind}:{what}" for kind in ("command", *KINDS))


def row_of(event: RecordedEvent) -> dict[str, Any]:
    """Return an event's place and kind, without its fields."""
    return {
        "position": event.position,
        "at": event.recorded_at,
        "tag": event.tag if event.event is not None else f"unknown({event.tag})",
        "entity": event.entity,
        "cause": event.cause,
        "correlation": event.correlation,
    }


def history(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A thing: job:ID, run:ID, schedule:NAME, or an id.")
    ],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show everything that happened to one job, run or schedule."""
    with StoreReader(store) as reader:
        rows = _event_rows(reader.of(find(reader, what)), as_json=json)
        show(EVENTS, rows, as_json=json, empty="no events")


def events(
    *,
    pattern: TagsOption = "*",
    cause: CauseOption = None,
    after: AfterOption = None,
    upto: UptoOption = None,
    limit: LimitOption = 1000,
    cloud_events: CloudEventsOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List events in the order of the log."""
    with StoreReader(store) as reader:
        begin, end = position(reader, after) or 0, position(reader, upto)
        if cause is None:
            found = reader.events(pattern, after=begin, upto=end)
        else:
            found = reader.led_to(_meant(cause), pattern, after=begin, upto=end)
        if cloud_events:
            for event in islice(found, limit):
                say_json(event.cloud_event(source_of(reader.store_id)))
        else:
            looking = Looking("events found")
            rows = looking.found(_event_rows(looking.at(found), as_json=json))
            show_first(EVENTS, rows, limit, as_json=json, empty="no events")


def _event_rows(found: Iterable[RecordedEvent], *, as_json: bool) -> Iterator[dict[str, Any]]:
    for event in found:
        yield row_of(event) | {"data": event.data() if as_json else readable(event)}


def tail(
    context: typer.Context,
    *,
    pattern: TagsOption = "*",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Begin with so many of the last.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    cloud_events: CloudEventsOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show the newest events, and with --follow those that are still to come."""
    interrupts: Interrupts = context.obj
    with interrupts.held_back(), StoreReader(store) as reader:
        seen = max(reader.position - limit, reader.begin.position)
        while True:
            end = reader.position
            for event in reader.events(pattern, after=seen, upto=end):
                if cloud_events:
                    say_json(event.cloud_event(source_of(reader.store_id)))
                else:
                    _say_event(event, as_json=json)
            flush()  # whoever reads a tail waits for it
            seen = end
            if not follow:
                return
            with interrupts.released():
                threading.Event().wait(LOOK_S)


def _say_event(event: RecordedEvent, *, as_json: bool) -> None:
    row = row_of(event)
    if as_json:
        say_json(row | {"data": event.data()})
    else:
        when = f"{event.recorded_at:%H:%M:%S.%f}"
        say(f"{row['position']:>9}  {when}  {row['tag']:<20}  {row['entity']:<32}  {gist(event)}".rstrip())
