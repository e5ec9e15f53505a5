"""A store damaged in one place after the other, and what reading and writing on comes to: for a child to die of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from eventstore.errors import StoreError
from eventstore.lmdb_log import LmdbLog
from eventstore.salvage import look_for_remains
from tests.eventstore.support import append, record

PAGE = 4096
SEGMENT = 40


def build(path: Path) -> None:
    """Make a store with everything in it: small frames, great ones, pages that are free again, an index."""
    with LmdbLog.open(path, segment_records=SEGMENT) as log:
        for n in range(60):
            append(log, f"job:{n}", "job:1", f"run:{n % 7}", epoch=1 + n // 20)
            if n % 20 == 10:
                log.append(
                    [record(f"job:long{n}", "long " * 3000)],
                    expected=log.head.position,
                    epoch=log.head.epoch,
                    recorded_us=1_000_000,
                )


def answers(path: Path) -> dict[str, Any]:
    """Open a store as its owner does, and ask everything that can be asked."""
    with LmdbLog.open(path, segment_records=SEGMENT) as log:
        end = log.head.position
        return {
            "head": log.head,
            "frames": list(log.frames()),
            "entities": list(log.entities("")),
            "histories": [log.history(entity) for entity in ("job:1", "run:3", "job:long10", "nobody")],
            "first": [log.first(f"run:{n}") for n in range(7)],
            "last": [log.last("job:1", upto=upto) for upto in range(0, end, 17)],
            "at": [log.at(position) for position in range(1, end, 13)],
        }


def flip(content: bytearray, random: Random) -> None:
    bit = random.randrange(len(content) * 8)
    content[bit // 8] ^= 1 << bit % 8


def spoil_page(content: bytearray, random: Random) -> None:
    """A page of zeros, of rubbish, of another page's content, or two that changed places."""
    pages = len(content) // PAGE
    one, other = (random.randrange(pages) * PAGE for _ in range(2))
    here, there = slice(one, one + PAGE), slice(other, other + PAGE)
    kind = random.choice(("zero", "rubbish", "copy", "swap", "half"))
    if kind == "zero":
        content[here] = bytes(PAGE)
    elif kind == "rubbish":
        content[here] = random.randbytes(PAGE)
    elif kind == "copy":
        content[here] = content[there]
    elif kind == "swap":
        content[here], content[there] = content[there], content[here]
    else:
        content[one + PAGE // 2 : one + PAGE] = bytes(PAGE // 2)


def cut(content: bytearray, random: Random) -> None:
    del content[random.randrange(len(content)) :]


KINDS: dict[str, Callable[[bytearray, Random], None]] = {"flips": flip, "pages": spoil_page, "cuts": cut}


def damaged(good: bytes, kind: str, number: int) -> bytes:
    """Return what a file is after the damage with a number."""
    content = bytearray(good)
    KINDS[kind](content, Random(f"{kind} {number}"))
    return bytes(content)


def attempt(path: Path, expected: dict[str, Any]) -> str:
    """Read a damaged store, and write on if that went well; return `error`, `harmless`, or what is wrong."""
    whole = expected["frames"]
    remains = look_for_remains(path)
    if list(remains.frames(remains.chain)) != whole[: len(remains.chain)]:
        return "wrong: what can be saved is not a beginning"
    try:
        if answers(path) != expected:
            return "wrong: an answer"
        with LmdbLog.open(path, segment_records=SEGMENT) as log:
            for n in range(4):
                append(log, f"new:{n}", *[f"job:{m}" for m in range(20)], epoch=9, recorded_us=2_000_000)
        again = answers(path)["frames"]
    except StoreError:
        return "error"
    return (
        "harmless" if again[:-4] == whole and len(again) == len(whole) + 4 else "wrong: what was written on"
    )


def main(arguments: list[str]) -> None:
    """Try the cases from one number to another; a line before each, so that a death can be counted."""
    folder, kind, begin, end = Path(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    data, small = folder / "data.mdb", [folder / "high_water.json", folder / "STORE"]
    good, beside = data.read_bytes(), [path.read_bytes() for path in small]
    expected = answers(folder)
    for number in range(begin, end):
        data.write_bytes(damaged(good, kind, number))
        for path, content in zip(small, beside, strict=True):
            path.write_bytes(content)
        print(number, end=" ", flush=True)
        print(attempt(folder, expected), flush=True)
    data.write_bytes(good)


if __name__ == "__main__":
    main(sys.argv[1:])
