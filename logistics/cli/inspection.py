"""Looking at workflows in files without running them: whether they make sense, and what they look like."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logistics.cli.options import JsonOption
from logistics.cli.output import say_json
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.picture import drawing, mermaid
from logistics.orchestration.plan import edges_of
from logistics.orchestration.running import known_workflow
from logistics.orchestration.workflow_manager import WorkflowManager

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def graph(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow: a .toml, .json or .yaml file.")],
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it in the language of Mermaid.")] = False,
    json: JsonOption = False,
) -> int:
    """Show the steps of a workflow, and what waits for what."""
    return show_graph(file, as_mermaid=mermaid, as_json=json)


def validate_files(files: Sequence[Path], *, as_json: bool = False) -> int:
    """Check workflows as a run would, and print a line for each; `LogisticsError` for the first that is none."""
    with OrchestrationEngine(":memory:", workers=1) as engine:
        manager = WorkflowManager(engine)
        for file, workflow in [(file, manager.load(file)) for file in files]:
            prepared = workflow.prepared()
            params = frozenset(each.name for each in prepared.definition.params or ())
            prepared.plan(params, lambda name: known_workflow(engine, name))
            if as_json:
                facts = {"file": str(file), "workflow": workflow.name, "steps": list(workflow.steps)}
                say_json(facts | {"fingerprint": workflow.fingerprint})
            else:
                words = f"{workflow.name}: {len(workflow.steps)} steps, {workflow.fingerprint}"
                sys.stdout.write(f"{words}\n")
    return 0


def show_graph(file: Path, *, as_mermaid: bool, as_json: bool = False) -> int:
    """Print a workflow's graph."""
    with OrchestrationEngine(":memory:", workers=1) as engine:
        definition = WorkflowManager(engine).load(file).prepared().definition
    edges = edges_of(definition)
    if as_json:
        steps = [{"name": step.name, "depends_on": list(edges[step.name])} for step in definition.steps]
        say_json({"workflow": definition.name, "steps": steps})
    else:
        sys.stdout.write((mermaid if as_mermaid else drawing)(definition, edges))
    return 0
