"""Opening a store for a command that writes to it: none is made for a slip in its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.lmdb_log import LmdbLog
from logistics.orchestration.engine import OrchestrationEngine
from logistics.whereabouts import resolve

if TYPE_CHECKING:
    from pathlib import Path


def open_existing(store: Path | str | None, *, keys: Path | None = None) -> OrchestrationEngine:
    """Open a store that is there already; the error of whoever looks into it says so if it is not."""
    LmdbLog.open(resolve(store), read_only=True).close()
    return OrchestrationEngine(store, keys=keys)
