"""The command `show`: one thing, with what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from actors.runtime.errors import UnknownIdError
from logistics.audit.store_reader import StoreReader
from logistics.cli.fields import readable
from logistics.cli.jobs import show_job
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import show_facts
from logistics.cli.reading import find, row_of
from logistics.cli.runs import show_run
from logistics.cli.timetable import show_schedule

SHOWN: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {"job": show_job, "run": show_run, "schedule": show_schedule}
)
"""What is shown as more than its newest event, by kind."""


def show_one(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A position, or a thing: job:ID, run:ID, schedule:NAME, or an id alone."
        ),
    ],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show one event, a job, a run or a schedule, or the newest event of any other thing."""
    with StoreReader(store) as reader:
        if what.isdecimal():
            found = next(reader.events(after=int(what) - 1, upto=int(what)), None) if int(what) else None
        else:
            entity = find(reader, what)
            kind, _, name = entity.partition(":")
            if kind in SHOWN and SHOWN[kind](reader, name, as_json=json):
                return
            found = reader.last_of(entity)
        if found is None:
            msg = f"nothing is at position {what}; the log ends at {reader.position}"
            raise UnknownIdError(msg)
        show_facts(row_of(found) | {"data": found.data() if json else readable(found)}, as_json=json)
