"""What a run came to, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from logistics.cli.output import encoded, printable, say, say_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from logistics.orchestration.result import WorkflowResult

SHORT = 24
"""Rows that a table shows at most."""
SHORT_TEXT = 200


def show(result: WorkflowResult, errors: Console) -> None:
    """Print where the result is, and a short table.

    An output that is a dict may have `files`, a list of paths, and `table`, a dict of `columns` and `rows`;
    of any other the steps are shown.
    """
    words = f"{result.name}: {result.status.lower()} in {result.duration:.1f} s"
    if result.success:
        say(words)
    else:
        errors.print(Text(printable(" ".join(f"{words}: {result.error}".split()))), soft_wrap=True)
    output = result.output if isinstance(result.output, dict) else {}
    for path in _texts(output.get("files")):
        say(path)
    table = output.get("table")
    if result.success and isinstance(table, dict):
        _say_table(_texts(table.get("columns")), table.get("rows") or [])
    else:
        _say_steps(result)
        if result.success and not output and result.output is not None:
            say(f"output: {_shortened(result.output)}")


def _texts(value: Any) -> list[str]:
    return [printable(each) for each in value] if isinstance(value, list | tuple) else []


def _say_table(columns: Sequence[str], rows: Sequence[Any]) -> None:
    texts = [_texts(row) for row in rows[:SHORT]]
    count = max(len(columns), *map(len, texts), 0)
    say_table([*columns, *[""] * count][:count], ([*row, *[""] * count][:count] for row in texts))
    if len(rows) > SHORT:
        say(f"… and {len(rows) - SHORT} more")


def _say_steps(result: WorkflowResult) -> None:
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
    _say_table(("step", "status", "tries", "seconds", "error"), rows)


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
