"""The command that erases what was said of somebody."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from logistics.cli.opening import open_existing
from logistics.cli.options import JsonOption, KeysOption, StoreOption
from logistics.cli.output import say, show_facts
from logistics.whereabouts import resolve


def erase(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Whose data: as jobs and runs named it.")],
    *,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel work of theirs that is not over first.")
    ] = False,
    by: Annotated[str, typer.Option("--by", metavar="WHO", help="Who does it; goes on record.")] = "",
    keys: KeysOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Erase what was said of somebody, in a store that nobody has open: their key is destroyed, for good."""
    where = resolve(store)
    with open_existing(where, keys=keys) as engine:
        erasure = engine.erase(subject, by=by, cancel=cancel)
    facts: dict[str, Any] = {"store": where, "key": None, "at": None, "cancelled": []}
    if erasure is None and not json:
        say(f"nothing is kept of {subject!r}")
        return
    if erasure is not None:
        facts |= {"key": erasure.key, "at": erasure.at.isoformat(), "cancelled": list(erasure.cancelled)}
    show_facts(facts, as_json=json)
