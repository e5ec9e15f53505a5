"""Why something is not running, or did not happen: the engine's own rules, put into words, with names and times."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.events import JobRetrying, JobSnoozed, JobStarted, JobUnresolved, QueuePaused
from actors.queue.messages import ExplainJob, GetJob, GetResources
from actors.queue.specs import FIRINGS
from actors.runtime.errors import InputError, UnknownIdError
from actors.runtime.events import EngineClosed
from actors.workflow.events import RunPaused
from actors.workflow.messages import ExplainRun, GetRun
from logistics.audit.why_schedule import explain_schedule
from logistics.audit.words import Reason, Why, instant, listed
from logistics.errors import JobNotFoundError, RunNotFoundError
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from actors.queue.messages import Obstacle
    from actors.runtime.messages import Event, Message
    from logistics.audit.past import Past, RecordedEvent

JOBS_OF_A_STEP = 3
"""Of so many jobs of one step it is said why they do not run."""
ENGINE = "engine"


@dataclass(frozen=True)
class Witness:
    """Whoever knows: the rules on a state, live or of the past, and the log behind it."""

    ask: Callable[[Message], Any]
    log: Past
    now_us: int
    live: bool
    """Whether an engine works on that state: then it is known which queues are served and by how many workers."""

    def newest(self, entity: str, *types: type[Event]) -> RecordedEvent | None:
        """Return the newest event of some types of an entity."""
        past = reversed(self.log.of(entity))
        return next((each for each in past if isinstance(each.event, types)), None)


def explain(witness: Witness, subject: str, at: datetime | str | None = None) -> Why:
    """Say why a job or run is where it is, or what became of an instant of a schedule."""
    kind, _, name = _meant(witness, subject).partition(":") if isinstance(subject, str) else ("", "", "")
    if kind == "schedule" and name:
        return explain_schedule(witness.ask, witness.log, witness.now_us, name, at)
    if at is not None:
        msg = f"at: only a schedule is asked about an instant, got {subject!r}"
        raise InputError(msg)
    if kind == "job" and name:
        return _job(witness, name)
    if kind == "run" and name:
        return _run(witness, name)
    msg = f"expected job:ID, run:ID or schedule:NAME, got {subject!r}"
    raise InputError(msg)


def _meant(witness: Witness, subject: str) -> str:
    """Return the run or job that has this id; what names its kind stays as it is. `UnknownIdError`.

    The run goes first: one that a schedule began has the id of the job that began it.
    """
    if not subject or subject.startswith(("job:", "run:", "schedule:")):
        return subject
    known = [entity for kind in ("run", "job") if witness.log.last_of(entity := f"{kind}:{subject}")]
    if not known and ":" not in subject:
        msg = f"no job or run {subject!r} on record"
        raise UnknownIdError(msg)
    return known[0] if known else subject


# -- jobs --------------------------------------------------------------------------------------------------


def _job(witness: Witness, job_id: str) -> Why:
    subject = f"job:{job_id}"
    obstacles, view = witness.ask(ExplainJob(job_id)), witness.ask(GetJob(job_id))
    if obstacles is None or view is None:  # it may end in between
        return _ended(witness, subject, JobNotFoundError(f"no job {job_id!r} on record"))
    return Why(subject, view.status, (*_closed(witness), *_reasons(witness, job_id, obstacles)))


def _ended(witness: Witness, subject: str, unknown: Exception) -> Why:
    past = witness.log.of(subject)
    last = next((each for each in reversed(past) if each.event is not None and each.event.final), None)
    if last is None:
        raise unknown
    status = last.tag.rpartition(".")[2].upper()
    detail = getattr(last.event, "error", "") or getattr(last.event, "reason", "")
    text = f"{status} at {instant(last.recorded_at)}" + (f": {detail}" if detail else "")
    return Why(subject, status, (Reason("ended", text, since=last.recorded_at, by=_by(last)),))


def _by(event: RecordedEvent | None) -> tuple[str, ...]:
    return () if event is None or not event.cause else (event.cause,)


def _closed(witness: Witness) -> Iterator[Reason]:
    """Say that nobody works there, if that is so."""
    last = None if witness.live else witness.log.last_of(ENGINE)
    if last is not None and isinstance(last.event, EngineClosed):
        text = f"the store was closed at {instant(last.recorded_at)}: nothing starts until it is opened again"
        yield Reason("closed", text, since=last.recorded_at)


def _reasons(witness: Witness, job_id: str, obstacles: tuple[Obstacle, ...]) -> Iterator[Reason]:
    for obstacle in obstacles:
        yield _JOB_WORDS[obstacle.code](witness, f"job:{job_id}", obstacle)
    if not obstacles:
        text = "nothing holds it back: it is the next to start"
        if not witness.live:
            text += "; whether its queue was served, and a worker free, is not on record"
        yield Reason("ready", text)


def _running(witness: Witness, job: str, obstacle: Obstacle) -> Reason:
    began = witness.newest(job, JobStarted)
    if began is None or not isinstance(began.event, JobStarted):
        return Reason(obstacle.code, "it is running")
    text = f"it is running: attempt {began.event.attempt}, since {instant(began.recorded_at)}"
    return Reason(obstacle.code, text, since=began.recorded_at)


def _taken(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    until = as_datetime(obstacle.until_us)
    return Reason(obstacle.code, f"it was taken by hand, until {instant(until)}", until=until)


def _unresolved(witness: Witness, job: str, obstacle: Obstacle) -> Reason:
    found = witness.newest(job, JobUnresolved)
    text = f"its function {obstacle.name} cannot be found"
    if found is None or not isinstance(found.event, JobUnresolved):
        return Reason(obstacle.code, text, obstacle.name)
    text += f", since {instant(found.recorded_at)}: {found.event.error}"
    return Reason(obstacle.code, text, obstacle.name, since=found.recorded_at)


def _delayed(witness: Witness, job: str, obstacle: Obstacle) -> Reason:
    until = as_datetime(obstacle.until_us)
    newest = witness.newest(job, JobSnoozed)
    text = f"delayed until {instant(until)}"
    if newest is not None and isinstance(newest.event, JobSnoozed):
        if newest.event.due_us == obstacle.until_us:
            text = f"it asked to be called again from {instant(until)} on: {newest.event.reason}"
    return Reason(obstacle.code, text, until=until)


def _retry(witness: Witness, job: str, obstacle: Obstacle) -> Reason:
    until = as_datetime(obstacle.until_us)
    failed = witness.newest(job, JobRetrying)
    text = f"its next try is at {instant(until)}"
    if failed is None or not isinstance(failed.event, JobRetrying):
        return Reason(obstacle.code, text, until=until)
    text = f"attempt {failed.event.attempt} failed: {failed.event.error}; {text}"
    return Reason(obstacle.code, text, since=failed.recorded_at, until=until)


def _dependency(witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    views = {entity: witness.ask(GetJob(entity.removeprefix("job:"))) for entity in obstacle.by}
    named = (f"{entity} ({view.status})" if view is not None else entity for entity, view in views.items())
    return Reason(obstacle.code, f"it waits for {listed(named)}", by=obstacle.by)


def _paused(witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    paused = witness.newest(f"queue:{obstacle.name}", QueuePaused)
    text = f"queue {obstacle.name!r} is paused"
    if paused is None:
        return Reason(obstacle.code, text, obstacle.name)
    by = f" by {paused.cause}" if paused.cause else ""
    text += f"{by} at {instant(paused.recorded_at)}"
    return Reason(obstacle.code, text, obstacle.name, _by(paused), since=paused.recorded_at)


def _not_served(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    text = f"queue {obstacle.name!r} is not started: no JobScheduler processes it"
    if obstacle.name == FIRINGS:
        text = "no scheduler is started, and firings of schedules are served only then"
    return Reason(obstacle.code, text, obstacle.name)


def _limit(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    of = obstacle.code.removesuffix("_limit")
    text = (
        f"concurrency limit of {of} {obstacle.name!r}: {obstacle.used:g} of {obstacle.limit:g} "
        f"under way, by {listed(obstacle.by)}"
    )
    return Reason(obstacle.code, text, obstacle.name, obstacle.by)


def _rate(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    of, until = obstacle.code.removesuffix("_rate"), as_datetime(obstacle.until_us)
    text = f"rate limit of {of} {obstacle.name!r} until {instant(until)}"
    return Reason(obstacle.code, text, obstacle.name, until=until)


def _resource(witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    text = (
        f"it waits for {obstacle.wanted:g} of {obstacle.name!r}: {obstacle.used:g} of {obstacle.limit:g} held"
    )
    if obstacle.by:
        named = _requesters(witness, obstacle.name)
        by = (f"{named[each]!r} ({each})" if each in named else each for each in obstacle.by)
        text += f" or waited for, by {listed(by)}"
    return Reason(obstacle.code, text, obstacle.name, obstacle.by)


def _requesters(witness: Witness, resource: str) -> dict[str, str]:
    """Return who has asked for each allocation of a resource, held or waited for."""
    views = (each for each in witness.ask(GetResources()) if each.name == resource)
    claims = (claim for view in views for claim in (*view.holders, *view.line))
    return {f"allocation:{allocation_id}": requester for allocation_id, requester, _ in claims}


def _resource_line(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    text = f"{listed(obstacle.by)} waits for {obstacle.name!r} too, and stands before it"
    return Reason(obstacle.code, text, obstacle.name, obstacle.by)


def _no_worker(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    text = f"no worker is free: {obstacle.used:g} attempts, {obstacle.limit:g} workers"
    if obstacle.by:
        text += f", busy with {listed(obstacle.by)}"
    return Reason(obstacle.code, text, by=obstacle.by)


def _behind(_witness: Witness, _job: str, obstacle: Obstacle) -> Reason:
    return Reason(obstacle.code, f"{listed(obstacle.by)} is to start before it", by=obstacle.by)


_JOB_WORDS: Mapping[str, Callable[[Witness, str, Obstacle], Reason]] = MappingProxyType(
    {
        "running": _running,
        "taken": _taken,
        "unresolved": _unresolved,
        "delayed": _delayed,
        "retry": _retry,
        "dependency": _dependency,
        "paused": _paused,
        "not_served": _not_served,
        "queue_limit": _limit,
        "key_limit": _limit,
        "function_limit": _limit,
        "queue_rate": _rate,
        "key_rate": _rate,
        "resource": _resource,
        "resource_line": _resource_line,
        "no_worker": _no_worker,
        "behind": _behind,
    }
)


# -- runs --------------------------------------------------------------------------------------------------


def _run(witness: Witness, run_id: str) -> Why:
    subject = f"run:{run_id}"
    obstacles, view = witness.ask(ExplainRun(run_id)), witness.ask(GetRun(run_id))
    if obstacles is None or view is None:
        return _ended(witness, subject, RunNotFoundError(f"no run {run_id!r} on record"))
    reasons = [reason for obstacle in obstacles for reason in _of_run(witness, subject, obstacle)]
    return Why(subject, view.status, (*_closed(witness), *reasons))


def _of_run(witness: Witness, run: str, obstacle: Obstacle) -> Iterator[Reason]:
    """Say what one obstacle is; of a step that is under way, why its jobs do not run."""
    code, step = obstacle.code, f"step {obstacle.name!r}"
    if code == "run_paused":
        yield _run_paused(witness, run)
    elif code == "session_places":
        text = f"places of session {obstacle.name!r}: {obstacle.used:g} of {obstacle.limit:g} taken"
        text += f", by {listed(obstacle.by)}" if obstacle.by else ""
        yield Reason(code, text, obstacle.name, obstacle.by)
    elif code == "between_events":
        yield Reason(code, "this is between two events of one decision: the next one says more")
    elif code == "steps_pending":
        text = f"{obstacle.used:g} of {obstacle.limit:g} steps wait for others: {listed(obstacle.by)}"
        yield Reason(code, text, by=obstacle.by)
    elif code.startswith("step_awaits_"):
        yield _step_waits(step, obstacle)
    else:
        if code == "items_running":
            text = f"{step}: {obstacle.used:g} of {obstacle.limit:g} items have ended"
            yield Reason(code, text, obstacle.name, obstacle.by)
        for job in obstacle.by[:JOBS_OF_A_STEP]:
            yield from _of_job(witness, obstacle, step if code != "undoing" else f"{step} is undone", job)


def _run_paused(witness: Witness, run: str) -> Reason:
    paused = witness.newest(run, RunPaused)
    if paused is None:
        return Reason("run_paused", "the run is paused")
    by = f" by {paused.cause}" if paused.cause else ""
    text = f"the run was paused{by} at {instant(paused.recorded_at)}"
    return Reason("run_paused", text, by=_by(paused), since=paused.recorded_at)


def _step_waits(step: str, obstacle: Obstacle) -> Reason:
    until = as_datetime(obstacle.until_us) if obstacle.until_us else None
    what = {"time": "time", "signal": "a signal", "run": f"the end of {listed(obstacle.by)}"}
    text = f"{step} waits for {what[obstacle.code.removeprefix('step_awaits_')]}"
    if until is not None:
        text += f", until {instant(until)}"
    return Reason(obstacle.code, text, obstacle.name, obstacle.by, until=until)


def _of_job(witness: Witness, obstacle: Obstacle, step: str, job: str) -> Iterator[Reason]:
    job_id = job.removeprefix("job:")
    obstacles = witness.ask(ExplainJob(job_id))
    if obstacles is None:
        text = f"{step}: {job} is on its way to or from the queue"
        yield Reason("on_its_way", text, obstacle.name, (job,))
        return
    for reason in _reasons(witness, job_id, obstacles):
        by = (job, *reason.by)
        yield reason._replace(text=f"{step}, {job}: {reason.text}", name=obstacle.name, by=by)
