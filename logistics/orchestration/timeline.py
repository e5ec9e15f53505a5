"""What happened to a run and when: each step with its tries, and everything on record, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from actors.queue.events import (
    AttemptInterrupted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobLeased,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
)
from actors.workflow.events import ItemsScheduled, StepScheduled, StepWaiting
from logistics.inputs import as_datetime
from logistics.orchestration.result import read_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from actors.runtime.messages import Event
    from actors.workflow.specs import Plan, StepStatus
    from logistics.orchestration.result import ReadJobs

OUTCOMES: Mapping[type[Event], str] = MappingProxyType(
    {
        JobCompleted: "completed",
        JobRetrying: "failed",
        JobFailed: "failed",
        JobCancelled: "cancelled",
        JobSnoozed: "snoozed",
        JobUnresolved: "unresolved",
        AttemptInterrupted: "interrupted",
    }
)


@dataclass(frozen=True, slots=True)
class StepAttempt:
    """One try of a step."""

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = "running"
    """`running`, `completed`, `failed`, `interrupted` (its process ended), `snoozed`, `unresolved` or `cancelled`."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StepTimeline:
    """A step of a run: when its turn came, when it began, when it ended, and each try."""

    name: str
    status: StepStatus
    queued_at: datetime | None
    """When its turn came: all that it needs had ended."""
    started_at: datetime | None
    """When its first try began, or its waiting, or the first item of its list was due."""
    ended_at: datetime | None
    attempts: tuple[StepAttempt, ...]
    """Oldest first. Of a step that is mapped over a list, or is a run, those of finding out what it is to do."""
    error: str | None
    items: int | None = None
    """How many items it is mapped over."""
    items_ended: int = 0


class RunEntry(NamedTuple):
    """One thing that happened to a run."""

    position: int
    """In the log."""
    at: datetime | None
    """When; `None` where only the order is known."""
    event: str
    """The event's name: `step.completed`, `job.started`."""
    step: str | None
    """The step that it is about."""
    part: str
    """The item of the step's list, or `undo` for its compensation; empty for neither."""
    attempt: int | None
    detail: str
    """An error, or a reason; empty for none."""


def timeline_of(plan: Plan, events: Sequence[Event], jobs: ReadJobs) -> list[StepTimeline]:
    """Return the steps of a run whose own events these are, in the workflow's order.

    `jobs` reads the events of steps' jobs.
    """
    pasts: dict[int, Sequence[Event]] = {}

    def remembered(steps: Sequence[int]) -> Iterable[tuple[int, Sequence[Event]]]:
        for step, past in jobs(steps):
            pasts[step] = past
            yield step, past

    results = read_steps(plan, events, remembered)
    queued: dict[int, datetime] = {}
    begun: dict[int, datetime] = {}
    for event in events:
        if isinstance(event, StepScheduled | StepWaiting):
            queued.setdefault(event.step, as_datetime(event.at_us))
        elif isinstance(event, ItemsScheduled):
            begun.setdefault(event.step, as_datetime(event.at_us))
    return [
        StepTimeline(
            name=step.name,
            status=result.status,
            queued_at=queued.get(number),
            started_at=begun.get(number, result.started_at),
            ended_at=result.ended_at,
            attempts=attempts_of(pasts.get(number, ())),
            error=result.error,
            items=result.items,
            items_ended=result.items_ended,
        )
        for number, (step, result) in enumerate(zip(plan.steps, results, strict=True))
    ]


def attempts_of(past: Iterable[Event]) -> tuple[StepAttempt, ...]:
    """Return the tries of a job."""
    found: dict[int, StepAttempt] = {}
    for event in past:
        if isinstance(event, JobStarted | JobLeased):
            found[event.attempt] = StepAttempt(event.attempt, as_datetime(event.at_us))
        elif (outcome := OUTCOMES.get(type(event))) and (begun := _open(found, event)) is not None:
            found[begun.number] = replace(
                begun, ended_at=_at(event), outcome=outcome, error=_detail(event) or None
            )
    return tuple(found.values())


def _open(found: Mapping[int, StepAttempt], event: Event) -> StepAttempt | None:
    begun = found.get(getattr(event, "attempt", 0))
    return begun if begun is not None and begun.ended_at is None else None


def entry_of(plan: Plan, position: int, event: Event) -> RunEntry:
    """Return an event of a run, or of one of its jobs, as a line of the run's history."""
    job_id = getattr(event, "job_id", None) or getattr(getattr(event, "spec", None), "job_id", "")
    number, _, part = job_id.rpartition(".")[2].partition(":") if job_id else ("", "", "")
    step = int(number) if number.isdecimal() else getattr(event, "step", -1)
    item = getattr(event, "item", None)
    return RunEntry(
        position,
        _at(event),
        str(type(event).__struct_config__.tag),
        plan.steps[step].name if 0 <= step < len(plan.steps) else None,
        part or ("" if item is None else str(item)),
        getattr(event, "attempt", None),
        _detail(event),
    )


def _at(event: Event) -> datetime | None:
    at_us = getattr(event, "at_us", None)
    return None if at_us is None else as_datetime(at_us)


def _detail(event: Event) -> str:
    return getattr(event, "error", "") or getattr(event, "reason", "")
