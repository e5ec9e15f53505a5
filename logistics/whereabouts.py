"""Where a store is, if nobody says so, and what stands for one in memory."""

from __future__ import annotations

import os

from logistics.inputs import absolute, check_path

MEMORY = ":memory:"
DEFAULT_FOLDER = ".logistics"


def resolve(path: str | os.PathLike[str] | None) -> str:
    """Return where a store is: `$LOGISTICS_HOME`, else `.logistics/` here, if nothing is named."""
    if path is None:
        path = os.environ.get("LOGISTICS_HOME") or DEFAULT_FOLDER
    text = check_path("path", path, of="folder")
    return text if text == MEMORY else absolute("path", text)
