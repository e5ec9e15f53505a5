"""The command `rehearse`: what would happen, with no function called and nothing written."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from actors.runtime.errors import InputError
from actors.schedule.messages import ScheduleFired
from logistics.audit.store_reader import StoreReader
from logistics.cli.looking import Looking
from logistics.cli.options import JsonOption, StoreOption, moment
from logistics.cli.output import say, say_json, show
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from logistics.audit.rehearsal import Rehearsal, RehearsedEvent


def rehearse(
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Up to this instant, as in 2027-03-28T01:00:00Z, or for so long: 12h.",
        ),
    ],
    *,
    events: Annotated[bool, typer.Option("--events", help="Show each event, instead of counts.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many events at most.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, help="How many functions run at one time.")] = 4,
    took: Annotated[
        float, typer.Option(min=0, help="Seconds that a function takes which never ran before.")
    ] = 1.0,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Say what would happen if an engine opened the store now and nobody gave it a command.

    Schedules fire, jobs are started and succeed, retries fall due; no function is called, nothing is written.
    """
    instant = moment(until, ahead=True)
    if not isinstance(instant, datetime):
        msg = f"--until: expected an instant like 2027-03-28T01:00:00Z, or a span like 12h, got {until!r}"
        raise InputError(msg)
    looking = Looking("events so far")
    try:
        with StoreReader(store) as reader:
            found = reader.as_of().rehearse(
                instant, now=datetime.now(UTC), workers=workers, took=took, told=looking.tell
            )
    finally:
        looking.clear()
    if events:
        rows = (_row(each) for each in islice(found.events, limit))
        show(("at", "tag", "entity"), rows, as_json=json, empty="nothing would happen")
        return
    facts = _facts(found)
    if json:
        say_json(facts)
        return
    say(f"until {found.until.isoformat()}: {len(found.events)} events")
    show(
        ("schedule", "firings", "first", "last"), facts["schedules"], as_json=False, empty="no schedule fires"
    )
    show(("tag", "count"), facts["events"], as_json=False, empty="nothing would happen")
    if found.until < instant:
        say(
            f"so many events are as far as one rehearsal goes: what is later than that, up to {until}, is not said"
        )
    for job in found.unknown:
        say(f"{job}: what follows hangs on its result")


def _row(each: RehearsedEvent) -> dict[str, Any]:
    data = {name: msgspec.to_builtins(getattr(each.event, name)) for name in each.event.__struct_fields__}
    return {"at": each.at, "tag": each.tag, "entity": each.entity, "data": data}


def _facts(found: Rehearsal) -> dict[str, Any]:
    firings: dict[str, list[datetime]] = {}
    for each in found.events:
        if isinstance(each.event, ScheduleFired):
            firings.setdefault(each.event.name, []).append(as_datetime(each.event.scheduled_us))
    return {
        "until": found.until,
        "schedules": [
            {"schedule": name, "firings": len(times), "first": times[0], "last": times[-1]}
            for name, times in sorted(firings.items())
        ],
        "events": [
            {"tag": tag, "count": count}
            for tag, count in sorted(Counter(each.tag for each in found.events).items())
        ],
        "unknown": found.unknown,
    }
