"""Looking at workflows in files without running them: whether they make sense, and what they look like."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.picture import drawing, mermaid
from logistics.orchestration.plan import edges_of
from logistics.orchestration.running import known_workflow
from logistics.orchestration.workflow_manager import WorkflowManager

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def validate_files(files: Sequence[Path]) -> int:
    """Check workflows as a run would, and print a line for each; `LogisticsError` for the first that is none."""
    with OrchestrationEngine(":memory:", workers=1) as engine:
        manager = WorkflowManager(engine)
        for workflow in [manager.load(file) for file in files]:
            prepared = workflow.prepared()
            params = frozenset(each.name for each in prepared.definition.params or ())
            prepared.plan(params, lambda name: known_workflow(engine, name))
            words = f"{workflow.name}: {len(workflow.steps)} steps, {workflow.fingerprint}"
            sys.stdout.write(f"{words}\n")
    return 0


def show_graph(file: Path, *, as_mermaid: bool) -> int:
    """Print a workflow's graph."""
    with OrchestrationEngine(":memory:", workers=1) as engine:
        definition = WorkflowManager(engine).load(file).prepared().definition
    sys.stdout.write((mermaid if as_mermaid else drawing)(definition, edges_of(definition)))
    return 0
