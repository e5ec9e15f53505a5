"""Jobs on record, read from the log: one after the other, and what happened to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from logistics.inputs import as_datetime
from logistics.orchestration.reading import entities, history
from logistics.task.record import read_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from actors.runtime.messages import Event
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.task.job import Job


class JobEntry(NamedTuple):
    """One thing that happened to a job."""

    at: datetime | None
    """When; `None` where only the order is known."""
    event: str
    """The event's name: `job.started`."""
    attempt: int | None
    detail: str
    """An error, or a reason; empty for none."""


def jobs_on_record(engine: OrchestrationEngine, queue: str, after: str | None) -> Iterator[Job]:
    """Yield the jobs of a queue, newest first, each read only when its turn comes."""
    for entity in entities(engine, "job:", before=None if after is None else f"job:{after}"):
        events = history(engine, entity)
        if events:
            job = read_job(events, engine.functions)
            if job.queue == queue:
                yield job


def entry(event: Event) -> JobEntry:
    """Return an event as a line of a job's history."""
    at_us = getattr(event, "at_us", None)
    return JobEntry(
        None if at_us is None else as_datetime(at_us),
        str(type(event).__struct_config__.tag),
        getattr(event, "attempt", None),
        getattr(event, "error", "") or getattr(event, "reason", ""),
    )
