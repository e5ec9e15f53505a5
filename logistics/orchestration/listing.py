"""Which runs on record are looked at when some are meant: those that go on, or those of which the log says enough."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from actors.workflow.events import RunCancelled, RunCompleted, RunCreated, RunFailed
from actors.workflow.messages import GetRuns
from actors.workflow.specs import RunStatus
from logistics.audit.narrowing import clue
from logistics.orchestration.reading import likely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.runtime.messages import Event
    from logistics.audit.narrowing import Clue
    from logistics.orchestration.engine import OrchestrationEngine

ENDS: Mapping[RunStatus | None, type[Event]] = MappingProxyType(
    {
        RunStatus.COMPLETED: RunCompleted,
        RunStatus.FAILED: RunFailed,
        RunStatus.CANCELLED: RunCancelled,
    }
)
"""The event that leaves a run so, for good."""


def clues_of(status: RunStatus | None, *said: str | None) -> list[Clue]:
    """Return what the log says of each run that stands so and had all this said of it when it began."""
    clues = [clue((RunCreated,), text) for text in said if text]
    return [*clues, clue((ENDS[status],))] if status in ENDS else clues


def under_way(run_ids: Iterable[str], *, before: str | None = None) -> Iterator[str]:
    """Yield the entities of runs that have not ended, in the order of lists: new ones before old ones."""
    found = sorted((f"run:{run_id}" for run_id in run_ids), reverse=True)
    return (each for each in found if before is None or each < before)


def runs_on_record(
    engine: OrchestrationEngine, status: RunStatus | None, *said: str | None, after: str | None
) -> Iterator[str]:
    """Yield the entities of runs, new ones before old ones, that may stand so and have this said of them."""
    if status is None or status in ENDS:
        yield from likely(engine, "run:", clues_of(status, *said), after=after)
    else:
        before = None if after is None else f"run:{after}"
        yield from under_way(engine.query("supervisor", GetRuns()), before=before)
