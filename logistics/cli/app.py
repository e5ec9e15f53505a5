"""The commands, as typer wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from logistics.cli.inspection import show_graph, validate_files
from logistics.cli.runner import Request, run_file
from logistics.orchestration.stores import package_version

# `click.ClickException`, or what took its place where typer brings its own copy of click.
UsageProblem: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


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
    json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")] = False,
) -> int:
    """Run a workflow from a file, to its end.

    The same command again, after a kill or a crash, goes on where the first one was.
    """
    return run_file(Request(file, tuple(param or ()), output, store, json), context.obj)


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Workflows: .toml, .json or .yaml files.")
    ],
) -> int:
    """Check workflows: the files, their functions, and that everything a step needs can be given to it.

    Nothing is run, and no store is touched, but the modules of the functions are imported.
    """
    return validate_files(files)


@app.command()
def graph(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow: a .toml, .json or .yaml file.")],
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it in the language of Mermaid.")] = False,
) -> int:
    """Show the steps of a workflow, and what waits for what."""
    return show_graph(file, as_mermaid=mermaid)
