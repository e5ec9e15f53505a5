"""Commands that show schedules: a list of them, and one with what is to come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from eventstore.errors import NotAStoreError, ReplayError, UnknownEventError
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import AtOption, JsonOption, StoreOption, moment
from logistics.cli.output import described, say, say_json, show, show_facts
from logistics.inputs import as_datetime
from logistics.schedule.scheduled import planned, shown

if TYPE_CHECKING:
    from actors.schedule.messages import ScheduleView

SCHEDULES = ("name", "when", "zone", "fires", "state", "next", "last", "runs", "open", "waiting", "error")
TO_COME = 5
"""Runs to come that are shown of a schedule."""


def list_schedules(*, store: StoreOption = None, at: AtOption = None, json: JsonOption = False) -> None:
    """List schedules: when they fire next, and what they have done."""
    with StoreReader(store) as reader:
        rows = [_row(view) for view in reader.as_of(moment(at)).schedules()]
        show(SCHEDULES, rows, as_json=json, empty="no schedules")


def _row(view: ScheduleView) -> dict[str, Any]:
    task = shown(view)
    return described(view) | {
        "when": task.expression,
        "zone": task.timezone,
        "fires": task.function or f"workflow {task.workflow}",
        "state": "paused" if task.paused else "completed" if task.completed else "",
        "next": None if view.next_us is None else as_datetime(view.next_us),
        "last": None if view.last_us is None else as_datetime(view.last_us),
    }


def show_schedule(reader: StoreReader, name: str, *, as_json: bool) -> bool:
    """Show a schedule and its next runs; whether it is on record still, in a log that a state follows from."""
    try:
        views = reader.as_of().schedules()
    except (NotAStoreError, ReplayError, UnknownEventError):  # a part of a log, or events of a newer version
        return False
    view = next((each for each in views if each.name == name), None)
    if view is None:
        return False
    coming = [] if view.paused else planned(view, TO_COME, time.time_ns() // 1000)
    runs = [{"at": each.at.isoformat(), "due": each.due.isoformat(), "rule": each.rule} for each in coming]
    row = _row(view)
    if as_json:
        say_json(row | {"to_come": runs})
        return True
    task = shown(view)
    facts = {key: row[key] for key in SCHEDULES} | {
        "queue": task.queue or "",
        "catch_up": task.catch_up,
        "overlap": task.overlap,
        "last_fired": task.last_fired,
    }
    show_facts({key: value for key, value in facts.items() if value not in (None, "")}, as_json=False)
    show(("at", "due", "rule"), runs, as_json=False, empty="nothing is to come")
    say(f"all that happened, what was triggered or backfilled, too: logistics history schedule:{name}")
    return True
