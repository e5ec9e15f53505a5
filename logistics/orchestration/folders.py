"""The folders of projects: where they are, and that each is one of ours and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path

from actors.runtime.errors import InputError
from logistics.inputs import check_component

MARKER = ".logistics-project"
"""The file that makes a folder one of ours; it names the project."""
NEW_MARKER = f"{MARKER}.new"


def folder_of(root: Path, name: object) -> Path:
    """Return where a project's folder is; refuse what could be anywhere else."""
    folder = root / check_component("name", name)
    check_whole(folder, name)
    return folder


def check_whole(folder: Path, name: object) -> None:
    """Refuse a folder whose path leads somewhere else."""
    if folder.resolve() != folder:
        msg = f"project {name!r}: {folder} is a symbolic link to {folder.resolve()}, which is refused"
        raise InputError(msg)


def check_free(folder: Path, name: str, *, ours: bool) -> None:
    """Refuse a folder that somebody else made. One on record may be empty: its making was cut off."""
    if not folder.exists() or _marked(folder) == name:
        return
    if ours and folder.is_dir() and all(each.name == NEW_MARKER for each in folder.iterdir()):
        return
    msg = f"project {name!r}: {folder} is there already and is not this project's; nothing in it was touched"
    raise InputError(msg)


def _marked(folder: Path) -> str | None:
    """Return the name of the project that a folder belongs to, if it is one of ours."""
    marker = folder / MARKER
    if marker.is_symlink() or not marker.is_file():
        return None
    try:
        data = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return data.get("project") if isinstance(data, dict) else None


def mark_folder(folder: Path, name: str) -> None:
    """Make a folder with its marker, which appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    if _marked(folder) == name:
        return
    new = folder / NEW_MARKER
    new.unlink(missing_ok=True)  # of a making that was cut off; never followed, should it be a link
    with new.open("x", encoding="utf-8") as file:
        file.write(json.dumps({"project": name}) + "\n")
    new.replace(folder / MARKER)
