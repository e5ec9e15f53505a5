"""Golden states as of a horizon: what a compacted store has instead of the events that made them, kept for ever.

`python -m tests.golden.bases` writes a file for each state whose image has another shape than the newest one there;
a file is never changed and never removed, since stores hold such states for as long as they live.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.retention import plan_compaction
from actors.runtime.fingerprint import fingerprint
from actors.runtime.fold import fold, snapshot_of
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.retention import Compaction
from logistics.audit.exchange import import_lines

FOLDER = Path(__file__).with_name("states")
RULES = [actor.rules for actor in ACTORS]
TESTS = Path(__file__).parents[1]
HISTORIES = {
    "history": TESTS / "golden" / "history.jsonl",
    "midflight": TESTS / "logistics" / "orchestration" / "golden" / "2026_11.jsonl",
}


class Base(NamedTuple):
    """The states as of one position of a golden history, as code of some day has written them."""

    name: str
    history: str
    position: int
    states: dict[str, bytes]

    def image(self, actor: str) -> Any:
        """Return a state as plain data."""
        return msgspec.msgpack.decode(self.states[actor][len(fingerprint()) :])


def golden(history: str = "*") -> list[Base]:
    """Return what is there, the oldest first."""
    return [_read(file) for file in sorted(FOLDER.glob(f"{history}.*.json"))]


def compaction(log: MemoryLog | LmdbLog) -> Compaction:
    """Return the plan that forgets as much of a golden history as may be forgotten."""
    plan = plan_compaction(log, event_codec(), RULES, before_us=1 << 60, upto=log.head.position)
    assert plan is not None
    return plan


def present(history: str) -> Base:
    """Return what the code of today writes."""
    log = MemoryLog()
    with HISTORIES[history].open("rb") as lines:
        import_lines(lines, log)
    position = compaction(log).horizon.head.position
    states = fold(log, event_codec(), RULES, upto=position)
    return Base("today", history, position, {name: snapshot_of(state) for name, state in states.items()})


def make(base: Base, path: Path) -> None:
    """Make a store of a golden history that was compacted when a base was written: it is all that tells of the past."""
    with LmdbLog.open(path) as log:
        with HISTORIES[base.history].open("rb") as lines:
            import_lines(lines, log)
        plan = compaction(log)
        assert plan.horizon.head.position == base.position
        log.compact(msgspec.structs.replace(plan, bases=base.states))
        while log.tidy():
            pass


def _read(file: Path) -> Base:
    row = json.loads(file.read_text(encoding="utf-8"))
    states = {name: base64.b64decode(state) for name, state in row["states"].items()}
    return Base(file.stem, row["history"], row["position"], states)


def main() -> None:
    """Write what is missing."""
    for history in HISTORIES:
        there, base = golden(history), present(history)
        images = {name: base.image(name) for name in base.states}
        if there and images == {name: there[-1].image(name) for name in there[-1].states}:
            continue
        row = {
            "history": history,
            "position": base.position,
            "states": {name: base64.b64encode(state).decode() for name, state in base.states.items()},
            "for people": msgspec.to_builtins(images, str_keys=True),
        }
        file = FOLDER / f"{history}.{len(there) + 1:03d}.json"
        file.write_text(json.dumps(row, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"added {file.name}\n")


if __name__ == "__main__":
    main()
