"""The command that has a store forget what is over."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from actors.compacting import Policy, compact_store
from eventstore.lmdb_log import LmdbLog
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import show_facts
from logistics.inputs import duration_us
from logistics.orchestration.stores import resolve

DAY_S = 86_400


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compact)


def compact(
    *,
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0, help="How long jobs and runs that are over stay on record.")
    ],
    archive: Annotated[
        bool,
        typer.Option(
            "--archive/--no-archive", help="Archive what is forgotten first; without that it is gone."
        ),
    ] = True,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Forget what was over long ago, in a store that nobody has open; an engine does it by itself: retention=."""
    where = resolve(store)
    policy = Policy(duration_us("--keep-days", keep_days * DAY_S), archive=archive)
    StoreReader(where).close()  # it must be there
    with LmdbLog.open(where) as log:
        before = log.horizon.head.position
        files = [plan.horizon.archive for plan in compact_store(log, policy, now_us=time.time_ns() // 1000)]
        head, _ = log.horizon
        facts: dict[str, Any] = {
            "store": log.path,
            "compacted_before": before,
            "compacted": head.position,
            "position": log.head.position,
            "archived": ", ".join(filter(None, files)),
        }
    show_facts(facts, as_json=json)
