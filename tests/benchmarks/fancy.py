"""The table drawn with rich, for a terminal; imported only where rich is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

LEFT_COLUMNS = 3
STYLES = {"yes": "green", "NO": "bold red", "?": "yellow"}


def show(header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str]) -> None:
    """Draw the rows under the header, and the notes below."""
    table = Table(header_style="bold")
    for column, title in enumerate(header):
        table.add_column(title, justify="left" if column < LEFT_COLUMNS else "right", no_wrap=True)
    for row in rows:
        *cells, verdict = row
        coloured = " ".join(f"[{STYLES.get(each, 'dim')}]{each}[/]" for each in verdict.split())
        table.add_row(*cells, coloured, end_section=False)
    console = Console()
    if console.width < console.measure(table).maximum:
        console = Console(width=console.measure(table).maximum)
    console.print(table)
    for note in notes:
        console.print(note, style="dim", markup=False, highlight=False)
