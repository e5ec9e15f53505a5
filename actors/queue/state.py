"""What the queue knows: live jobs only, in the order in which they will start."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.messages import (
    AttemptInterrupted,
    AttemptRefused,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobFailed,
    JobLeased,
    JobReady,
    JobRetried,
    JobRetrying,
    JobStarted,
    JobStatus,
    JobUnblocked,
    JobUnresolved,
    QueuePaused,
    QueueResumed,
    ResourceAdded,
    ResourceGranted,
    ResourceReleased,
    ResourceRequested,
    RetryPolicy,
)
from actors.queue.resources import Resources
from actors.runtime.effects import AttemptKey
from actors.runtime.state import FoldedState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.messages import JobSpec


PROCESS_ENDED = "process ended"
"""The reason of an interruption that makes a job suspect of having caused it."""


# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_SCHEDULED = JobStatus.SCHEDULED
_RETRYING = JobStatus.RETRYING
_UNRESOLVED = JobStatus.UNRESOLVED
_WAITING = frozenset({_SCHEDULED, _RETRYING})


class Job(msgspec.Struct, gc=False):
    """A live job: what deciding needs, nothing more. Its arguments stay on disk until it starts."""

    job_id: str
    queue: str
    function: str
    owner: str
    retry: RetryPolicy
    digest: bytes
    priority: int
    status: JobStatus = _PENDING
    order: int = 0
    """Place in the line: first in, first out among equals."""
    attempt: int = 0
    """Number of the newest attempt."""
    charged: int = 0
    """Attempts that count: those that failed, and interruptions that are charged."""
    counted: bool = True
    """Whether the running attempt surely reached a worker."""
    suspect: bool = False
    """An attempt was interrupted: perhaps the job kills its process, so it runs with nothing behind it."""
    due_us: int = 0
    epoch: int = 0
    missing: int = 0
    """Jobs it waits for."""

    @property
    def key(self) -> AttemptKey:
        """The newest attempt."""
        return AttemptKey(self.job_id, self.attempt, self.epoch)


class Line:
    """One queue: its ready jobs by priority, those that wait for a time, and its counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.counts: dict[JobStatus, int] = {}
        self.ready_count = 0
        self.retried = 0
        self._ready: dict[int, deque[Job]] = {}
        self._priorities: list[int] = []
        self._waiting: list[tuple[int, int, Job]] = []

    def count(self, status: JobStatus, by: int = 1) -> None:
        """Count a job in or out of a status."""
        self.counts[status] = self.counts.get(status, 0) + by

    def push(self, job: Job) -> None:
        """Put a job at the end of the line of its priority."""
        line = self._ready.get(job.priority)
        if line is None:
            line = self._ready[job.priority] = deque()
            insort(self._priorities, job.priority, key=lambda priority: -priority)
        line.append(job)
        self.ready_count += 1

    def leave(self, job: Job) -> None:
        """Note that a ready job is ready no more; it leaves the line as soon as it is first."""
        self.ready_count -= 1
        line = self._ready[job.priority]
        while line and not is_ready(line[0]):
            line.popleft()
        if not line:
            del self._ready[job.priority]
            self._priorities.remove(job.priority)

    def ready(self) -> Iterator[Job]:
        """Yield the ready jobs in the order in which they will start."""
        for priority in self._priorities:
            for job in self._ready[priority]:
                if is_ready(job):
                    yield job

    def wait(self, job: Job) -> None:
        """Keep a job until its time comes."""
        heapq.heappush(self._waiting, (job.due_us, job.order, job))

    def trim_waiting(self) -> None:
        """Drop what waits no more from the head of those that wait."""
        while self._waiting and not _is_waiting(self._waiting[0]):
            heapq.heappop(self._waiting)

    def next_due_us(self) -> int | None:
        """Return the earliest instant for which a job waits."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now_us: int) -> list[Job]:
        """Return the jobs whose time has come, earliest first; looks only at those (it is a heap)."""
        found = []
        stack = [0]
        while stack:
            index = stack.pop()
            if index < len(self._waiting) and self._waiting[index][0] <= now_us:
                if _is_waiting(self._waiting[index]):
                    found.append(self._waiting[index])
                stack += (2 * index + 1, 2 * index + 2)
        return [job for _, _, job in sorted(found, key=lambda entry: entry[:2])]


def is_ready(job: Job) -> bool:
    """Whether a job could start now, if its queue is served and a worker free."""
    return job.status is _PENDING and not job.missing


def _is_waiting(entry: tuple[int, int, Job]) -> bool:
    due_us, order, job = entry
    return job.status in _WAITING and job.due_us == due_us and job.order == order


class Retired(msgspec.Struct, frozen=True, gc=False):
    """What memory keeps of an ended job until the end is durable."""

    digest: bytes
    status: JobStatus
    attempt: int
    charged: int
    error: str
    ended_us: int
    note: bytes = b""


class QueueState(FoldedState[Retired]):
    """The fold of the queue's events."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.lines: dict[str, Line] = {}
        self.running: dict[str, Job] = {}
        """Given to the executor and not ended."""
        self.zombies: dict[AttemptKey, str] = {}
        """Attempts that still hold a worker though their job has been cancelled; with the job's owner."""
        self.leases: dict[str, int] = {}
        """Jobs taken by hand, and until when (µs UTC)."""
        self.suspects = 0
        """Running jobs that may kill the process."""
        self.unresolved: dict[str, dict[str, None]] = {}
        """Jobs that wait for a function, by the function's name."""
        self.dependents: dict[str, list[str]] = {}
        """Jobs that wait for another job."""
        self.run_us: dict[str, int] = {}
        """How long each function takes: jumps up at once, comes down slowly."""
        self.resources = Resources()
        self._orders = 0
        self._policies: dict[RetryPolicy, RetryPolicy] = {}
        self._names: dict[str, str] = {}
        self.handlers = {
            JobEnqueued: self._enqueued,
            JobReady: self._on_ready,
            JobUnblocked: self._on_unblocked,
            JobStarted: self._on_started,
            JobLeased: self._on_leased,
            JobCompleted: self._on_completed,
            JobRetrying: self._on_retrying,
            JobFailed: self._on_failed,
            AttemptInterrupted: self._on_interrupted,
            AttemptRefused: self._on_refused,
            JobCancelled: self._on_cancelled,
            JobUnresolved: self._on_unresolved,
            JobRetried: self._on_retried,
            QueuePaused: self._on_paused,
            QueueResumed: self._on_resumed,
            ResourceAdded: self.resources.added,
            ResourceRequested: self.resources.requested,
            ResourceGranted: self.resources.granted,
            ResourceReleased: self.resources.released,
        }

    # -- what the runtime asks of every state -----------------------------------------------------------

    def dump(self) -> Any:
        """Give the state as plain data."""
        return {
            "jobs": [
                (
                    job.job_id,
                    job.queue,
                    job.function,
                    job.owner,
                    msgspec.structs.astuple(job.retry),
                    job.digest,
                    job.priority,
                    job.status.value,
                    job.order,
                    job.attempt,
                    job.charged,
                    job.counted,
                    job.suspect,
                    job.due_us,
                    job.epoch,
                    job.missing,
                )
                for job in self.jobs.values()
            ],
            "lines": [
                (line.name, line.paused, line.retried, list(line.counts.items()))
                for line in self.lines.values()
            ],
            "running": list(self.running),
            "zombies": [(tuple(key), owner) for key, owner in self.zombies.items()],
            "leases": list(self.leases.items()),
            "unresolved": [(function, list(jobs)) for function, jobs in self.unresolved.items()],
            "dependents": [(job_id, list(waiting)) for job_id, waiting in self.dependents.items()],
            "run_us": list(self.run_us.items()),
            "resources": self.resources.dump(),
            "orders": self._orders,
        }

    @classmethod
    def restore(cls, image: Any) -> QueueState:
        """Return the state whose `dump` was `image`."""
        state = cls()
        for name, paused, retried, counts in image["lines"]:
            line = state.line(name)
            line.retried = retried
            line.paused = paused
            line.counts = {JobStatus(status): count for status, count in counts}
        for (
            *head,
            retry,
            digest,
            priority,
            status,
            order,
            attempt,
            charged,
            counted,
            suspect,
            due,
            epoch,
            missing,
        ) in image["jobs"]:
            policy = state.share_policy(RetryPolicy(*retry))
            job_id, queue, function, owner = head
            job = Job(
                job_id, state.share(queue), state.share(function), owner, policy, digest, priority,
                JobStatus(status), order, attempt, charged, counted, suspect, due, epoch, missing,
            )  # fmt: skip
            state.jobs[job_id] = job
        for job in sorted(state.jobs.values(), key=lambda job: job.order):
            if is_ready(job):
                state.line(job.queue).push(job)
            elif job.status in _WAITING:
                state.line(job.queue).wait(job)
        state.running = {job_id: state.jobs[job_id] for job_id in image["running"]}
        state.suspects = sum(job.suspect for job in state.running.values())
        state.zombies = {AttemptKey(*key): owner for key, owner in image["zombies"]}
        state.leases = dict(image["leases"])
        state.unresolved = {function: dict.fromkeys(jobs) for function, jobs in image["unresolved"]}
        state.dependents = {job_id: list(waiting) for job_id, waiting in image["dependents"]}
        state.run_us = dict(image["run_us"])
        state.resources.restore(image["resources"])
        state._orders = image["orders"]
        return state

    # -- questions --------------------------------------------------------------------------------------

    def line(self, name: str) -> Line:
        """Return a queue's line, new if it had none."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line(name)
        return line

    def share(self, name: str) -> str:
        """Return the one copy of a name that many jobs have in common."""
        return self._names.setdefault(name, name)

    def share_policy(self, policy: RetryPolicy) -> RetryPolicy:
        """Return the one copy of a policy that many jobs have in common."""
        return self._policies.setdefault(policy, policy)

    # -- jobs -------------------------------------------------------------------------------------------

    def _enqueued(self, event: JobEnqueued) -> None:
        spec = event.spec
        job = self._admit(spec, event.digest)
        job.missing = event.missing
        if event.missing:
            for other in dict.fromkeys(spec.after):
                self.dependents.setdefault(other, []).append(spec.job_id)
        if spec.due_us > event.at_us:
            job.due_us = spec.due_us
            self._park(job, _SCHEDULED)
        else:
            self._stand_in_line(job)

    def _admit(self, spec: JobSpec, digest: bytes) -> Job:
        job = Job(
            spec.job_id,
            self.share(spec.queue),
            self.share(spec.function),
            spec.owner,
            self.share_policy(spec.retry),
            digest,
            spec.priority,
        )
        self.jobs[spec.job_id] = job
        self.line(job.queue).count(_PENDING)
        return job

    def _stand_in_line(self, job: Job) -> None:
        """Make a job that is neither ready nor waiting ready; if it depends on others, only PENDING."""
        self._orders += 1
        job.order = self._orders
        self._become(job, _PENDING)
        if not job.missing:
            self.lines[job.queue].push(job)

    def _park(self, job: Job, status: JobStatus) -> None:
        self._orders += 1
        job.order = self._orders
        self._become(job, status)
        self.lines[job.queue].wait(job)

    def _become(self, job: Job, status: JobStatus) -> None:
        line = self.lines[job.queue]
        line.count(job.status, -1)
        line.count(status)
        job.status = status

    def _leave(self, job: Job, status: JobStatus) -> None:
        """Take a job from wherever it stands and give it a status in which it stands nowhere."""
        was = job.status
        was_ready = is_ready(job)
        self._become(job, status)
        line = self.lines[job.queue]
        if was_ready:
            line.leave(job)
        elif was in _WAITING:
            line.trim_waiting()
        elif was is _RUNNING:
            if self.leases.pop(job.job_id, None) is None:
                self.running.pop(job.job_id, None)
                self.suspects -= job.suspect
        elif was is _UNRESOLVED:
            waiting = self.unresolved[job.function]
            del waiting[job.job_id]
            if not waiting:
                del self.unresolved[job.function]

    def _end(self, job: Job, status: JobStatus, at_us: int, error: str = "", note: bytes = b"") -> None:
        self._leave(job, status)
        del self.jobs[job.job_id]
        self.dependents.pop(job.job_id, None)
        self.retire(job.job_id, Retired(job.digest, status, job.attempt, job.charged, error, at_us, note))

    def _on_ready(self, event: JobReady) -> None:
        job = self.jobs[event.job_id]
        if job.missing and job.status is _PENDING:
            job.missing = 0
            self._stand_in_line(job)
            return
        self._leave(job, _PENDING)
        self._stand_in_line(job)

    def _on_unblocked(self, event: JobUnblocked) -> None:
        self.jobs[event.job_id].missing -= 1

    def _on_started(self, event: JobStarted) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _RUNNING)
        job.attempt = event.attempt
        job.epoch = event.epoch
        job.counted = not event.behind
        if self.zombies:  # those of a process that has ended hold no worker of this one
            self.zombies = {key: owner for key, owner in self.zombies.items() if key.epoch >= event.epoch}
        self.running[job.job_id] = job
        self.suspects += job.suspect

    def _on_leased(self, event: JobLeased) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _RUNNING)
        job.attempt = event.attempt
        job.epoch = event.epoch
        self.leases[job.job_id] = event.until_us

    def _on_completed(self, event: JobCompleted) -> None:
        job = self.jobs[event.job_id]
        job.charged += 1
        if job.job_id in self.running:
            known = self.run_us.get(job.function, event.run_us)
            self.run_us[job.function] = max(event.run_us, (known * 7 + event.run_us) // 8)
        self._end(job, JobStatus.COMPLETED, event.at_us, note=event.note)

    def _on_retrying(self, event: JobRetrying) -> None:
        job = self.jobs[event.job_id]
        job.charged += 1
        self._leave(job, _RETRYING)
        self.lines[job.queue].retried += 1
        job.due_us = event.due_us
        if event.due_us > event.at_us:
            self._park(job, _RETRYING)
        else:
            self._stand_in_line(job)

    def _on_failed(self, event: JobFailed) -> None:
        job = self.jobs[event.job_id]
        if job.status is _RUNNING:
            job.charged += 1
        self._end(job, JobStatus.FAILED, event.at_us, event.error)

    def _on_interrupted(self, event: AttemptInterrupted) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _PENDING)
        job.charged += event.charged
        job.suspect = job.suspect or event.reason == PROCESS_ENDED
        self._stand_in_line(job)

    def _on_refused(self, event: AttemptRefused) -> None:
        for key in [key for key in self.zombies if key[:2] == (event.job_id, event.attempt)]:
            del self.zombies[key]

    def _on_cancelled(self, event: JobCancelled) -> None:
        job = self.jobs[event.job_id]
        if job.job_id in self.running:
            self.zombies[job.key] = job.owner
        self._end(job, JobStatus.CANCELLED, event.at_us, event.reason)

    def _on_unresolved(self, event: JobUnresolved) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _UNRESOLVED)
        self.unresolved.setdefault(job.function, {})[job.job_id] = None

    def _on_retried(self, event: JobRetried) -> None:
        spec = event.spec
        line = self.line(spec.queue)
        line.count(JobStatus(event.was), -1)
        self.retired.pop(spec.job_id, None)
        job = self._admit(spec, event.digest)
        job.attempt = event.attempts
        self._stand_in_line(job)

    # -- queues -----------------------------------------------------------------------------------------

    def _on_paused(self, event: QueuePaused) -> None:
        self.line(event.queue).paused = True

    def _on_resumed(self, event: QueueResumed) -> None:
        self.line(event.queue).paused = False
