"""Schedules on the command line: what an expression comes to, and a file of schedules made the store's own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.clock.zones import instant_of, to_datetime
from actors.runtime.errors import InputError
from actors.schedule.firing import next_fires
from logistics.cli.options import StoreOption, span_of
from logistics.cli.output import say_rows
from logistics.inputs import check_int
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.definition import HASHED
from logistics.schedule.expression import CronExpression
from logistics.schedule.files import load_schedules
from logistics.schedule.manager import ScheduleManager
from logistics.schedule.timezone import TimezoneManager
from logistics.whereabouts import MEMORY, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.schedule.spec import Firing

MOST = 10_000
WIDTH = 100
"""Columns that a table of runs needs, in a pipe too."""
COLOURS = (("gap", "yellow"), ("fold", "cyan"))
SIGNS = (("created", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))


def preview(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="A cron expression, in quotes.")],
    *,
    timezone: Annotated[str, typer.Option("--tz", metavar="ZONE", help="Its zone.")] = "UTC",
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From when on; now, if left out.")
    ] = None,
    count: Annotated[int, typer.Option("-n", metavar="N", help="How many runs.")] = 10,
    gap: Annotated[
        str, typer.Option(metavar="RULE", help="shift_forward, preserve_offset or skip.")
    ] = "shift_forward",
    fold: Annotated[str, typer.Option(metavar="RULE", help="first, second or both.")] = "first",
    apply_to_intervals: Annotated[
        bool, typer.Option("--apply-to-intervals", help="Have these rules count for interval jobs, too.")
    ] = False,
    seconds: Annotated[bool, typer.Option("--seconds", help="Six fields, seconds first.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> int:
    """Show when a cron expression runs, and which runs a gap or a fold of the zone touches."""
    return show_preview(
        Preview(expression, timezone, begin, count, gap, fold, apply_to_intervals, seconds, json)
    )


class Preview(NamedTuple):
    """What the command line asks for."""

    expression: str
    timezone: str
    begin: str | None
    number: int
    gap: str
    fold: str
    apply_to_intervals: bool
    seconds: bool
    json: bool


def show_preview(request: Preview) -> int:
    """Show when an expression runs next, and which of these runs a gap or a fold touches."""
    expression = CronExpression(
        request.expression,
        timezone=request.timezone,
        gap=request.gap,  # type: ignore[arg-type]  # it is checked there
        fold=request.fold,  # type: ignore[arg-type]
        apply_to_intervals=request.apply_to_intervals,
        seconds="first" if request.seconds else None,
        hash_name="preview" if HASHED.search(request.expression) else None,
    )
    count = check_int("-n", request.number, least=1, most=MOST)
    zone = TimezoneManager(request.timezone)
    begin = zone.now() if request.begin is None else moment_of(request.begin, zone, "--from")
    # The moment itself counts: whoever asks from midnight on wants to see a run at midnight.
    firings = next_fires(expression.spec, instant_of(begin) - 1, count)
    if request.json:
        say_rows(_as_data(request.timezone, each) for each in firings)
    else:
        Console(width=max(Console().width, WIDTH)).print(_table(request.timezone, firings))
    return 0


def moment_of(text: str, zone: TimezoneManager, option: str) -> datetime:
    """Return the moment that an option names, in this zone unless it says so itself; `InputError`.

    A span of time is so long ago.
    """
    try:
        span = span_of(text)
        moment = datetime.fromisoformat(text) if span is None else zone.now() - span
    except (ValueError, OverflowError) as error:
        msg = f"{option}: expected a date, a date and time such as 2027-03-01T12:00, or a span like 7d, got {text!r}"
        raise InputError(msg) from error
    return zone.localize(moment, gap="shift_forward") if moment.tzinfo is None else moment


def _as_data(zone: str, firing: Firing) -> dict[str, str]:
    shown = to_datetime(zone, firing.at_us)
    return {
        "at": shown.isoformat(),
        "utc": to_datetime("UTC", firing.at_us).isoformat(),
        "rule": firing.rule,
    }


def _table(zone: str, firings: tuple[Firing, ...]) -> Table:
    table = Table("", f"time in {zone}", "offset", "UTC", "rule", box=box.SIMPLE_HEAD)
    for number, firing in enumerate(firings, 1):
        at = to_datetime(zone, firing.at_us)
        row = (
            str(number),
            f"{at:%a %Y-%m-%d %H:%M:%S}",
            f"{at:%z}",
            f"{to_datetime('UTC', firing.at_us):%Y-%m-%d %H:%M:%S}",
            firing.rule,
        )
        style = next((colour for kind, colour in COLOURS if firing.rule.startswith(kind)), "")
        table.add_row(*(Text(cell) for cell in row), style=style)
    return table


def apply(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The schedules: a .toml, .json or .yaml file.")
    ],
    *,
    store: StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
) -> int:
    """Make a file's schedules all that its group has: create, change, remove, all or nothing.

    What changes is printed first. Functions beside the file are found.
    """
    return apply_file(Apply(file, store, dry_run, json))


class Apply(NamedTuple):
    """What the command line asks for."""

    file: Path
    store: Path | None
    dry_run: bool
    json: bool


def apply_file(request: Apply) -> int:
    """Say how a file of schedules differs from what the store has, then make it so; all or nothing."""
    is_new = refuse_mistakes((request.file,), request.store)
    with OrchestrationEngine(MEMORY if is_new and request.dry_run else request.store) as engine:
        apply_to(engine, request)
    return 0


def refuse_mistakes(files: Iterable[Path], store: Path | None) -> bool:
    """Read files of schedules before a store is made for them; whether one would be."""
    if Path(resolve(store)).exists():
        return False
    with OrchestrationEngine(MEMORY, workers=1) as engine:
        for file in files:
            load_schedules(file, engine)
    return True


def apply_to(engine: OrchestrationEngine, request: Apply) -> None:
    """Do so on an open store."""
    file = load_schedules(request.file, engine)
    manager = ScheduleManager(file.timezone, engine=engine)
    changes = manager.apply(file.name, file.definitions, dry_run=True)
    if request.json:
        say_rows({"name": each.name, "change": each.change} for each in changes)
    else:
        _show({each.name: each.change for each in changes}, Console())
    if not request.dry_run:
        manager.apply(file.name, file.definitions)


def _show(changes: dict[str, str], console: Console) -> None:
    for wanted, sign, colour in SIGNS:
        for name, change in changes.items():
            if change == wanted:
                console.print(Text(f"{sign} {name}: {change}", style=colour), soft_wrap=True)
    same = sum(change == "unchanged" for change in changes.values())
    console.print(Text(f"{same} unchanged"), soft_wrap=True)
