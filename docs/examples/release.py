"""A release: what is built is approved by somebody, announced and published, and taken back if that fails.

Plain functions that `release.toml` makes a workflow of. Everything happens in a folder, so that it can be looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def build(version: str, folder: str) -> str:
    """Write the file that is to be published, and return its path."""
    path = Path(folder) / f"package-{version}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"the package, version {version}\n", encoding="utf-8")
    return str(path)


def tag(version: str, folder: str) -> str:
    """Tag the version."""
    path = Path(folder) / "tags" / version
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return str(path)


def untag(tag: str) -> None:
    """Take the tag back: called if the release fails, or is cancelled, after the tag was made."""
    Path(tag).unlink(missing_ok=True)


def must_be_approved(approval: dict[str, Any]) -> None:
    """Fail if the answer was no."""
    if not approval["approved"]:
        raise RuntimeError(f"not approved: {approval.get('comment', 'no reason given')}")


def publish(path: str, folder: str) -> str:
    """Put a file where everybody sees it."""
    target = Path(folder) / "published" / Path(path).name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(Path(path).read_bytes())
    return str(target)


def announce(where: str, to: str) -> str:
    """Tell somebody where it is."""
    return f"{to}: look at {where}"


def tidy(folder: str) -> list[str]:
    """Say what is there at the end, however it came."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
