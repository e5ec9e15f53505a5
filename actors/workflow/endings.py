"""How a run has ended, for who asks when memory may have forgotten it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from actors.workflow.events import RunCancelled, RunCompleted, RunFailed
from actors.workflow.specs import RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.messages import Context, Event
    from actors.workflow.state import SupervisorState

ENDINGS: Mapping[type[Event], RunStatus] = MappingProxyType(
    {
        RunCompleted: RunStatus.COMPLETED,
        RunFailed: RunStatus.FAILED,
        RunCancelled: RunStatus.CANCELLED,
    }
)


def ending_of(state: SupervisorState, run_id: str, context: Context) -> RunStatus | None:
    """Return how a run has ended, as memory or the log knows; None if neither says that it has."""
    known = context.known.get(f"run:{run_id}")
    status = state.retired.get(run_id)
    if known is not None and status is None:
        final = next((event for event in reversed(known.history) if event.final), None)
        status = None if final is None else ENDINGS[type(final)]
    return status
