"""What the queue knows: live jobs only, in the order in which they will start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.lanes import UNTOUCHED, WAITING, Course, Heads, Job, Kind, Lane, Line
from actors.queue.messages import (
    FIRINGS,
    STEPS,
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
)
from actors.queue.resources import Resources
from actors.runtime.effects import AttemptKey
from actors.runtime.state import FoldedState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.queue.messages import JobSpec
    from actors.runtime.messages import Context


PROCESS_ENDED = "process ended"
"""The reason of an interruption that makes a job suspect of having caused it."""
SHARED_US = 10_000
"""Jobs that come to one lane, one behind the other, within so long share a place: order is kept by the lane."""


# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_SCHEDULED = JobStatus.SCHEDULED
_RETRYING = JobStatus.RETRYING
_UNRESOLVED = JobStatus.UNRESOLVED


FEW_KINDS = 256
"""Kinds that are kept without looking whether they are still needed."""


class Retired(msgspec.Struct, frozen=True, gc=False):
    """What memory keeps of an ended job until the end is durable."""

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
        self.recent: dict[str, bytes] = {}
        """Fingerprints of jobs whose first event may not be durable: the others are looked up. Not in `dump`."""
        self.lines: dict[str, Line] = {}
        self.lanes: dict[Kind, Lane] = {}
        self.startable: Heads[Line] = Heads()
        """Queues that are not paused and have ready jobs, by the first of these."""
        self.due_lines: Heads[Line] = Heads()
        """Queues with jobs that wait for an instant, by the first of these."""
        self.running: dict[str, Job] = {}
        """Given to the executor and not ended."""
        self.zombies: dict[AttemptKey, str] = {}
        """Attempts that still hold a worker though their job has been cancelled; with the job's owner."""
        self.leases: dict[str, int] = {}
        """Jobs taken by hand, and until when (µs UTC)."""
        self.lease_ends: Heads[str] = Heads()
        self.suspects = 0
        """Running jobs that may kill the process."""
        self.unresolved: dict[str, dict[str, None]] = {}
        """Jobs that wait for a function, by the function's name."""
        self.dependents: dict[str, list[str]] = {}
        """Jobs that wait for another job."""
        self.run_us: dict[str, int] = {}
        """How long each function takes, the newest of its runs an eighth of it."""
        self.resources = Resources()
        self._order = 0
        self._last_kind: Kind | None = None
        """Whose lane the newest place was given in."""
        self._kinds: dict[tuple[Any, ...], Kind] = {}
        self._sweep_at = FEW_KINDS
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
        kinds: dict[Kind, int] = {}
        jobs = [
            (
                job.job_id,
                kinds.setdefault(job.kind, len(kinds)),
                job.owner,
                job.status.value,
                job.order,
                None if job.course is UNTOUCHED else msgspec.structs.astuple(job.course),
            )
            for job in self.jobs.values()
        ]
        last = self._last_kind and kinds.setdefault(self._last_kind, len(kinds))
        return {
            "kinds": [msgspec.to_builtins(kind) for kind in kinds],
            "last": last,
            "jobs": jobs,
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
            "order": self._order,
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
        kinds = [state.kind(msgspec.convert(kind, Kind)) for kind in image["kinds"]]
        orders: dict[int, int] = {}
        for job_id, kind, owner, status, order, course in image["jobs"]:
            own = UNTOUCHED if course is None else Course(*course)
            place = orders.setdefault(order, order)  # one object for all who share it
            job = Job(job_id, kinds[kind], owner, own, JobStatus(status), place)
            state.jobs[job_id] = job
            state.lanes[job.kind].size += 1
        state.leases = dict(image["leases"])
        state._restore_places()
        state._last_kind = None if image["last"] is None else kinds[image["last"]]
        state.running = {job_id: state.jobs[job_id] for job_id in image["running"]}
        state.suspects = sum(job.course.suspect for job in state.running.values())
        state.zombies = {AttemptKey(*key): owner for key, owner in image["zombies"]}
        state.unresolved = {function: dict.fromkeys(jobs) for function, jobs in image["unresolved"]}
        state.dependents = {job_id: list(waiting) for job_id, waiting in image["dependents"]}
        state.run_us = dict(image["run_us"])
        state.resources.restore(image["resources"])
        state._order = image["order"]
        return state

    def _restore_places(self) -> None:
        for job in sorted(self.jobs.values(), key=lambda job: job.order):
            if job.is_ready:
                self._push(job)
            elif job.status in WAITING:
                self._wait(job)
            elif job.status is not _RUNNING:
                self.lines[job.queue].aside[job.job_id] = job
            elif job.job_id in self.leases:
                self.lines[job.queue].leased += 1
        for job_id, until_us in self.leases.items():
            self.lease_ends.put(job_id, (until_us,))

    # -- what is remembered until it is durable ---------------------------------------------------------

    def forget(self, ended: Iterable[tuple[str, Any]]) -> None:
        """Drop what is durable by now: how jobs ended, and their fingerprints."""
        for name, what in ended:
            kept: dict[str, Any] = self.recent if type(what) is bytes else self.retired
            if kept.get(name) is what:
                del kept[name]

    # -- questions --------------------------------------------------------------------------------------

    def line(self, name: str) -> Line:
        """Return a queue's line, new if it had none."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line(name)
        return line

    def kind(self, like: Kind) -> Kind:
        """Return the one kind of these values, with a lane, new if there is none."""
        values = (like.queue, like.function, like.priority, like.retry)
        kind = self._kinds.get(values)
        if kind is None:
            if len(self._kinds) >= self._sweep_at:
                self._sweep()
            kind = self._kinds[values] = like
            self.lanes[kind] = Lane(kind, self.line(kind.queue))
        return kind

    def _sweep(self) -> None:
        """Forget kinds of which there is no job any more; the last one is kept for the jobs that follow."""
        for values, kind in list(self._kinds.items()):
            if not self.lanes[kind].size and kind is not self._last_kind:
                del self._kinds[values], self.lanes[kind]
        self._sweep_at = max(FEW_KINDS, 2 * len(self._kinds))

    def first_lane(self, context: Context) -> Lane | None:
        """Return the lane whose first job is the next to start, or None."""
        if context.served is None:
            for line in self.startable:
                if context.scheduling or line.name != FIRINGS:
                    return line.lanes.first()
            return None
        names = (*context.served, STEPS, FIRINGS) if context.scheduling else (*context.served, STEPS)
        lines = (self.lines.get(name) for name in names)
        lanes = (line.lanes.first() for line in lines if line is not None and not line.paused)
        return min((lane for lane in lanes if lane is not None), key=lambda lane: lane.rank, default=None)

    def due(self, now_us: int) -> Iterator[Job]:
        """Yield the jobs whose time has come."""
        for line in self.due_lines:
            due = line.due(now_us)
            if not due:
                return
            yield from due

    def lease_ended(self, now_us: int) -> Iterator[Job]:
        """Yield the jobs whose lease has run out."""
        for job_id in self.lease_ends:
            if self.leases[job_id] > now_us:
                return
            yield self.jobs[job_id]

    def next_wake_us(self) -> int | None:
        """Return when the next job is due or the next lease ends."""
        firsts = (self.due_lines.first_key(), self.lease_ends.first_key())
        return min((first[0] for first in firsts if first is not None), default=None)

    # -- jobs -------------------------------------------------------------------------------------------

    def _enqueued(self, event: JobEnqueued) -> None:
        spec = event.spec
        job = self._admit(spec)
        self.recent[spec.job_id] = event.digest
        self._newly_retired.append((spec.job_id, event.digest))
        if event.missing:
            job.own.missing = event.missing
            for other in dict.fromkeys(spec.after):
                self.dependents.setdefault(other, []).append(spec.job_id)
        if spec.due_us > event.at_us:
            job.own.due_us = spec.due_us
            self._park(job, _SCHEDULED, event.at_us)
        else:
            self._stand_in_line(job, event.at_us, is_new=True)

    def _admit(self, spec: JobSpec) -> Job:
        kind = self.kind(Kind(spec.queue, spec.function, spec.priority, spec.retry))
        job = self.jobs[spec.job_id] = Job(spec.job_id, kind, spec.owner, UNTOUCHED)
        lane = self.lanes[kind]
        lane.size += 1
        lane.line.count(_PENDING)
        return job

    def _place(self, kind: Kind, at_us: int, *, is_new: bool) -> int:
        """Return a place behind all others: a new number, unless the last one will do."""
        if not is_new or kind is not self._last_kind or at_us >= self._order + SHARED_US:
            self._order = max(self._order + 1, at_us)
            self._last_kind = kind
        return self._order

    def _stand_in_line(self, job: Job, at_us: int, *, is_new: bool = False) -> None:
        """Make a job that is neither ready nor waiting ready; if it depends on others, only PENDING."""
        job.order = self._place(job.kind, at_us, is_new=is_new)
        self._become(job, _PENDING)
        if job.course.missing:
            self.lines[job.queue].aside[job.job_id] = job
        else:
            self._push(job)

    def _push(self, job: Job) -> None:
        lane = self.lanes[job.kind]
        if lane.line.push(lane, job):
            self._place_line(lane.line)

    def _place_line(self, line: Line) -> None:
        first = line.lanes.first_key()
        if first is None or line.paused:
            self.startable.remove(line)
        else:
            self.startable.put(line, first)

    def _park(self, job: Job, status: JobStatus, at_us: int) -> None:
        job.order = self._place(job.kind, at_us, is_new=False)
        self._become(job, status)
        self._wait(job)

    def _wait(self, job: Job) -> None:
        line = self.lines[job.queue]
        line.wait(job)
        self._place_waiting(line)

    def _place_waiting(self, line: Line) -> None:
        due_us = line.next_due_us()
        if due_us is None:
            self.due_lines.remove(line)
        else:
            self.due_lines.put(line, (due_us,))

    def _become(self, job: Job, status: JobStatus) -> None:
        was = job.status
        if status is not was:
            counts = self.lines[job.kind.queue].counts
            counts[was] -= 1
            counts[status] = counts.get(status, 0) + 1
            job.status = status

    def _leave(self, job: Job, status: JobStatus) -> None:
        """Take a job from wherever it stands and give it a status in which it stands nowhere."""
        was = job.status
        was_ready = was is _PENDING and not job.course.missing
        self._become(job, status)
        lane = self.lanes[job.kind]
        line = lane.line
        if was_ready:
            if line.leave(lane, job):
                self._place_line(line)
        elif was in WAITING:
            line.trim_waiting()
            self._place_waiting(line)
        elif was is _RUNNING:
            if self.leases.pop(job.job_id, None) is None:
                del self.running[job.job_id]
                self.suspects -= job.course.suspect
            else:
                line.leased -= 1
                self.lease_ends.remove(job.job_id)
        else:
            del line.aside[job.job_id]
            if was is _UNRESOLVED:
                waiting = self.unresolved[job.kind.function]
                del waiting[job.job_id]
                if not waiting:
                    del self.unresolved[job.kind.function]

    def _end(self, job: Job, status: JobStatus, at_us: int, error: str = "", note: bytes = b"") -> None:
        self._leave(job, status)
        del self.jobs[job.job_id]
        self.lanes[job.kind].size -= 1
        self.dependents.pop(job.job_id, None)
        course = job.course
        self.retire(job.job_id, Retired(status, course.attempt, course.charged, error, at_us, note))

    def _on_ready(self, event: JobReady) -> None:
        job = self.jobs[event.job_id]
        if job.course.missing and job.status is _PENDING:
            self._leave(job, _PENDING)
            job.own.missing = 0
        else:
            self._leave(job, _PENDING)
        self._stand_in_line(job, event.at_us)

    def _on_unblocked(self, event: JobUnblocked) -> None:
        self.jobs[event.job_id].own.missing -= 1

    def _on_started(self, event: JobStarted) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _RUNNING)
        course = job.own
        course.attempt = event.attempt
        course.epoch = event.epoch
        course.counted = not event.behind
        if self.zombies:  # those of a process that has ended hold no worker of this one
            self.zombies = {key: owner for key, owner in self.zombies.items() if key.epoch >= event.epoch}
        self.running[job.job_id] = job
        self.suspects += course.suspect

    def _on_leased(self, event: JobLeased) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _RUNNING)
        job.own.attempt = event.attempt
        job.own.epoch = event.epoch
        self.leases[job.job_id] = event.until_us
        self.lease_ends.put(job.job_id, (event.until_us,))
        self.lines[job.queue].leased += 1

    def _on_completed(self, event: JobCompleted) -> None:
        job = self.jobs[event.job_id]
        job.own.charged += 1
        if job.job_id in self.running:
            function = job.kind.function
            known = self.run_us.get(function, event.run_us)
            self.run_us[function] = (known * 7 + event.run_us) // 8
        self._end(job, JobStatus.COMPLETED, event.at_us, note=event.note)

    def _on_retrying(self, event: JobRetrying) -> None:
        job = self.jobs[event.job_id]
        job.own.charged += 1
        self._leave(job, _RETRYING)
        self.lines[job.queue].retried += 1
        job.own.due_us = event.due_us
        if event.due_us > event.at_us:
            self._park(job, _RETRYING, event.at_us)
        else:
            self._stand_in_line(job, event.at_us)

    def _on_failed(self, event: JobFailed) -> None:
        job = self.jobs[event.job_id]
        if job.status is _RUNNING:
            job.own.charged += 1
        self._end(job, JobStatus.FAILED, event.at_us, event.error)

    def _on_interrupted(self, event: AttemptInterrupted) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _PENDING)
        job.own.charged += event.charged
        job.own.suspect = job.own.suspect or event.reason == PROCESS_ENDED
        self._stand_in_line(job, event.at_us)

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
        self.unresolved.setdefault(job.kind.function, {})[job.job_id] = None
        self.lines[job.queue].aside[job.job_id] = job

    def _on_retried(self, event: JobRetried) -> None:
        spec = event.spec
        self.line(spec.queue).count(JobStatus(event.was), -1)
        self.retired.pop(spec.job_id, None)
        job = self._admit(spec)
        job.own.attempt = event.attempts
        self._stand_in_line(job, event.at_us, is_new=True)

    # -- queues -----------------------------------------------------------------------------------------

    def _on_paused(self, event: QueuePaused) -> None:
        line = self.line(event.queue)
        line.paused = True
        self._place_line(line)

    def _on_resumed(self, event: QueueResumed) -> None:
        line = self.line(event.queue)
        line.paused = False
        self._place_line(line)
