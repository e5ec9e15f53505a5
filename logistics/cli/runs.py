"""Commands that show runs: a list of them, and one with its steps and their times."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.queue.events import JobUnresolved
from actors.workflow.events import PlanRecorded, RunCreated
from actors.workflow.specs import RunStatus
from logistics.audit.narrowing import narrowed
from logistics.audit.store_reader import StoreReader
from logistics.cli.looking import Looking
from logistics.cli.options import (
    JsonOption,
    LimitOption,
    ProjectOption,
    SessionOption,
    StoreOption,
    spelled,
)
from logistics.cli.output import say, say_json, show, show_facts, show_first
from logistics.orchestration.listing import ENDS, clues_of, under_way
from logistics.orchestration.run import run_status, standing
from logistics.orchestration.timeline import timeline_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actors.runtime.messages import Event
    from actors.workflow.messages import RunView
    from actors.workflow.specs import Plan
    from logistics.audit.past import RecordedEvent
    from logistics.orchestration.timeline import StepTimeline

COLUMNS = ("step", "status", "queued", "started", "ended", "tries", "seconds", "error")
OF_LISTS = (*COLUMNS[:-1], "items", "error")
"""Where a step is mapped over a list."""


def runs(
    *,
    name: Annotated[str | None, typer.Option(help="Of this workflow only.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only those that stand so: running, waiting, paused, parked, failed, …")
    ] = None,
    session: SessionOption = None,
    project: ProjectOption = None,
    limit: LimitOption = 100,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List runs, newest first, ended or not."""
    with StoreReader(store) as reader:
        wanted = None if status is None else run_status(spelled(status, RunStatus))
        looking = Looking("runs looked at")
        rows = (
            row
            for row in _rows(reader, wanted, looking, workflow=name, session=session, project=project)
            if wanted in (None, row["status"])
        )
        columns = ("run_id", "workflow", "status", "started", "ended", "error")
        show_first(columns, looking.found(rows), limit, as_json=json, empty="no runs")


def _rows(
    reader: StoreReader, status: RunStatus | None, looking: Looking, **wanted: str | None
) -> Iterator[dict[str, Any]]:
    live = _Live(reader)
    said = {key: value for key, value in wanted.items() if value is not None}
    if status is None or status in ENDS:
        clues = clues_of(status, *said.values())
        found = narrowed(reader.entities("run:"), clues, reader.entities_with)
    else:
        found = under_way(live.statuses)
    for entity in looking.at(found):
        row = _row(reader, entity.removeprefix("run:"), live)
        if row is not None and said.items() <= row.items():
            yield row


class _Live:
    """Where runs stand that have not ended: the state is folded once, if it is asked for."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    @cached_property
    def statuses(self) -> dict[str, str]:
        """By their ids."""
        return {run_id: status for run_id, (status, _) in self._runs.items()}

    @cached_property
    def _runs(self) -> dict[str, tuple[str, RunView]]:
        view = self._reader.as_of()
        return {run.run_id: (str(standing(run, view.ask)), run) for run in view.runs()}

    def error(self, run_id: str) -> str | None:
        """Return why a run is parked; None for one that is not."""
        status, run = self._runs.get(run_id, ("RUNNING", None))
        if run is None or status != RunStatus.PARKED:
            return None
        past = (each.event for each in reversed(self._reader.of(f"job:{run.owed[0]}")))
        return next((event.error for event in past if isinstance(event, JobUnresolved)), None)

    def status(self, run_id: str) -> str:
        """Return it; a run that has ended since the log was read was running then."""
        return self.statuses.get(run_id, "RUNNING")


def _row(reader: StoreReader, run_id: str, live: _Live) -> dict[str, Any] | None:
    begun = reader.first_of(f"run:{run_id}")
    if begun is None or not isinstance(begun.event, RunCreated):
        return None
    end = _end(reader, run_id)
    return {
        "run_id": run_id,
        "workflow": begun.event.workflow,
        "status": live.status(run_id) if end is None else end.tag.removeprefix("run.").upper(),
        "started": begun.recorded_at,
        "ended": None if end is None else end.recorded_at,
        "error": live.error(run_id) if end is None else getattr(end.event, "error", None) or None,
        "session": begun.event.session_id or None,
        "project": begun.event.project or None,
        "parent": begun.event.parent or None,
        "origin": begun.event.origin or None,
    }


def _end(reader: StoreReader, run_id: str) -> RecordedEvent | None:
    """Return the event that ended a run: not always the last one."""
    last = reader.last_of(f"run:{run_id}")
    past = [last] if last is not None and _is_final(last) else reader.of(f"run:{run_id}")
    return next((each for each in past if each is not None and _is_final(each)), None)


def _is_final(recorded: RecordedEvent) -> bool:
    return recorded.event is not None and recorded.event.final


def show_run(reader: StoreReader, run_id: str, *, as_json: bool) -> bool:
    """Show a run and its steps; whether there is one whose beginning is understood."""
    row = _row(reader, run_id, _Live(reader))
    events = [each.event for each in reader.of(f"run:{run_id}") if each.event is not None]
    plan = _plan(reader, events)
    if row is None or plan is None:
        return False

    def jobs(steps: Sequence[int]) -> Iterable[tuple[int, Sequence[Event]]]:
        for step in steps:
            past = reader.of(f"job:{run_id}.{step}")
            yield step, [each.event for each in past if each.event is not None]

    steps = [_step(each) for each in timeline_of(plan, events, jobs)]
    if as_json:
        say_json(row | {"steps": steps})
    else:
        show_facts({key: value for key, value in row.items() if value is not None}, as_json=False)
        say("")
        mapped = any(step["items"] is not None for step in steps)
        show(
            OF_LISTS if mapped else COLUMNS,
            (step | {"tries": len(step["attempts"]) or None, "items": _counted(step)} for step in steps),
            as_json=False,
            empty="no steps",
        )
    return True


def _counted(step: dict[str, Any]) -> str | None:
    """Return how many of a step's items have ended, of how many."""
    return None if step["items"] is None else f"{step['items_ended']}/{step['items']}"


def _plan(reader: StoreReader, events: Sequence[Event]) -> Plan | None:
    created = events[0] if events else None
    recorded = reader.first_of(f"plan:{created.plan_id}") if isinstance(created, RunCreated) else None
    return recorded.event.plan if recorded is not None and isinstance(recorded.event, PlanRecorded) else None


def _step(step: StepTimeline) -> dict[str, Any]:
    lasted = step.ended_at - step.started_at if step.ended_at and step.started_at else None
    return {
        "step": step.name,
        "status": str(step.status),
        "queued": step.queued_at,
        "started": step.started_at,
        "ended": step.ended_at,
        "seconds": None if lasted is None else round(lasted.total_seconds(), 6),
        "items": step.items,
        "items_ended": step.items_ended if step.items is not None else None,
        "attempts": [
            {
                "number": each.number,
                "started": each.started_at,
                "ended": each.ended_at,
                "outcome": each.outcome,
                "error": each.error,
            }
            for each in step.attempts
        ],
        "error": step.error,
    }
