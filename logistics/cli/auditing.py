"""Commands that prove or compare: verify, replay, diff."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.runtime.errors import InputError
from eventstore.data_file import verify as verify_pages
from eventstore.errors import CorruptStoreError
from eventstore.opening import DATA_NAME
from logistics.audit.differences import Difference, differences
from logistics.audit.exchange import export_header, verify_export
from logistics.audit.signing import Checkpoint, broken, read_checkpoints, sign
from logistics.audit.signing import create_key as new_key
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import JsonOption, StoreOption, moment
from logistics.cli.output import cell, encoded, say, show, show_facts
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from eventstore.records import Frame

WRONG = 1
"""The exit code for what was looked at and is not as it should be."""
UNPROVEN = "a part has not the chain of its log: that nothing in it was changed is not proven"
MomentArgument = Annotated[
    str,
    typer.Argument(
        metavar="MOMENT",
        help="A position of the log, an instant like 2027-03-28T01:00:00Z, or how long ago, like 2h.",
    ),
]


def verify(
    *,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="An export instead of a store.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="All pages too, and that snapshot and tail give what the log gives."),
    ] = False,
    checkpoints: Annotated[
        Path | None,
        typer.Option("--checkpoints", metavar="FILE", help="Hold it against these signed checkpoints."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="What the checkpoints were signed with."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Check every checksum and the chain from the first event to the last; exit code 1 if something is wrong.

    With --checkpoints: nothing up to the newest of them was changed since it was signed.
    """
    signed = _signed(checkpoints, public_key)
    links: dict[int, bytes] = {}
    facts = (
        _verified_export(export, links) if export is not None else _verified_store(store, links, deep=deep)
    )
    if signed and not facts["problem"]:
        _check_whole(facts.get("part", ""))
        facts |= _held_against(signed, links, facts["store_id"])
    show_facts(facts if json else facts | {"problem": facts["problem"] or "none"}, as_json=json)
    return WRONG if facts["problem"] else 0


def _signed(checkpoints: Path | None, public_key: Path | None) -> list[Checkpoint]:
    if (checkpoints is None) != (public_key is None):
        msg = "--checkpoints and --public-key belong together"
        raise InputError(msg)
    if checkpoints is None or public_key is None:
        return []
    with checkpoints.open("rb") as lines:
        return read_checkpoints(lines, public_key)


def _check_whole(part: str) -> None:
    """Refuse what has a chain of its own: held against that of the log, all of it would seem to be changed."""
    if part:
        msg = f"checkpoints are of a whole log, and this is a part of one, which has another chain: {part}"
        raise InputError(msg)


def _held_against(signed: list[Checkpoint], links: dict[int, bytes], store_id: str) -> dict[str, Any]:
    newest = max(signed, key=lambda each: each.position)
    facts: dict[str, Any] = {"checkpoints": len(signed), "problem": broken(signed, links, store_id)}
    if not facts["problem"]:
        facts |= {
            "unchanged_upto": newest.position,
            "recorded_until": as_datetime(newest.recorded_us),
            "since": as_datetime(newest.signed_us),
        }
    return facts


def _verified_export(file: Path, links: dict[int, bytes]) -> dict[str, Any]:
    with file.open("rb") as lines:
        header = export_header(lines.readline())
        facts: dict[str, Any] = {"export": str(file), "store_id": header.store_id}
        lines.seek(0)
        try:
            head = verify_export(lines, seen=lambda head: links.update({head.position: head.link}))
        except CorruptStoreError as error:
            return facts | {"problem": str(error)}
    if header.part:
        return facts | {"part": header.part, "events": head.position, "note": UNPROVEN, "problem": ""}
    return facts | {"position": head.position, "link": head.link.hex(), "problem": ""}


def _verified_store(store: Path | None, links: dict[int, bytes], *, deep: bool) -> dict[str, Any]:
    with StoreReader(store) as reader:
        check = reader.check(seen=partial(_note_links, links))
        facts: dict[str, Any] = {
            "store": reader.path,
            "store_id": reader.store_id,
            "frames": check.frames,
            "events": check.records,
            "entities": check.entities,
            "position": check.head.position,
            "link": check.head.link.hex(),
            "problem": check.problem,
        }
        if reader.part:
            facts |= {"part": reader.part, "note": UNPROVEN}
        if deep and not check.problem:
            facts |= _looked_deeper(reader)
    return facts


def _note_links(links: dict[int, bytes], frame: Frame) -> None:
    links.setdefault(frame.first - 1, frame.previous)
    links[frame.last] = frame.link


def _looked_deeper(reader: StoreReader) -> dict[str, Any]:
    try:
        verify_pages(Path(reader.path) / DATA_NAME)
    except CorruptStoreError as error:
        return {"problem": str(error)}
    end = reader.position
    whole, short = reader.as_of(end, snapshots=False), reader.as_of(end)
    same = whole.state_hash() == short.state_hash()
    compared = {name: position for name, position in short.begun.items() if position}
    return {
        "state_hash": whole.state_hash(),
        "snapshots": compared or "none: there was nothing to compare the log's own state with",
        "problem": "" if same else "snapshot and tail give another state than the log",
    }


def checkpoint(
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Add it to this file, else standard output."),
    ] = None,
    create_key: Annotated[
        bool, typer.Option("--create-key", help="Make the key first, in a new file, and FILE.pub beside it.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Sign the end of the log: a line of JSON, which proves later that nothing before it was changed.

    Keep checkpoints and the private key where whoever writes the store cannot write.
    """
    if create_key:
        new_key(key)
    with StoreReader(store) as reader:
        _check_whole(reader.part)
        position = reader.head.position
        line = encoded(sign(reader.store_id, reader.head, key)).decode()
    if output is None:
        say(line)
        return
    with output.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    show_facts({"position": position, "file": str(output)}, as_json=json)


def replay(
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help="A position, or an instant.")
    ] = None,
    state: Annotated[bool, typer.Option("--state", help="Print the whole state, too, as JSON.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Fold the log from its beginning to a moment; print what the state's hash is there."""
    with StoreReader(store) as reader:
        view = reader.as_of(moment(to), snapshots=False)
        facts: dict[str, Any] = {
            "position": view.position,
            "at": view.at if view.position else None,
            "state_hash": view.state_hash(),
        }
        show_facts(facts | ({"state": view.dump()} if state else {}), as_json=json or state)


def diff(
    before: MomentArgument,
    after: Annotated[str | None, typer.Argument(metavar="MOMENT", help="Now, unless said.")] = None,
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what has changed between two moments."""
    with StoreReader(store) as reader:
        found = differences(reader.as_of(moment(before)), reader.as_of(moment(after)))
        rows = (each._asdict() if json else _short(each) for each in found)
        show(("part", "key", "before", "after"), rows, as_json=json, empty="no difference")


def _short(found: Difference) -> dict[str, Any]:
    """Return a difference for a table: of what was there at both moments only what is not the same."""
    row = found._replace(**_unlike(found.before, found.after))._asdict()
    return {name: cell(value, longest=90) for name, value in row.items()}


def _unlike(before: Any, after: Any) -> dict[str, Any]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {"before": before, "after": after}
    pairs = {
        key: _unlike(before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }
    return {side: {key: pair[side] for key, pair in pairs.items()} for side in ("before", "after")}
