"""Running a workflow from a file: its parameters, its store, its progress and its end."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console

from actors.runtime.errors import InputError
from eventstore.errors import LogisticsError
from logistics.cli.options import StoreOption
from logistics.cli.progress import progress_of
from logistics.cli.report import as_json, show
from logistics.inputs import check_name
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.files import read_files
from logistics.orchestration.importing import import_functions
from logistics.orchestration.parameters import run_parameters
from logistics.orchestration.running import begin_run, check_session
from logistics.orchestration.workflow_manager import WorkflowManager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logistics.cli.interrupts import Interrupts

OUTPUT = "output"
"""The parameter that `--output` sets."""
HURRY_S = 0.2
"""Grace for running functions when somebody wants to be out: they are executed again."""


class Request(NamedTuple):
    """What the command line asks for."""

    file: Path
    params: tuple[str, ...]
    output: Path | None
    store: Path | None
    json: bool
    session: str | None = None
    project: str | None = None
    subject: str | None = None


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
    store: StoreOption = None,
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


def run_file(request: Request, interrupts: Interrupts) -> int:
    """Run the workflow; return 0 if it succeeded, 1 if not; `LogisticsError` if it could not be begun."""
    errors = Console(stderr=True)
    files = read_files(request.file)
    given = _given(request)
    run_parameters(files[0], given)
    for file in files:  # before the store is opened: steps that were cut off go on at once
        import_functions(file)
    with interrupts.held_back(), _opened(request.store) as engine:
        session_id = check_session(engine, request.session)
        workflow = WorkflowManager(engine).load(request.file)
        engine.store.serve(
            run_file,
            frozenset(step.options.queue for file in files for step in file.steps if step.options.queue),
        )
        run = begin_run(
            engine,
            workflow.name,
            given,
            blocking=True,
            session_id=session_id,
            project=request.project or "",
            subject="" if request.subject is None else check_name("subject", request.subject),
        )
        if run.adopted:
            errors.print(
                f"going on with the run of {run.started_at:%Y-%m-%d %H:%M:%S} UTC, which was cut off"
            )
        try:
            with progress_of(engine, run, errors, quiet=request.json), interrupts.released():
                run.wait(None)
            result = run.read()
        except LogisticsError as error:
            errors.print(
                f"logistics: run {run.run_id} was not seen to its end: {error}", markup=False, soft_wrap=True
            )
            return 1
    if request.json:
        sys.stdout.write(f"{as_json(result)}\n")
    else:
        show(result, errors)
    return 0 if result.success else 1


def _given(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in request.params:
        name, equals, value = text.partition("=")
        if not equals or not name:
            msg = f"--param: expected NAME=VALUE, got {text!r}"
            raise InputError(msg)
        if name in given:
            msg = f"--param: {name!r} is given twice"
            raise InputError(msg)
        given[name] = value
    if request.output is not None:
        if OUTPUT in given:
            msg = f"--output: the parameter {OUTPUT!r} is given by --param, too"
            raise InputError(msg)
        given[OUTPUT] = str(request.output.expanduser().absolute())
    return given


@contextmanager
def _opened(store: Path | None) -> Iterator[OrchestrationEngine]:
    engine = OrchestrationEngine(store)
    try:
        yield engine
    except BaseException:
        engine.close(HURRY_S)
        raise
    engine.close()
