"""The commands, as typer wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from logistics.cli import (
    auditing,
    benching,
    copying,
    describing,
    doctoring,
    erasing,
    explaining,
    places,
    queueing,
    reading,
    rehearsing,
    retaining,
)
from logistics.cli.groups import Listing
from logistics.cli.inspection import show_graph, validate_files
from logistics.cli.options import JsonOption
from logistics.cli.ordering import register as register_orders
from logistics.cli.runner import Request, run_file
from logistics.cli.schedules import Apply, Preview
from logistics.cli.schedules import apply as apply_file
from logistics.cli.schedules import preview as show_preview
from logistics.cli.timetable import list_schedules
from logistics.orchestration.stores import package_version

# `click.ClickException`, or what took its place where typer brings its own copy of click.
UsageProblem: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
schedules = typer.Typer(cls=Listing, help="The schedules of a store.")
app.add_typer(schedules, name="schedules")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if wanted:
        typer.echo(f"logistics {package_version()}")
        raise typer.Exit


@app.callback()
def logistics(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Durable workflows in one process and one folder."""


@app.command()
def run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow: a .toml, .json or .yaml file.")],
    *,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the run; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The parameter 'output', as an absolute path.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The store's folder; else $LOGISTICS_HOME, else .logistics here."),
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="The session whose run it is; its limits are obeyed.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="The project that the run is recorded under.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose data it is about: what it gets and says can be erased."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")] = False,
) -> int:
    """Run a workflow from a file, to its end.

    The same command again, after a kill or a crash, goes on where the first one was.
    """
    return run_file(
        Request(file, tuple(param or ()), output, store, json, session, project, subject), context.obj
    )


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Workflows: .toml, .json or .yaml files.")
    ],
    *,
    json: JsonOption = False,
) -> int:
    """Check workflows: the files, their functions, and that everything a step needs can be given to it.

    Nothing is run, and no store is touched, but the modules of the functions are imported.
    """
    return validate_files(files, as_json=json)


@app.command()
def graph(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow: a .toml, .json or .yaml file.")],
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it in the language of Mermaid.")] = False,
    json: JsonOption = False,
) -> int:
    """Show the steps of a workflow, and what waits for what."""
    return show_graph(file, as_mermaid=mermaid, as_json=json)


@app.command()
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


@schedules.command()
def apply(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The schedules: a .toml, .json or .yaml file.")
    ],
    *,
    store: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The store's folder; else $LOGISTICS_HOME, else .logistics here."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
) -> int:
    """Make a file's schedules all that its group has: create, change, remove, all or nothing.

    What changes is printed first. Functions beside the file are found.
    """
    return apply_file(Apply(file, store, dry_run, json))


for commands in (
    reading,
    queueing,
    places,
    explaining,
    rehearsing,
    auditing,
    doctoring,
    copying,
    retaining,
    erasing,
    describing,
    benching,
):
    commands.register(app)
schedules.command(name="list")(list_schedules)
register_orders(schedules)
