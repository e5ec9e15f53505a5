"""What a queue counts, and what it keeps although all of its jobs have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actors.queue.specs import JobStatus
    from actors.queue.state import QueueState

OF_LIVE_JOBS: Final = (
    "jobs",
    "running",
    "zombies",
    "outlived",
    "leases",
    "expiries",
    "deadlines",
    "pulses",
    "suspects",
    "unresolved",
    "dependents",
)
"""What a queue remembers of jobs that have not ended."""


def counts_of(state: QueueState) -> dict[tuple[str, JobStatus], int]:
    """Return how many jobs of which queue are said to be in which status."""
    return {
        (line.name, status): count
        for line in state.lines.values()
        for status, count in line.counts.items()
        if count
    }


def leftovers_of(state: QueueState) -> dict[str, object]:
    """Return what is still remembered, or held, of jobs."""
    left = {name: kept for name in OF_LIVE_JOBS if (kept := getattr(state, name))}
    lanes = [lane.kind.values for lane in state.hall.lanes.values() if lane.size]
    gates = [
        (line.name, gate.running)
        for line in state.lines.values()
        for gate in (line.gate, *line.gates.values())
        if gate is not None and gate.running
    ]
    held = [name for name in state.resources.capacity if state.resources.used(name)]
    return left | {name: kept for name, kept in (("lanes", lanes), ("gates", gates), ("held", held)) if kept}
