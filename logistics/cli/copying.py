"""Commands that make copies: backup, restore, export, import."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from errno import EEXIST
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from actors.runtime.errors import InputError
from eventstore.backup import PARTIAL, build_aside, checked, copy_store
from eventstore.errors import NotAStoreError
from eventstore.files import claim, sync_folder
from eventstore.lmdb_log import LmdbLog
from eventstore.opening import MARKER_NAME, mark_as_part
from logistics.audit.exchange import Part, export_header, export_lines, import_lines
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import AfterOption, JsonOption, StoreOption, TagsOption, UptoOption, position
from logistics.cli.output import NobodyReads, show_facts
from logistics.cli.reading import find
from logistics.whereabouts import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

TargetArgument = Annotated[Path, typer.Argument(metavar="PATH", help="A folder that does not exist yet.")]


def backup(target: TargetArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Copy a store, in use or not, and read the copy back. Never use cp or rsync for that."""
    with LmdbLog.open(resolve(store), read_only=True) as log:
        _say_copied(target, copy_store(log, target), as_json=json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `logistics backup` has made.")],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Copy a backup to where a store is to be; there must be nothing yet."""
    if not (source / MARKER_NAME).exists():
        text = f"{source} is no backup: it has no file {MARKER_NAME}"
        raise NotAStoreError(text, remedy="Name a folder that `logistics backup` has made.")
    checked(source)
    with LmdbLog.open(source, read_only=True) as log:
        target = Path(resolve(store))
        _say_copied(target, copy_store(log, target), as_json=json)


def _say_copied(target: Path, head: Any, *, as_json: bool, part: str = "") -> None:
    facts = {"copy": str(target), "position": head.position, "link": head.link.hex()}
    show_facts(facts | ({"part": part} if part else {}), as_json=as_json)


def export(
    *,
    run: Annotated[str, typer.Option("--run", metavar="ID", help="This run and what it needs.")] = "",
    of: Annotated[
        str, typer.Option("--of", metavar="WHAT", help="One thing: job:ID, run:ID, schedule:NAME, or an id.")
    ] = "",
    pattern: TagsOption = "*",
    after: AfterOption = None,
    upto: UptoOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file, else standard output.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Write the log as lines of JSON: whole and provable, or a part of it, such as one run with all it needs."""
    with StoreReader(store) as reader:
        part = Part(
            run.removeprefix("run:"),
            find(reader, of) if of else "",
            pattern,
            position(reader, after) or 0,
            position(reader, upto),
        )
        part.chooser(reader)  # before there is a file
        with _opened(output) as file:
            try:
                for line in export_lines(reader, part):
                    file.write(line + b"\n")
                file.flush()
            except BrokenPipeError as error:
                raise NobodyReads from error
    if output is not None:
        show_facts({"file": str(output), "bytes": output.stat().st_size}, as_json=json)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that has its name only once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    partial = output.with_name(output.name + PARTIAL)
    try:
        if output.exists():
            raise FileExistsError(EEXIST, os.strerror(EEXIST))
        with partial.open("ab") as file:
            claim(file.fileno(), partial)
            try:
                file.truncate(0)  # what is there was left by one that was killed
                yield file
                os.fsync(file.fileno())
                partial.rename(output)
            except BaseException:
                partial.unlink()
                raise
        sync_folder(output.parent)
    except OSError as error:
        msg = f"{output}: {error.strerror}"
        raise InputError(msg) from error


def import_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `logistics export` has written.")],
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new store of an export: the same, chain and all, or a part, which can only be looked into."""
    target = Path(resolve(store))
    try:
        lines = file.open("rb")
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise InputError(msg) from error

    def fill(folder: Path) -> None:
        with LmdbLog.open(folder) as log:
            import_lines(lines, log)
        mark_as_part(folder, part)

    with lines:
        part = export_header(lines.readline()).part
        lines.seek(0)
        _say_copied(target, build_aside(target, fill), as_json=json, part=part)
