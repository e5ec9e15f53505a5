"""Tables for people: page by page as the rows come, and no narrower than what is of no use if it is cut."""

from __future__ import annotations

import os
import shutil
import sys
from itertools import islice
from typing import TYPE_CHECKING

from actors.runtime.later import Later

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich import cells
else:
    cells = Later("rich.cells")

PAGE = 500
"""Rows that are looked at together before they are shown: as wide as these need, the columns are."""
GAP = "  "
"""Between two columns."""
LEAST = 4
"""Characters that a column has at least: of its name no less is shown."""
LONG = 40
"""A word of more characters may be broken: no id is so long, and no time."""
PROSE = 4
"""Of so many words a text is prose, …"""
PROSE_WIDTH = 24
"""… which nobody wants to read in fewer characters to a line."""
BELOW = "    "
"""Before what has no room in its row and stands below it."""
RULE = "─"
"""What the line below the names is made of, where there is such a character."""
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def drawn(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table: as wide as the terminal is, and as wide as need be where there is none."""
    is_terminal = sys.stdout.isatty()
    bold = is_terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if is_terminal else None
    rest = iter(rows)
    before: tuple[int, ...] = ()
    while page := list(islice(rest, PAGE)):
        widths = fitted(columns, page, width, before)
        if widths != before:
            yield from _head(columns, widths, bold=bold)
        for row in page:
            yield from _row(columns, row, widths)
        before = widths


def fitted(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, before: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return how wide the columns of a table are that has so many characters in a line; None: as many as it wants.

    No word is cut but very long ones. The last columns, for which there is no room then, are left out, but never the
    first one, which says what it is. No column is narrower than `before`, if there is room.
    """
    wanted, least = [], []
    for name, *texts in zip(columns, *rows, strict=True):
        wanted.append(max(LEAST, *map(cells.cell_len, (name, *texts))))
        least.append(min(wanted[-1], max(LEAST, *map(_least, texts))))
    wanted[: len(before)] = map(max, wanted, before)
    if width is None:
        return tuple(wanted)
    room = 0
    for room in range(len(columns), 0, -1):
        if sum(least[:room]) + len(GAP) * (room - 1) <= width:
            break
    wanted = wanted[:room]
    for _ in range(sum(wanted) + len(GAP) * (room - 1) - width):
        able = [number for number, each in enumerate(wanted) if each > least[number]]
        if able:
            wanted[max(able, key=wanted.__getitem__)] -= 1
    return tuple(wanted)


def _least(text: str) -> int:
    """Return how many characters of a line a text needs to be of use."""
    words = text.split()
    widest = max(map(cells.cell_len, words), default=0)
    if widest > LONG:
        return PROSE_WIDTH
    return min(cells.cell_len(text), max(widest, PROSE_WIDTH)) if len(words) >= PROSE else widest


def _head(columns: Sequence[str], widths: Sequence[int], *, bold: bool) -> Iterator[str]:
    names = zip(columns, widths, strict=False)
    shown = GAP.join(_padded(_cut(name, width), width) for name, width in names).rstrip()
    yield f"{BOLD}{shown}{PLAIN}" if bold else shown
    yield _rule() * (sum(widths) + len(GAP) * (len(widths) - 1))


def _rule() -> str:
    try:
        RULE.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "-"
    return RULE


def _row(columns: Sequence[str], row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = [_wrapped(text, width) for text, width in zip(row, widths, strict=False)]
    for number in range(max(map(len, wrapped))):
        lines = (lines[number] if number < len(lines) else "" for lines in wrapped)
        yield GAP.join(map(_padded, lines, widths)).rstrip()
    for name, text in islice(zip(columns, row, strict=True), len(widths), None):
        if text:
            yield f"{BELOW}{name}: {text}"


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of so many characters, broken between words where that is possible."""
    if cells.cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".lstrip()
        if cells.cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += cells.chop_cells(word, width)
    return lines if lines[0] else lines[1:]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells.cell_len(text))


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
