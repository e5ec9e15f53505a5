"""Commands that prove or compare: verify, replay, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore.data_file import verify as verify_pages
from eventstore.errors import CorruptStoreError
from eventstore.opening import DATA_NAME
from logistics.audit.differences import differences
from logistics.audit.exchange import verify_export
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import JsonOption, StoreOption, moment
from logistics.cli.output import cell, show, show_facts

WRONG = 1
"""The exit code for what was looked at and is not as it should be."""
MomentArgument = Annotated[
    str,
    typer.Argument(metavar="MOMENT", help="A position of the log, or an instant like 2027-03-28T01:00:00Z."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (verify, replay, diff):
        app.command()(command)


def verify(
    *,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="An export instead of a store.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="All pages too, and that snapshot and tail give what the log gives."),
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Check every checksum and the chain from the first event to the last; exit code 1 if something is wrong."""
    facts = _verified_export(export) if export is not None else _verified_store(store, deep=deep)
    show_facts(facts, as_json=json)
    return WRONG if facts["problem"] else 0


def _verified_export(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"export": str(file), "problem": ""}
    with file.open("rb") as lines:
        try:
            head = verify_export(lines)
        except CorruptStoreError as error:
            return facts | {"problem": str(error)}
    return {"export": str(file), "position": head.position, "link": head.link.hex(), "problem": ""}


def _verified_store(store: Path | None, *, deep: bool) -> dict[str, Any]:
    with StoreReader(store) as reader:
        check = reader.check()
        facts: dict[str, Any] = {
            "store": reader.path,
            "store_id": reader.store_id,
            "frames": check.frames,
            "events": check.records,
            "entities": check.entities,
            "position": check.head.position,
            "link": check.head.link.hex(),
            "problem": check.problem,
        }
        if deep and not check.problem:
            facts |= _looked_deeper(reader)
    return facts


def _looked_deeper(reader: StoreReader) -> dict[str, Any]:
    try:
        verify_pages(Path(reader.path) / DATA_NAME)
    except CorruptStoreError as error:
        return {"problem": str(error)}
    end = reader.position
    whole = reader.as_of(end, snapshots=False).state_hash()
    short = reader.as_of(end).state_hash()
    problem = "" if whole == short else "snapshot and tail give another state than the log"
    return {"state_hash": whole, "problem": problem}


def replay(
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help="A position, or an instant.")
    ] = None,
    state: Annotated[bool, typer.Option("--state", help="Print the whole state, too, as JSON.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Fold the log from its beginning to a moment; print what the state's hash is there."""
    with StoreReader(store) as reader:
        view = reader.as_of(moment(to), snapshots=False)
        facts: dict[str, Any] = {"position": view.position, "at": view.at, "state_hash": view.state_hash()}
        show_facts(facts | ({"state": view.dump()} if state else {}), as_json=json or state)


def diff(
    before: MomentArgument,
    after: Annotated[str | None, typer.Argument(metavar="[MOMENT]", help="Now, unless said.")] = None,
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what has changed between two moments."""
    with StoreReader(store) as reader:
        found = differences(reader.as_of(moment(before)), reader.as_of(moment(after)))
        rows = (each._asdict() if json else _short(each._asdict()) for each in found)
        show(("part", "key", "before", "after"), rows, as_json=json, empty="no difference")


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: cell(value, longest=60) for name, value in row.items()}
