"""What is wrong with a store, down to its events, and what was saved of it."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.folding import event_codec
from actors.runtime.seals import keys_in
from actors.runtime.vault import SUBJECT
from eventstore.doctor import NOTE, WARNING, WRONG, Finding, asked, examine
from eventstore.errors import ReplayError, StoreError, UnknownEventError
from eventstore.keyring import FILE_NAME as KEYS_NAME
from eventstore.keyring import KeyRing
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import read_marker
from eventstore.salvage import Remains, remains_of, salvage
from logistics.audit.exchange import export_frames
from logistics.audit.past import recorded
from logistics.audit.store_view import StoreView

if TYPE_CHECKING:
    from collections.abc import Iterator

BEYOND: Final = "behind_the_gap.jsonl"
"""A file in a store that was saved: events that are whole, and behind the first gap."""
_COPY_OF_KEYS: Final = "Put a copy of the file back, or name it, if it is elsewhere: `--keys FILE`."
PART: Final = "behind a gap"
"""What an export of them says that it is a part of."""


def diagnose(folder: Path, *, keys: Path | None = None) -> Iterator[tuple[str, list[Finding]]]:
    """Yield the name of each check of a store, in use or not, and what it has found. `NotAStoreError`.

    `keys` is the file of keys, if it is not in the folder.
    """
    yield from examine(folder, more=(check_events,))
    yield asked(check_keys, str(folder), str(keys or folder / KEYS_NAME))


def check_events(path: str) -> list[Finding]:
    """Decode each event, and fold them all. It is run in a child process."""
    unknown: Counter[str] = Counter()
    codec = event_codec()
    try:
        with LmdbLog.open(path, read_only=True) as log:
            for frame in log.frames(after=log.horizon.head.position):
                events = [recorded(frame.stored(n), codec) for n in range(frame.first, frame.last + 1)]
                unknown.update(
                    f"{each.tag!r}, version {each.version}" for each in events if each.event is None
                )
            marker = read_marker(Path(path))
            if marker is not None and marker.part:
                return [Finding(NOTE, f"a part of a log only, not folded: {marker.part}")]
            if not unknown:
                StoreView(log, codec, log.head.position, snapshots=False)
    except ReplayError as error:
        remedy = f"Make a store that ends before it: `--salvage NEW_FOLDER --upto {error.position - 1}`."
        return [Finding(WRONG, str(error), remedy)]
    except StoreError:
        return []  # told by the check of the frames
    return [
        Finding(WARNING, f"{count} events are not understood: {what}", UnknownEventError.remedy)
        for what, count in unknown.items()
    ]


def check_keys(path: str, keys: str) -> list[Finding]:
    """Look at the file of keys, and whether it has each key that something on record is sealed with."""
    file, found = Path(keys), []
    ring = KeyRing(None)
    if file.exists():
        try:
            ring = KeyRing.copy_of(file)
        except StoreError as error:
            return [Finding(WRONG, str(error), error.remedy)]
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            found.append(Finding(WARNING, "others can get at the keys", "Give the file of keys mode 0600."))
    if ring.damaged:
        text = f"{ring.damaged} keys are damaged: what they sealed cannot be read"
        found.append(Finding(WRONG, text, _COPY_OF_KEYS))
    try:
        with LmdbLog.open(path, read_only=True) as log:
            used, erased = _keys_on_record(log)
    except StoreError:
        return found  # told by the check of the frames
    if missing := used - erased - ring.destroyed.keys() - set(ring):
        text = f"what is sealed with {len(missing)} keys cannot be read: they are not in {file}"
        found.append(Finding(WARNING, text, _COPY_OF_KEYS))
    if back := erased.intersection(ring):
        text = f"{len(back)} keys of subjects that were erased are there again: the file is an older copy"
        found.append(Finding(WARNING, text, "Open the store with it: they are destroyed again."))
    if unsaid := ring.destroyed.keys() - erased:
        text = f"{len(unsaid)} keys are destroyed, which is not on record yet"
        found.append(Finding(NOTE, text, "Open the store with them."))
    return found


def _keys_on_record(log: LmdbLog) -> tuple[set[str], set[str]]:
    """Return with which keys something is sealed, and whose subjects were erased."""
    used: set[str] = set()
    for frame in log.frames(after=log.horizon.head.position):
        for record in frame.records:
            used |= keys_in(record.payload)
    return used, {entity.removeprefix(SUBJECT) for entity in log.entities(SUBJECT)}


def prognosis(folder: Path) -> dict[str, Any]:
    """Return what can be saved and what cannot, as plain data."""
    return _told(remains_of(folder))


def _told(remains: Remains) -> dict[str, Any]:
    told: dict[str, Any] = {
        "savable": remains.end,
        "known_end": remains.known_end,
        "lost": remains.lost,
        "unsaved": remains.unsaved,
    }
    if remains.horizon.position:
        told["archived_upto" if remains.archived else "compacted_upto"] = remains.horizon.position
    return {**told, "problem": remains.problem} if remains.problem else told


def rescue(folder: Path, target: Path, *, upto: int | None) -> dict[str, Any]:
    """Make a new store of what is left of one; return what was saved and what was not, as plain data.

    What is whole behind the first gap goes into a file of its own, in the form of an export. `NotAStoreError`.
    """
    remains = remains_of(folder)
    head = salvage(remains, target) if upto is None else salvage(remains, target, upto=upto)
    report = {"copy": str(target), "position": head.position, "link": head.link.hex(), **_told(remains)}
    if remains.beyond:
        with (target / BEYOND).open("wb") as file:
            for line in export_frames(remains.frames(remains.beyond), event_codec(), part=PART):
                file.write(line + b"\n")
        report["behind_the_gap"] = str(target / BEYOND)
    return report
