"""Which version of the package is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.later import Later

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = Later("importlib.metadata")


def package_version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("logistics")
    except metadata.PackageNotFoundError:
        return "0+unknown"
