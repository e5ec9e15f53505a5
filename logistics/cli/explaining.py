"""The command `why`: what keeps something from running, or what became of a time of a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from logistics.audit.store_reader import StoreReader
from logistics.cli.options import JsonOption, StoreOption, moment
from logistics.cli.output import say, say_json
from logistics.cli.reading import find

if TYPE_CHECKING:
    from logistics.audit.words import Why


def why(
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="`job`, `run` or `schedule`; or job:ID, or an id, and no NAME."),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of a schedule its name, else an id.")
    ] = None,
    *,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Of a schedule: this time, as in 2027-03-28T02:30; without an offset, as its zone shows it.",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MOMENT", help="As it was at a position of the log, or an instant."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Say why a job or run is where it is, or what became of a time of a schedule."""
    with StoreReader(store) as reader:
        view = reader.as_of(moment(as_of))
        now = datetime.now(UTC) if as_of is None else None
        subject = find(reader, what) if name is None else f"{what}:{name}"
        found = view.why(subject, at=at, now=now)
    if json:
        say_json(plain(found))
    else:
        say(f"{found.subject} is {found.status}")
        for reason in found.reasons:
            say(f"- {reason.text}")


def plain(why: Why) -> dict[str, object]:
    """Return an answer as plain data."""
    return why._asdict() | {"reasons": [reason._asdict() for reason in why.reasons]}
