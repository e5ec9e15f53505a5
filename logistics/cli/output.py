"""How commands that read say what they found: tables for people, lines of JSON for programs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from logistics.cli.tables import drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PLAIN = 1e15
"""Numbers below it are written without an exponent."""
LONGEST = 120
"""Characters of a cell."""


class NobodyReads(Exception):  # noqa: N818 -- not an error: whoever read our output has seen enough
    """The other end of standard output was closed. No `OSError`: typer would take that as its own."""


def write(text: str) -> None:
    """Write to standard output. `NobodyReads`."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError as error:
        raise NobodyReads from error


def flush() -> None:
    """Hand over what was written to whoever waits for it. `NobodyReads`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise NobodyReads from error


def say(text: object) -> None:
    """Print one line."""
    write(f"{printable(text)}\n")


def say_json(value: Any) -> None:
    """Print one line of JSON."""
    write(encoded(value).decode() + "\n")


def say_rows(rows: Iterable[Any]) -> None:
    """Print a line of JSON for each row."""
    for row in rows:
        say_json(row)


def show(columns: Sequence[str], rows: Iterable[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows: as a table of some columns, or whole, each as one line of JSON."""
    if as_json:
        say_rows(rows)
        return
    say_table(columns, ([cell(row.get(name)) for name in columns] for row in rows), empty=empty)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "") -> None:
    """Print rows of texts as a table, page by page as they come."""
    is_empty = True
    for line in drawn(columns, rows):
        write(f"{line}\n")
        is_empty = False
    if is_empty:
        say(empty)


def show_first(
    columns: Sequence[str], rows: Iterator[dict[str, Any]], limit: int, *, as_json: bool, empty: str
) -> None:
    """Print so many rows, and tell people that there are more."""
    show(columns, islice(rows, limit), as_json=as_json, empty=empty)
    if not as_json and next(rows, None) is not None:
        say(f"there are more than these {limit}: --limit shows them")


def show_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print names and values, one a line, or all of them as one line of JSON."""
    if as_json:
        say_json(facts)
        return
    _say_facts((name, cell(value, longest=10 * LONGEST)) for name, value in facts.items())


def _say_facts(facts: Iterable[tuple[str, str]]) -> None:
    facts = tuple(facts)
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        say(f"{name.ljust(width)}  {value}".rstrip())


def say_done(as_json: bool, said: str, **facts: object) -> None:  # noqa: FBT001 -- as the commands hand it on
    """Print what was done to what."""
    if as_json:
        say_json(facts | {"said": said})
    else:
        say(" ".join(map(str, facts.values())) + f": {said}")
    flush()


def cell(value: Any, *, longest: int = LONGEST) -> str:
    """Return a value as short text on one line."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
    text = printable(value if isinstance(value, str) else _plain(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, float) and abs(value) < PLAIN:
        return f"{value:f}".rstrip("0").rstrip(".")  # no exponent: seconds and amounts
    if isinstance(value, bool | int | float):
        return str(value)
    return encoded(value).decode()


def printable(text: object) -> str:
    """Return text that a terminal shows as it is: no control characters, one line."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def described(value: Any) -> dict[str, Any]:
    """Return a struct's fields as plain data."""
    fields: dict[str, Any] = {
        name: msgspec.to_builtins(getattr(value, name)) for name in value.__struct_fields__
    }
    return fields


def encoded(value: Any) -> bytes:
    """Return a value as JSON, or its `repr` as a JSON text."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        return msgspec.json.encode(repr(value))
