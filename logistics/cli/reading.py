"""Commands that look into a store, while it is in use or not: they change nothing and wait for nobody."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.runtime.errors import UnknownIdError
from logistics.audit.past import RecordedEvent, source_of
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import (
    AfterOption,
    AtOption,
    CloudEventsOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    SessionOption,
    StoreOption,
    TagsOption,
    UptoOption,
    moment,
    position,
)
from logistics.cli.output import described, flush, say, say_json, show, show_facts
from logistics.cli.runs import runs, show_run
from logistics.inputs import as_datetime
from logistics.task.place import place_of
from logistics.task.record import queue_of, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from logistics.cli.interrupts import Interrupts

LOOK_S = 0.2
"""How often `tail` looks for news."""
KINDS = ("job", "run", "schedule", "workflow", "session", "project", "resource", "queue", "allocation")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, jobs, runs, show_one, history, events, tail):
        app.command(name="show" if command is show_one else None)(command)


def status(*, store: StoreOption = None, at: AtOption = None, json: JsonOption = False) -> None:
    """Show how much there is of everything."""
    with StoreReader(store) as reader:
        view = reader.as_of(moment(at))
        facts: dict[str, Any] = {
            "store": reader.path,
            "store_id": reader.store_id,
            **({"part": reader.part} if reader.part else {}),
            "position": view.position,
            "at": view.at if view.position else None,
            "runs": {name.lower(): count for name, count in view.run_totals().items()},
            "schedules": len(view.schedules()),
        }
        queues = [{"queue": name, **_counts(stats)} for name, stats in view.queues().items()]
        if json:
            say_json(facts | {"queues": queues})
            return
        show_facts(facts, as_json=False)
        columns = ("queue", "ready", "waiting", "running", "unresolved", "completed", "failed", "cancelled")
        show(columns, queues, as_json=False, empty="no job was ever enqueued")


def _counts(stats: Any) -> dict[str, Any]:
    counts = {name.lower(): count for name, count in stats.by_status.items()}
    return {"ready": stats.ready, "waiting": stats.waiting, "retried": stats.retried, **counts}


def jobs(
    *,
    queue: Annotated[str | None, typer.Option(help="Of this queue only.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Newest first, those that have ended too.")] = False,
    session: SessionOption = None,
    project: ProjectOption = None,
    limit: LimitOption = 100,
    store: StoreOption = None,
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """List jobs that have not ended, in the order of their enqueueing."""
    with StoreReader(store) as reader:
        if ended:
            rows: Iterable[dict[str, Any]] = _all_jobs(reader, queue)
        else:
            rows = (_job_row(reader, view) for view in reader.as_of(moment(at)).jobs(queue))
        said = {
            key: value for key, value in (("session", session), ("project", project)) if value is not None
        }
        rows = (row for row in rows if said.items() <= row.items())
        columns = ("job_id", "queue", "name", "status", "attempts", "due")
        show(columns, islice(rows, limit), as_json=json, empty="no jobs")


def _job_row(reader: StoreReader, view: Any) -> dict[str, Any]:
    due = as_datetime(view.due_us) if view.due_us else None
    first = reader.first_of(f"job:{view.job_id}")
    spec = getattr(first.event, "spec", None) if first is not None else None
    return described(view) | {"name": getattr(spec, "name", ""), "due": due} | _place(spec)


def _place(spec: Any) -> dict[str, str | None]:
    session_id, project = place_of(getattr(spec, "terms", None))
    return {"session": session_id or None, "project": project or None}


def _all_jobs(reader: StoreReader, queue: str | None) -> Iterator[dict[str, Any]]:
    for entity in reader.entities("job:"):
        past = [each.event for each in reader.of(entity) if each.event is not None]
        spec = getattr(past[0], "spec", None) if past else None
        if spec is not None and queue in (None, where := queue_of(past)):
            yield {
                "job_id": spec.job_id,
                "queue": where,
                "name": spec.name,
                "status": str(status_of(past)),
                "attempts": max((getattr(event, "attempt", 0) for event in past), default=0),
                "error": next(
                    (text for event in reversed(past) if (text := getattr(event, "error", ""))), None
                ),
            } | _place(spec)


def list_schedules(*, store: StoreOption = None, at: AtOption = None, json: JsonOption = False) -> None:
    """List schedules: when they fire next, and what they have done."""
    with StoreReader(store) as reader:
        rows = [_schedule_row(view) for view in reader.as_of(moment(at)).schedules()]
        columns = ("name", "kind", "fires", "next", "last", "runs", "open", "waiting", "paused", "error")
        show(columns, rows, as_json=json, empty="no schedules")


def _schedule_row(view: Any) -> dict[str, Any]:
    times = {"next": view.next_us, "last": view.last_us}
    return (
        described(view)
        | {"fires": view.target.function}
        | {name: None if instant is None else as_datetime(instant) for name, instant in times.items()}
    )


def show_one(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A position, or a thing: job:ID, run:ID, or an id.")
    ],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show one event, a run with its steps, or the newest event of any other thing."""
    with StoreReader(store) as reader:
        if what.isdecimal():
            found = next(reader.events(after=int(what) - 1, upto=int(what)), None) if int(what) else None
        else:
            entity = find(reader, what)
            run_id = entity.removeprefix("run:")
            if run_id != entity and show_run(reader, run_id, as_json=json):
                return
            found = reader.last_of(entity)
        if found is None:
            msg = f"nothing is at position {what}; the log ends at {reader.position}"
            raise UnknownIdError(msg)
        show_facts(row_of(found) | {"data": found.data()}, as_json=json)


def find(reader: StoreReader, what: str) -> str:
    """Return the entity that is meant: `job:ID`, or an ID of whatever kind. `UnknownIdError`."""
    for entity in (what, *(f"{kind}:{what}" for kind in KINDS)):
        if ":" in entity and reader.first_of(entity) is not None:
            return entity
    msg = f"nothing on record is called {what!r}"
    raise UnknownIdError(msg)


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
        _show_events(reader.of(find(reader, what)), as_json=json)


def events(
    *,
    pattern: TagsOption = "*",
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
        found = islice(reader.events(pattern, after=begin, upto=end), limit)
        if cloud_events:
            for event in found:
                say_json(event.cloud_event(source_of(reader.store_id)))
        else:
            _show_events(found, as_json=json)


def _show_events(found: Iterable[RecordedEvent], *, as_json: bool) -> None:
    rows = (row_of(event) | {"data": event.data()} for event in found)
    show(("position", "at", "tag", "entity", "cause", "data"), rows, as_json=as_json, empty="no events")


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
        seen = max(reader.position - limit, 0)
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
        say(f"{row['position']:>9}  {event.recorded_at:%H:%M:%S.%f}  {row['tag']:<20}  {row['entity']}")
