"""Commands about what is over: compact has a store forget it, archive shows what was kept of that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.compacting import Policy, compact_store
from eventstore.archive import FOLDER_NAME, SUFFIX, ArchiveFile
from eventstore.errors import ArchiveError
from eventstore.lmdb_log import LmdbLog
from logistics.audit.store_reader import StoreReader
from logistics.cli.auditing import WRONG
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import show, show_facts
from logistics.inputs import as_datetime, duration_us
from logistics.whereabouts import resolve

DAY_S = 86_400


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
    LmdbLog.open(where, read_only=True).close()  # it must be there
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


def archive(*, store: StoreOption = None, json: JsonOption = False) -> int:
    """List the files that compactions have archived, each read to its end; exit code 1 if one is damaged.

    What is in them is read by all commands that look into a store.
    """
    with StoreReader(store) as reader:
        rows = [_archived(path) for path in sorted((Path(reader.path) / FOLDER_NAME).glob(f"*{SUFFIX}"))]
    show(
        ("file", "first", "last", "upto", "bytes", "problem"), rows, as_json=json, empty="nothing is archived"
    )
    return WRONG if any(row["problem"] for row in rows) else 0


def _archived(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"file": path.name, "bytes": path.stat().st_size}
    try:
        file = ArchiveFile(path)
        file.check()
    except ArchiveError as error:
        return facts | {"problem": str(error)}
    before, head = file.table.before, file.table.head
    upto = as_datetime(head.recorded_us)
    return facts | {"first": before.position + 1, "last": head.position, "upto": upto, "problem": ""}
