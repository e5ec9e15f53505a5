"""What belongs to a run: everything that has to go with it so that it can be looked into elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import UnknownIdError
from actors.workflow.events import RunCreated, RunForked, StepCompleted, StepWaiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logistics.audit.past import Past, RecordedEvent

PARTS = ("job", "run", "signal")
"""What has an id that begins with the run's."""


def entities_of_run(past: Past, run_id: str) -> set[str]:
    """Return whose events a run needs. `UnknownIdError`.

    Its own, those of its jobs, of the runs that its steps are, and of what was sent to these; the plans and workflows,
    the session and the project; and what it has outputs of: runs that it waited for, the run that it is a fork of,
    calls that were found again.
    """
    if past.first_of(f"run:{run_id}") is None:
        msg = f"no run on record has the id {run_id!r}"
        raise UnknownIdError(msg)
    found: set[str] = set()
    runs = [run_id]
    while runs:
        one = runs.pop()
        if f"run:{one}" in found:
            continue
        found.add(f"run:{one}")
        for part in PARTS:
            found |= {entity for entity in past.entities(f"{part}:{one}.") if part != "run"}
        runs += [entity.removeprefix("run:") for entity in past.entities(f"run:{one}.")]
        for event in past.of(f"run:{one}"):
            for entity in _needed(event):
                if entity.startswith("run:"):
                    runs.append(entity.removeprefix("run:"))
                else:
                    found.add(entity)
    return found


def _needed(recorded: RecordedEvent) -> Iterator[str]:
    """Yield what an event of a run refers to."""
    event = recorded.event
    if isinstance(event, RunCreated):
        yield from (f"plan:{event.plan_id}", f"workflow:{event.workflow}")
        if event.session_id:
            yield f"session:{event.session_id}"
        if event.project:
            yield f"project:{event.project}"
        if event.origin:
            yield f"run:{event.origin}"
    elif isinstance(event, RunForked):
        for kept in event.kept:
            yield from (f"{part}:{kept.source}" for part in PARTS)
    elif isinstance(event, StepWaiting) and event.other:
        yield f"run:{event.other}"
    elif isinstance(event, StepCompleted) and event.cached:
        yield f"job:{event.cached}"
