"""Opening a store for a command that writes to it: none is made for a slip in its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logistics.audit.store_reader import StoreReader
from logistics.orchestration.engine import OrchestrationEngine

if TYPE_CHECKING:
    from pathlib import Path


def open_existing(store: Path | str | None, *, keys: Path | None = None) -> OrchestrationEngine:
    """Open a store that is there already; the error of whoever looks into it says so if it is not."""
    StoreReader(store).close()
    return OrchestrationEngine(store, keys=keys)
