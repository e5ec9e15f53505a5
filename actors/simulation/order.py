"""Who comes first, judged from the log alone: nobody is passed over who could have started (I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from actors.queue.events import (
    AttemptInterrupted,
    JobEnqueued,
    JobLeased,
    JobMoved,
    JobReady,
    JobRetried,
    JobRetrying,
    JobStarted,
    JobUnblocked,
    QueueConfigured,
    QueuePaused,
    QueueResumed,
)
from actors.queue.specs import QueueSettings, Terms

if TYPE_CHECKING:
    from actors.queue.specs import JobSpec
    from actors.simulation.checks import JobHistory

COMES = (JobEnqueued, JobReady, JobRetried, JobRetrying, AttemptInterrupted, JobMoved)
"""What puts a job at the end of its line, if it is ready then."""
PLAIN = QueueSettings()
NOTHING = Terms()


class Ready(NamedTuple):
    """A job that could start, and since when: a number that grows with the log."""

    spec: JobSpec
    place: int
    expires_us: int

    @property
    def group(self) -> str:
        """Whose share it is."""
        return (self.spec.terms or NOTHING).group


class Order:
    """The jobs that are ready, by queue.

    Limits, turns and ageing let others pass, so only those are judged to be passed over whom nothing can hold back:
    jobs without key, group, resources or a limited function, in queues without ageing. They are never behind a
    lower priority, in all queues without a limit of their own, and never behind a later one of their kind in
    their queue.
    """

    def __init__(self) -> None:
        self._ready: dict[str, dict[str, Ready]] = {}
        self._missing: dict[str, int] = {}
        self._settings: dict[str, QueueSettings] = {}
        self._paused: set[str] = set()
        self._places = 0

    def take(self, event: Any, job: JobHistory | None) -> str:
        """Take in one event, and what is known of its job by now; return what it breaks, or nothing."""
        broken = ""
        if isinstance(event, JobStarted | JobLeased) and job is not None:
            broken = self._passed_over(event, job.spec)
            if broken and job.spec.terms is not None and job.spec.terms.batch:
                broken = ""  # it may be one of a batch that has begun: those need no worker of their own
        elif isinstance(event, JobEnqueued | JobRetried):
            self._missing[event.spec.job_id] = getattr(event, "missing", 0)
        elif isinstance(event, JobUnblocked):
            self._missing[event.job_id] -= 1
        elif isinstance(event, JobReady) and event.reason == "dependencies":
            self._missing[event.job_id] = 0
        elif isinstance(event, QueueConfigured):
            self._settings[event.queue] = event.settings
        elif isinstance(event, QueuePaused):
            self._paused.add(event.queue)
        elif isinstance(event, QueueResumed):
            self._paused.discard(event.queue)
        if job is not None:
            self._move(event, job)
        return broken

    def _move(self, event: Any, job: JobHistory) -> None:
        spec = job.spec
        if isinstance(event, JobMoved):
            for others in self._ready.values():
                others.pop(spec.job_id, None)
        ready = self._ready.setdefault(spec.queue, {})
        if not job.is_pending or self._missing[spec.job_id]:
            ready.pop(spec.job_id, None)
        elif isinstance(event, COMES):
            self._places += 1
            ready[spec.job_id] = Ready(spec, self._places, job.expires_us)

    def _passed_over(self, event: JobStarted | JobLeased, spec: JobSpec) -> str:
        mine = self._ready.get(spec.queue, {}).get(spec.job_id)
        if mine is None:
            return "begun though it was not ready"
        if spec.queue in self._paused:
            return "a job of a paused queue begun"
        by_hand = isinstance(event, JobLeased)
        for queue, ready in self._ready.items():
            if self._settings.get(queue, PLAIN).ageing_us:
                continue
            if queue != spec.queue and (by_hand or queue in self._paused or self._is_limited(queue)):
                continue
            for other in ready.values():
                if self._is_free(other, event.at_us) and self._is_before(other, mine):
                    return f"{other.spec.job_id} was before"
        return ""

    def _is_limited(self, queue: str) -> bool:
        settings = self._settings.get(queue, PLAIN)
        return bool(settings.concurrency or settings.rate)

    def _is_free(self, other: Ready, at_us: int) -> bool:
        """Whether nothing but its turn can hold a job back; an expired one is not started any more."""
        terms = other.spec.terms or NOTHING
        limited = dict(self._settings.get(other.spec.queue, PLAIN).function_concurrency)
        free = not (terms.key or terms.group or terms.resources or other.spec.function in limited)
        return free and not 0 < other.expires_us <= at_us

    @staticmethod
    def _is_before(other: Ready, mine: Ready) -> bool:
        if other.spec.priority != mine.spec.priority:
            return other.spec.priority > mine.spec.priority
        return other.spec.queue == mine.spec.queue and not mine.group and other.place < mine.place
