"""The command that says what is wrong with a store, and saves what can be saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from eventstore.doctor import WRONG
from logistics.audit.doctor import diagnose, prognosis, rescue
from logistics.cli.auditing import WRONG as WRONG_CODE
from logistics.cli.options import JsonOption, KeysOption, StoreOption
from logistics.cli.output import say, say_json, show, show_facts
from logistics.whereabouts import resolve

if TYPE_CHECKING:
    from eventstore.doctor import Finding


def doctor(
    *,
    salvage: Annotated[
        Path | None,
        typer.Option("--salvage", metavar="NEW_FOLDER", help="Save what can be saved into a new store."),
    ] = None,
    upto: Annotated[
        int | None, typer.Option("--upto", min=1, help="With --salvage: no further than this position.")
    ] = None,
    keys: KeysOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Say what is wrong with a store, in use or not; it is never changed. Exit code 1 if something is.

    With --salvage, exit code 0 means that all of the log was saved, 1 that a part of it was not.
    """
    folder = Path(resolve(store))
    if salvage is not None:
        return _saved(rescue(folder, salvage, upto=upto), as_json=json)
    return _examined(folder, keys, as_json=json)


def _examined(folder: Path, keys: Path | None, *, as_json: bool) -> int:
    wrong, rows = False, []
    for name, found in diagnose(folder, keys=keys):
        wrong = wrong or any(each.level == WRONG for each in found)
        rows += _rows(name, found)
    remains = prognosis(folder) if wrong else {}
    if as_json:
        say_json({"store": str(folder), "sound": not wrong, "findings": rows, **remains})
        return WRONG_CODE if wrong else 0
    show(("check", "level", "text", "remedy"), rows or [], as_json=False, empty="")
    if wrong:
        show_facts(remains, as_json=False)
    say("something is wrong" if wrong else "the store is sound")
    return WRONG_CODE if wrong else 0


def _rows(check: str, found: list[Finding]) -> list[dict[str, Any]]:
    return [{"check": check, **msgspec.structs.asdict(each)} for each in found] or [
        {"check": check, "level": "ok", "text": "", "remedy": ""}
    ]


def _saved(report: dict[str, Any], *, as_json: bool) -> int:
    show_facts(report, as_json=as_json)
    return 0 if report["position"] == report["known_end"] else WRONG_CODE
