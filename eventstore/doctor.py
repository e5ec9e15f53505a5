"""What is wrong with a store: each check in a child process, so that damage can kill none but the child."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventstore.archive import FOLDER_NAME as ARCHIVE_NAME
from eventstore.checking import check_log, check_past
from eventstore.children import ChildDiedError, in_child
from eventstore.data_file import damaged_places, look_at
from eventstore.errors import ArchiveError, NotAStoreError, StoreError, StoreFormatError
from eventstore.file_system import remote_file_system
from eventstore.high_water import HIGH_WATER_NAME, HighWaterMark
from eventstore.last_commit import waiting
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import DATA_NAME, MARKER_NAME, TO_READ, read_marker
from eventstore.owner import living_owner, read_owner
from eventstore.safe_mode import read_failures
from eventstore.shelf import Shelf
from eventstore.snapshots import FOLDER_NAME, SnapshotFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventstore.records import Head

WRONG: Final = "wrong"
"""Something that was written is not there any more, or cannot be read."""
WARNING: Final = "warning"
"""Nothing is lost, but somebody should look at it."""
NOTE: Final = "note"
_SALVAGE: Final = "Restore a backup, or save what is left: `logistics doctor --salvage NEW_FOLDER`."


class Finding(msgspec.Struct, frozen=True):
    """Something that a check has to say."""

    level: str
    """`wrong`, `warning` or `note`."""
    text: str
    remedy: str = ""


def examine(folder: Path, *, more: Iterable[Callable[[str], list[Finding]]] = ()) -> Iterator[Any]:
    """Yield the name of each check, and what it has found; `more` are checks of whoever knows the events.

    A check is a function of a module that takes the path of the folder. `NotAStoreError`.
    """
    if not folder.exists():
        raise NotAStoreError(f"there is no store at {folder}", remedy=TO_READ)
    if not folder.is_dir() or not any((folder / name).exists() for name in (MARKER_NAME, DATA_NAME)):
        text = f"{folder} is not a store: it has no file {MARKER_NAME}"
        raise NotAStoreError(text, remedy=TO_READ)
    for check in (check_folder, check_pages, check_frames, check_snapshots, check_archive, *more):
        yield asked(check, str(folder))


def asked(check: Callable[..., list[Finding]], *arguments: str) -> tuple[str, list[Finding]]:
    """Return the name of a check and what it finds in a child process; one that dies of it is a finding."""
    name = check.__name__.removeprefix("check_")
    try:
        return name, in_child(check, *arguments, answer=list[Finding])
    except ChildDiedError as error:
        return name, [Finding(WRONG, f"this check came to no end: {error}", _SALVAGE)]


def check_folder(path: str) -> list[Finding]:
    """Look at the files beside the data."""
    folder = Path(path)
    found: list[Finding] = []
    try:
        if read_marker(folder) is None:
            found.append(Finding(WRONG, f"{MARKER_NAME} is missing", _SALVAGE))
    except StoreError as error:
        found.append(_told(error))
    data = folder / DATA_NAME
    if not data.is_file() or not data.stat().st_size:
        found.append(Finding(WRONG, f"{DATA_NAME} is missing or empty", "Restore a backup."))
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        found.append(Finding(WARNING, "others can write to the folder", "Give it mode 0700."))
    if remote := remote_file_system(folder.resolve()):
        found.append(Finding(WARNING, f"it is on {remote}, not on a local disk", "Move it to a local disk."))
    if (folder / HIGH_WATER_NAME).exists() and HighWaterMark(folder).read() is None:
        text = f"{HIGH_WATER_NAME} cannot be read: that the log went back would not be noticed"
        found.append(Finding(WARNING, text, "Open the store once; the file is written anew."))
    if failures := read_failures(folder):
        text = f"{failures.times} starts in a row failed at position {failures.position}: {failures.why}"
        remedy = f"Make a store that ends before it: `--salvage NEW_FOLDER --upto {failures.position - 1}`."
        found.append(Finding(WARNING, text, remedy))
    return found + _owner(folder)


def _owner(folder: Path) -> list[Finding]:
    owner = read_owner(folder)
    if owner is None:
        return []
    who = f"process {owner.pid}, since {owner.since}" if owner.pid else "a process that left no name"
    if living_owner(folder) is not None:
        return [Finding(NOTE, f"in use by {who}")]
    return [Finding(NOTE, f"not closed by {who}: it was killed, or the machine went down")]


def check_pages(path: str) -> list[Finding]:
    """Look at the data file below the engine: meta pages, size, and the structure of all pages."""
    data = Path(path) / DATA_NAME
    found: list[Finding] = []
    try:
        # A second look, since the owner may be writing just now.
        if not look_at(data) and not look_at(data):
            found.append(Finding(WARNING, "the meta pages are not as a commit leaves them", _SALVAGE))
        problems = damaged_places(str(data))
    except StoreError as error:
        return [*found, _told(error)]
    except Exception as error:  # noqa: BLE001 - whatever a reader of rubbish stumbles over
        return [
            *found,
            Finding(WRONG, f"the pages cannot be walked: {type(error).__name__}: {error}", _SALVAGE),
        ]
    if problems:
        text = f"{len(problems)} damaged places, the first: {problems[0]}"
        found.append(Finding(WRONG, text, _SALVAGE))
    return found


def check_frames(path: str) -> list[Finding]:
    """Read the log from its beginning to its end: checksums, chain, index, and that it did not go back."""
    try:
        with LmdbLog.open(path, read_only=True) as log:
            check = check_log(log)
            if check.problem:
                text = f"whole up to position {check.head.position}, then: {check.problem}"
                return [Finding(WRONG, text, _SALVAGE)]
            if problem := check_past(log):
                return [Finding(WRONG, problem, _SALVAGE)]

            left = [frame for frame, _ in waiting(Path(path, DATA_NAME), check.head)]

            def head_at(position: int) -> Head:
                known = (
                    left if position > check.head.position else log.frames(after=position - 1, upto=position)
                )
                return next(frame.head for frame in known if frame.first <= position <= frame.last)

            end = left[-1].head if left else check.head
            HighWaterMark(Path(path)).check(log.store_id, end, head_at)
            found = [Finding(NOTE, f"{check.records} events in {check.frames} frames are whole")]
            if left:
                text = (
                    f"the last commit, up to position {end.position}, is in the file, and not yet in the log"
                )
                found.append(Finding(NOTE, text, "Open the store once: that puts it back."))
            return found
    except StoreError as error:
        return [_told(error)]


def check_snapshots(path: str) -> list[Finding]:
    """See which snapshots are whole and of this log."""
    folder = SnapshotFolder(Path(path) / FOLDER_NAME)
    found: list[Finding] = []
    try:
        with LmdbLog.open(path, read_only=True) as log:
            # Older ones are of no use since the log was compacted, and the state as of its horizon is no file.
            for name, there in folder.names(since=log.horizon.head.position).items():
                fit = sum(1 for _ in log.load_snapshots(name)) - (name in log.bases)
                if fit < there:
                    text = f"{there - fit} of {there} snapshots of {name!r} are not of this log or not whole"
                    found.append(Finding(WARNING, text, "None needed: they are ignored."))
    except StoreError:
        return []  # told by the check before this one
    return found


def check_archive(path: str) -> list[Finding]:
    """Read what was taken out of the log, as far back as there are files of it: checksums and chain."""
    try:
        with LmdbLog.open(path, read_only=True) as log:
            head, archive = log.horizon
    except StoreError:
        return []  # told by the check of the frames
    if not head.position:
        return []
    shelf = Shelf(Path(path) / ARCHIVE_NAME, head)
    try:
        shelf.check()
    except ArchiveError as error:
        level = WRONG if error.remedy == ArchiveError.remedy else WARNING  # only not to be read here
        return [Finding(level, str(error), error.remedy)]
    if shelf.begin < head.position:
        since = f", from position {shelf.begin + 1} on" if shelf.begin else ""
        return [Finding(NOTE, f"what was compacted up to position {head.position} is whole{since}")]
    text = f"what was compacted up to position {head.position} is not here"
    if not archive:
        return [Finding(NOTE, f"{text}: it was not archived")]
    return [Finding(WARNING, text, f"Put {archive} back into the folder {ARCHIVE_NAME!r}.")]


def _told(error: StoreError) -> Finding:
    remedy = error.remedy if isinstance(error, StoreFormatError) else f"{error.remedy} {_SALVAGE}"
    return Finding(WRONG, str(error), remedy)
