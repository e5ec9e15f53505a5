"""Jobs on record, read from the log: one after the other, and what happened to each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from actors.queue.events import JobEnqueued, JobMoved
from actors.queue.messages import GetStats, ListJobs
from actors.queue.specs import FINAL, JobStatus
from actors.runtime.errors import InputError
from logistics.audit.narrowing import MOST, Clue, among, clue, tag_of
from logistics.inputs import as_datetime, check_name, instant_us
from logistics.orchestration.reading import history, likely
from logistics.task.job import NO_TERMS
from logistics.task.record import STATUS_AFTER, queue_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from actors.queue.messages import QueueStats
    from actors.runtime.messages import Event
    from logistics.orchestration.engine import OrchestrationEngine

Statuses: TypeAlias = "JobStatus | str | Iterable[JobStatus | str] | None"
"""One status, or several."""
MANY = 1_000
"""Jobs of which one command speaks: a turn of the queue must not get too long."""


class JobFilter(NamedTuple):
    """Which jobs are meant; nothing said: all of them."""

    statuses: frozenset[JobStatus] = frozenset()
    name: str | None = None
    function: str | None = None
    """Its reference, as it is stored."""
    key: str | None = None
    group: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    project: str | None = None

    def admits(self, history: Sequence[Event]) -> bool:
        """Whether a job that these events tell of is meant. Nothing is imported for that."""
        first = history[0]
        assert isinstance(first, JobEnqueued)
        spec, terms = first.spec, first.spec.terms or NO_TERMS
        return (
            (self.name is None or spec.name == self.name)
            and (self.function is None or spec.function == self.function)
            and (self.key is None or terms.key == self.key)
            and (self.group is None or terms.group == self.group)
            and (self.project is None or terms.project == self.project)
            and (self.since_us is None or first.at_us >= self.since_us)
            and (self.until_us is None or first.at_us < self.until_us)
            and (not self.statuses or status_of(history) in self.statuses)
        )

    @property
    def clues(self) -> list[Clue]:
        """What the log says of each of them."""
        said = (self.name, self.function, self.key, self.group, self.project)
        return clues_of(self.statuses, *said)


def clues_of(statuses: Collection[JobStatus], *said: str | None, queue: str | None = None) -> list[Clue]:
    """Return what the log says of each job that ended so, had all this said of it, and stands in this queue."""
    clues = [clue((JobEnqueued,), text) for text in said if text]
    if queue is not None:
        clues.append(clue((JobEnqueued, JobMoved), queue))
    if statuses and FINAL.issuperset(statuses):
        clues.append(clue(each for each, status in STATUS_AFTER.items() if status in statuses))
    return clues


def job_filter(
    engine: OrchestrationEngine,
    *,
    status: Statuses = None,
    name: str | None = None,
    func: Callable[..., Any] | None = None,
    concurrency_key: str | None = None,
    group: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    project: str | None = None,
    among: Collection[JobStatus] = tuple(JobStatus),
) -> JobFilter:
    """Return a filter, checked. `among`: the statuses that make sense where it is used."""
    return JobFilter(
        check_statuses(status, among),
        None if name is None else check_name("name", name),
        None if func is None else engine.register(func),
        None if concurrency_key is None else check_name("concurrency_key", concurrency_key),
        None if group is None else check_name("group", group),
        None if since is None else instant_us("since", since),
        None if until is None else instant_us("until", until),
        None if project is None else check_name("project", project),
    )


def check_statuses(status: Statuses, among: Collection[JobStatus] = tuple(JobStatus)) -> frozenset[JobStatus]:
    """Return one or several statuses, none for None; `InputError` for what is not `among` them."""
    if status is None:
        return frozenset()
    several = [status] if isinstance(status, str) or not isinstance(status, Iterable) else list(status)
    for each in several:
        if each not in list(among):
            msg = f"status: expected one of {', '.join(among)}, got {each!r}"
            raise InputError(msg)
    return frozenset(JobStatus(each) for each in several)


class JobEntry(NamedTuple):
    """One thing that happened to a job."""

    at: datetime | None
    """When; `None` where only the order is known."""
    event: str
    """The event's name: `job.started`."""
    attempt: int | None
    detail: str
    """An error, or a reason; empty for none."""


def jobs_on_record(
    engine: OrchestrationEngine, queue: str | None, wanted: JobFilter, after: str | None = None
) -> Iterator[list[Event]]:
    """Yield the histories of the jobs of a queue (None: of all), newest first, each read only when its turn comes."""
    found = likely(engine, "job:", [*wanted.clues, *clues_of((), queue=queue)], after=after)
    if queue is not None and wanted.statuses and FINAL.isdisjoint(wanted.statuses):
        found = among(found, lambda: _standing(engine, queue, wanted.statuses))
    for entity in found:
        events = history(engine, entity)
        if events and queue in (None, queue_of(events)) and wanted.admits(events):
            yield events


def _standing(engine: OrchestrationEngine, queue: str, statuses: Collection[JobStatus]) -> list[str] | None:
    """Return the entities of the jobs of a queue that have not ended and stand so now; None if these are many."""
    stats: QueueStats = engine.query("queue", GetStats(queue=queue))
    if sum(stats.by_status[status] for status in statuses) > MOST:
        return None
    return [f"job:{job_id}" for job_id in engine.query("queue", ListJobs(queue, tuple(sorted(statuses))))]


def waiting_jobs(engine: OrchestrationEngine, queue: str, wanted: JobFilter) -> list[str]:
    """Return the ids of the jobs of a queue that have not ended, in the order of their enqueueing."""
    live: tuple[str, ...] = engine.query("queue", ListJobs(queue=queue))
    if wanted == JobFilter():
        return list(live)
    return [job_id for job_id in live if wanted.admits(history(engine, f"job:{job_id}"))]


def by_many(
    job_ids: Sequence[str],
    say: Callable[[tuple[str, ...]], Sequence[str]],
    progress: Callable[[int, int], object] | None,
) -> int:
    """Say something of many jobs, `MANY` at a time, each time in one commit; return for how many it was done.

    `progress` is called with how many it was said of, and how many there are.
    """
    done = 0
    for begin in range(0, len(job_ids), MANY):
        some = tuple(job_ids[begin : begin + MANY])
        done += len(say(some))
        if progress is not None:
            progress(begin + len(some), len(job_ids))
    return done


def entry(event: Event) -> JobEntry:
    """Return an event as a line of a job's history."""
    at_us = getattr(event, "at_us", None)
    return JobEntry(
        None if at_us is None else as_datetime(at_us),
        tag_of(type(event)),
        getattr(event, "attempt", None),
        getattr(event, "error", "") or getattr(event, "reason", ""),
    )
