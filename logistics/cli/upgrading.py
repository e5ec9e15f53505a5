"""The command that asks, before new code is put to work, whether what is under way fits it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from actors.runtime.errors import InputError
from eventstore.backup import copy_store
from eventstore.keyring import FILE_NAME
from eventstore.lmdb_log import LmdbLog
from logistics.cli.auditing import WRONG
from logistics.cli.options import JsonOption, KeysOption, StoreOption
from logistics.cli.output import show
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.upgrades import upgrade_check
from logistics.whereabouts import resolve

if TYPE_CHECKING:
    from logistics.orchestration.upgrades import UpgradeFinding

COLUMNS = ("blocking", "kind", "id", "name", "step", "function", "problem")


def check(
    modules: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODULE]...", help="Imported first: modules with functions that have names of their own."
        ),
    ] = None,
    *,
    keys: KeysOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Say what under way does not fit the code that can be imported here. Exit code 1 if something will not go on.

    It is asked of a copy, made in the folder for temporary files: the store may be in use and stays as it is, and no
    function is called. Modules are found as `python -m` finds them: those of the working directory, too.
    """
    _import(modules or [])
    found = _findings(Path(resolve(store)), keys)
    rows = (asdict(finding) for finding in found)
    show(COLUMNS, rows, as_json=json, empty="all that is under way fits the code")
    return WRONG if any(finding.blocking for finding in found) else 0


def _import(modules: list[str]) -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    for name in modules:
        try:
            import_module(name)
        except Exception as error:
            msg = f"module {name!r} cannot be imported: {type(error).__name__}: {error}"
            raise InputError(msg) from error


def _findings(store: Path, keys: Path | None) -> list[UpgradeFinding]:
    """Return what a copy of a store says, those that will not go on first."""
    with TemporaryDirectory(prefix="logistics-") as folder:
        copy = Path(folder, "copy")
        with LmdbLog.open(store, read_only=True) as log:
            copy_store(log, copy)
        if (ring := keys or store / FILE_NAME).exists():
            shutil.copy2(ring, copy / FILE_NAME)
        with OrchestrationEngine(copy, workers=0) as engine:
            return sorted(upgrade_check(engine), key=lambda finding: not finding.blocking)
