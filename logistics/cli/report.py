"""What a run came to, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from logistics.cli.output import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from logistics.orchestration.result import WorkflowResult

SHORT = 24
"""Rows that a table shows at most."""
SHORT_TEXT = 200


def show(result: WorkflowResult, console: Console, errors: Console) -> None:
    """Print where the result is, and a short table.

    An output that is a dict may have `files`, a list of paths, and `table`, a dict of `columns` and `rows`;
    of any other the steps are shown.
    """
    words = f"{result.name}: {result.status.lower()} in {result.duration:.1f} s"
    _say(console if result.success else errors, words if result.success else f"{words}: {result.error}")
    output = result.output if isinstance(result.output, dict) else {}
    for path in _texts(output.get("files")):
        _say(console, path)
    table = output.get("table")
    if result.success and isinstance(table, dict):
        console.print(_table(_texts(table.get("columns")), table.get("rows") or []))
    else:
        console.print(_steps(result))
        if result.success and not output and result.output is not None:
            _say(console, f"output: {_shortened(result.output)}")


def _say(console: Console, text: str) -> None:
    console.print(Text(" ".join(text.split())), soft_wrap=True)


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _table(columns: Iterable[str], rows: Sequence[Any]) -> Table:
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows[:SHORT]:
        table.add_row(*(Text(text) for text in _texts(row)))
    if len(rows) > SHORT:
        table.add_row(Text(f"… and {len(rows) - SHORT} more"))
    return table


def _steps(result: WorkflowResult) -> Table:
    rows = [
        (
            name,
            step.status.lower(),
            step.attempts or "",
            f"{(step.ended_at - step.started_at).total_seconds():.2f}"
            if step.started_at and step.ended_at
            else "",
            _shortened(step.error or "", plain=True),
        )
        for name, step in result.steps.items()
    ]
    return _table(("step", "status", "tries", "seconds", "error"), rows)


def _shortened(value: Any, *, plain: bool = False) -> str:
    text = str(value) if plain else encoded(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= SHORT_TEXT else text[: SHORT_TEXT - 1] + "…"


def as_json(result: WorkflowResult) -> str:
    """Return the result as one line of JSON; what JSON has no form for is given as Python writes it."""
    data = {
        "run_id": result.run_id,
        "name": result.name,
        "status": result.status,
        "success": result.success,
        "adopted": result.adopted,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        "duration_s": result.duration,
        "error": result.error,
        "output": msgspec.Raw(encoded(result.output)),
        "steps": {
            name: {
                "status": step.status,
                "attempts": step.attempts,
                "started_at": step.started_at,
                "ended_at": step.ended_at,
                "error": step.error,
            }
            for name, step in result.steps.items()
        },
    }
    return msgspec.json.encode(data).decode()
