"""Commands that show jobs: a list of them, and one with its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from actors.queue.events import JobEnqueued
from actors.queue.specs import FINAL, JobStatus
from actors.runtime.errors import InputError
from actors.runtime.functions import FunctionRegistry
from logistics.audit.narrowing import narrowed
from logistics.audit.store_reader import StoreReader
from logistics.cli.looking import Looking
from logistics.cli.options import (
    AtOption,
    JobNameOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    SessionOption,
    StatusOption,
    StoreOption,
    moment,
    statuses_of,
)
from logistics.cli.output import described, encoded, say, say_json, show, show_facts, show_first
from logistics.inputs import as_datetime
from logistics.task.attempts import attempts_of
from logistics.task.listing import check_statuses, clues_of
from logistics.task.place import place_of
from logistics.task.record import attempts_in, queue_of, read_job, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actors.queue.messages import JobView
    from actors.runtime.messages import Event
    from logistics.audit.store_view import StoreView
    from logistics.task.attempts import JobAttempt
    from logistics.task.job import Job

ATTEMPTS = ("number", "started", "ended", "seconds", "executor", "outcome", "error")
HELD = frozenset({JobStatus.RETRYING, JobStatus.UNRESOLVED})
"""What jobs are that have not ended and have an error that says why."""


def jobs(
    *,
    queue: Annotated[str | None, typer.Option(help="Of this queue only.")] = None,
    name: JobNameOption = None,
    status: StatusOption = None,
    ended: Annotated[bool, typer.Option("--ended", help="Newest first, those that have ended too.")] = False,
    session: SessionOption = None,
    project: ProjectOption = None,
    limit: LimitOption = 100,
    store: StoreOption = None,
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """List jobs that have not ended, in the order of their enqueueing; with --ended all, newest first.

    A --status that is an end (completed, failed, cancelled, expired) implies --ended.
    """
    statuses = check_statuses(statuses_of(status))
    ended = ended or bool(FINAL & statuses)
    if ended and at is not None:
        msg = "--at: of a moment only the jobs are listed that had not ended; `logistics diff` tells what has"
        raise InputError(msg)
    wanted = {"name": name, "session": session, "project": project}
    said = {key: value for key, value in wanted.items() if value is not None}
    with StoreReader(store) as reader:
        view = None if ended else reader.as_of(moment(at))
        clues = clues_of(statuses, name, session, project, queue=queue)
        looking = Looking("jobs looked at")
        if view is None:
            entities = looking.at(narrowed(reader.entities("job:"), clues, reader.entities_with))
            rows = _all_jobs(reader, queue, entities)
        else:
            rows = _live_jobs(reader, looking.at(view.jobs(queue)), view.position)
        found = (
            row for row in rows if said.items() <= row.items() and (not statuses or row["status"] in statuses)
        )
        columns = ("job_id", "queue", "name", "status", "attempts", *(() if ended else ("due",)), "error")
        show_first(columns, looking.found(found), limit, as_json=json, empty="no jobs")
        if view is not None and not json and (over := _ended_count(view, queue)):
            say(f"those that have ended ({over}) are shown by --ended")


def _ended_count(view: StoreView, queue: str | None) -> int:
    counts = (stats.by_status for name, stats in view.queues().items() if queue in (None, name))
    return sum(by_status[status] for by_status in counts for status in FINAL)


def _live_jobs(reader: StoreReader, jobs: Iterable[JobView], upto: int) -> Iterator[dict[str, Any]]:
    for job in jobs:
        entity = f"job:{job.job_id}"
        first = reader.first_of(entity)
        spec = getattr(first.event, "spec", None) if first is not None else None
        past = (
            [each.event for each in reader.of(entity) if each.position <= upto] if job.status in HELD else ()
        )
        told = {"name": getattr(spec, "name", ""), "due": _due(job), "error": _newest_error(past)}
        yield described(job) | told | _place(spec)


def _newest_error(past: Sequence[Any]) -> str | None:
    return next((text for event in reversed(past) if (text := getattr(event, "error", ""))), None)


def _due(job: JobView) -> Any:
    return as_datetime(job.due_us) if job.due_us else None


def _place(spec: Any) -> dict[str, str | None]:
    session_id, project = place_of(getattr(spec, "terms", None))
    return {"session": session_id or None, "project": project or None}


def _all_jobs(reader: StoreReader, queue: str | None, entities: Iterable[str]) -> Iterator[dict[str, Any]]:
    for entity in entities:
        past = _history(reader, entity)
        if past and queue in (None, where := queue_of(past)):
            yield {
                "job_id": past[0].spec.job_id,
                "queue": where,
                "name": past[0].spec.name,
                "status": str(status_of(past)),
                "attempts": attempts_in(past),
                "error": _newest_error(past),
            } | _place(past[0].spec)


def _history(reader: StoreReader, entity: str) -> list[Any]:
    """Return the events of a job that are understood; none if its first one is not."""
    past: list[Event] = [each.event for each in reader.of(entity) if each.event is not None]
    return past if past and isinstance(past[0], JobEnqueued) else []


def show_job(reader: StoreReader, job_id: str, *, as_json: bool) -> bool:
    """Show a job and its attempts; whether all that is on record of it is understood, from its beginning on."""
    past = _history(reader, f"job:{job_id}")
    if not past or len(past) < len(reader.of(f"job:{job_id}")):
        return False
    job = read_job(past, FunctionRegistry())
    facts = _facts(job, past[0].spec)
    attempts = [_attempt(each) for each in attempts_of(past)]
    if as_json:
        say_json(facts | {"traceback": job.traceback, "attempts": attempts})
        return True
    show_facts({name: value for name, value in facts.items() if value is not None}, as_json=False)
    show(ATTEMPTS, attempts, as_json=False, empty="not tried yet")
    for line in (job.traceback or "").splitlines():
        say(line)
    return True


def _facts(job: Job, spec: Any) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "queue": job.queue,
        "name": job.name,
        "function": spec.function,
        "status": str(job.status),
        "priority": job.priority,
        "args": _value(job.args) if job.args else None,
        "kwargs": _value(job.kwargs) if job.kwargs else None,
        "created": job.created_at,
        "due": as_datetime(spec.due_us) if spec.due_us else None,
        "started": job.started_at,
        "ended": job.finished_at,
        "tries": job.attempts,
        "result": None if job.result is None else _value(job.result),
        "error": job.error,
        "owner": spec.owner or None,
        "after": list(spec.after) or None,
        "resources": dict(job.resources) or None,
        "unique_key": job.unique_key,
        "session": job.session_id,
        "project": job.project,
    }


def _value(value: Any) -> msgspec.Raw:
    """Return a value of the user, which JSON may have no form for."""
    return msgspec.Raw(encoded(value))


def _attempt(attempt: JobAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started": attempt.started_at,
        "ended": attempt.ended_at,
        "seconds": None if attempt.ran is None else attempt.ran.total_seconds(),
        "executor": attempt.executor,
        "outcome": attempt.outcome,
        "error": attempt.error or None,
    }
