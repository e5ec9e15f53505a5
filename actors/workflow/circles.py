"""Runs that wait for each other: none of them would ever end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.workflow.run import Run
    from actors.workflow.state import SupervisorState


def lineage(state: SupervisorState, run: Run | None) -> Iterator[str]:
    """Yield a run, the one whose step it is, and so on: none of them ends before it does."""
    while run is not None:
        yield run.run_id
        run = state.runs.get(run.extras.parent)


def held_up(state: SupervisorState, run_id: str) -> Iterator[str]:
    """Yield every run that waits for a run without a limit of time, or for one that does, each once."""
    seen, stack = {run_id}, [run_id]
    while stack:
        for other, step, _ in state.awaited.get(stack.pop(), ()):
            if other not in seen and not state.runs[other].extras.waits.get(step):
                seen.add(other)
                stack.append(other)
                yield other
