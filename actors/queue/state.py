"""What the queue knows: live jobs only, in the order in which they will start."""

from __future__ import annotations

import heapq
from itertools import chain, groupby, repeat
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors.queue.events import (
    AttemptInterrupted,
    AttemptPrinted,
    AttemptRefused,
    AttemptTimedOut,
    BatchStarted,
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobMoved,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnblocked,
    JobUnresolved,
    QueueConfigured,
    QueueDraining,
    QueuePaused,
    QueueResumed,
    ResourceAdded,
    ResourceEnding,
    ResourceGranted,
    ResourceReleased,
    ResourceRemoved,
    ResourceRequested,
)
from actors.queue.hall import Hall
from actors.queue.heads import Heads
from actors.queue.lanes import UNTOUCHED, WAITING, Course, Job, Kind, Line
from actors.queue.resources import Resources
from actors.queue.specs import NO_LIFE, JobStatus, Scope, Terms
from actors.queue.unique import UniqueKeys
from actors.runtime.effects import AttemptKey
from actors.runtime.state import FoldedState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actors.queue.specs import JobLife, JobSpec


NOT_STARTED = "not started in time"
"""What is said of an expired job."""
PROCESS_ENDED = "process ended"
"""The reason of an interruption that makes a job suspect of having caused it."""
COURSE = Course.__struct_fields__
FRESH_JOBS, FRESH_BYTES = 1_024, 256
"""So many jobs, with so short arguments at most, are remembered as they were enqueued until they start."""
SHARED_US = 10_000
"""Jobs that come to one lane, one behind the other, within so long share a place: order is kept by the lane."""

NO_TERMS = Terms()

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_SCHEDULED = JobStatus.SCHEDULED
_RETRYING = JobStatus.RETRYING
_UNRESOLVED = JobStatus.UNRESOLVED
_COMPLETED = JobStatus.COMPLETED
_CANCELLED = JobStatus.CANCELLED
_WHILE_PENDING = Scope.PENDING


def waits_for(spec: JobSpec) -> dict[str, None]:
    """Return the jobs whose end a job waits for, each once."""
    failing = () if spec.terms is None or not spec.terms.on_failure_of else (spec.terms.on_failure_of,)
    return dict.fromkeys((*spec.after, *failing))


class Retired(msgspec.Struct, frozen=True, gc=False):
    """What memory keeps of an ended job until the end is durable."""

    status: JobStatus
    attempt: int
    charged: int
    error: str
    ended_us: int
    note: bytes = b""
    queue: str = ""


class QueueState(FoldedState[Retired]):
    """The fold of the queue's events."""

    hall_type: ClassVar[type[Hall]] = Hall

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.recent: dict[str, bytes] = {}
        """Fingerprints of jobs whose first event may not be durable: the others are looked up. Not in `dump`."""
        self.fresh: dict[str, JobSpec] = {}
        """Jobs as they were enqueued, the last ones: what starts soon need not be looked up. Not in `dump`."""
        self.resources = Resources()
        self.hall = self.hall_type(self.resources)
        self.lines = self.hall.lines
        self.lanes = self.hall.lanes
        self.unique = UniqueKeys()
        self.due_lines: Heads[Line] = Heads()
        """Queues with jobs that wait for an instant, by the first of these."""
        self.running: dict[str, Job] = {}
        """Given to the executor and not ended."""
        self.zombies: dict[AttemptKey, tuple[str, Kind]] = {}
        """Attempts that still hold a worker though nobody waits for them; with the job's owner and kind."""
        self.leases: dict[str, int] = {}
        """Jobs taken by hand, and until when (µs UTC)."""
        self.lease_ends: Heads[str] = Heads()
        self.expiries: dict[str, int] = {}
        """From when on (µs UTC) no attempt of a job may begin; only of jobs of which that is said."""
        self.deadlines: dict[str, int] = {}
        """Until when a waiting job must have begun, a running attempt have ended (µs UTC)."""
        self.first_deadlines: Heads[str] = Heads()
        self.pulses: dict[str, int] = {}
        """Running jobs that must give signs of life, and when they began (µs UTC)."""
        self.batches: dict[AttemptKey, set[AttemptKey]] = {}
        """Attempts that are made in one call and have not ended: by each of them, all of them."""
        self.riders = 0
        """Attempts that have no worker of their own, as another one of their batch has it."""
        self.suspects = 0
        """Running jobs that may kill the process."""
        self.unresolved: dict[str, dict[str, None]] = {}
        """Jobs that wait for a function, by the function's name."""
        self.dependents: dict[str, list[str]] = {}
        """Jobs that wait for another job."""
        self.run_us: dict[str, int] = {}
        """How long each function takes, the newest of its runs an eighth of it."""
        self.draining: set[str] = set()
        """Queues that take no more jobs on."""
        self._order = 0
        self.handlers = {
            JobEnqueued: self._enqueued,
            JobReady: self._on_ready,
            JobUnblocked: self._on_unblocked,
            JobStarted: self._on_started,
            BatchStarted: self._on_batch,
            JobLeased: self._on_leased,
            JobCompleted: self._on_completed,
            JobRetrying: self._on_retrying,
            JobFailed: self._on_failed,
            AttemptInterrupted: self._on_interrupted,
            AttemptRefused: self._on_refused,
            AttemptPrinted: self._on_printed,
            AttemptTimedOut: self._on_timed_out,
            JobSnoozed: self._on_snoozed,
            JobExpired: self._on_expired,
            JobCancelled: self._on_cancelled,
            JobUnresolved: self._on_unresolved,
            JobRetried: self._on_retried,
            JobDiscarded: self._on_discarded,
            JobMoved: self._on_moved,
            QueuePaused: self._on_paused,
            QueueResumed: self._on_resumed,
            QueueDraining: self._on_draining,
            QueueConfigured: self._on_configured,
            ResourceAdded: self._on_added,
            ResourceRequested: self.resources.requested,
            ResourceGranted: self._on_granted,
            ResourceReleased: self._on_released,
            ResourceEnding: self.resources.on_ending,
            ResourceRemoved: self._on_removed,
        }

    # -- what the runtime asks of every state -----------------------------------------------------------

    def dump(self) -> Any:
        """Give the state as plain data."""
        kinds: dict[Kind, int] = {}
        jobs = self._dump_jobs(kinds)
        zombies = [
            (tuple(key), owner, kinds.setdefault(kind, len(kinds)))
            for key, (owner, kind) in self.zombies.items()
        ]
        last = self.hall.last_kind and kinds.setdefault(self.hall.last_kind, len(kinds))
        return {
            "kinds": [msgspec.to_builtins(kind) for kind in kinds],
            "last": last,
            "jobs": jobs,
            "lines": [
                (line.name, line.paused, line.retried, list(line.counts.items()), line.tallies.dump())
                for line in self.lines.values()
            ],
            "running": list(self.running),
            "hall": (self.hall.newest_us, self.hall.dump(self._order)),
            "unique": self.unique.dump(),
            "zombies": zombies,
            "batches": sorted({tuple(sorted(batch)) for batch in self.batches.values()}),
            "leases": list(self.leases.items()),
            "expiries": list(self.expiries.items()),
            "pulses": list(self.pulses.items()),
            "deadlines": list(self.deadlines.items()),
            "unresolved": [(function, list(jobs)) for function, jobs in self.unresolved.items()],
            "dependents": [(job_id, list(waiting)) for job_id, waiting in self.dependents.items()],
            "run_us": list(self.run_us.items()),
            "draining": sorted(self.draining),
            "resources": self.resources.dump(),
            "order": self._order,
        }

    @classmethod
    def restore(cls, image: Any) -> QueueState:
        """Return the state whose `dump` was `image`."""
        state = cls()
        for name, paused, retried, counts, tallies in image["lines"]:
            line = state.hall.line(name)
            line.retried = retried
            line.paused = paused
            line.tallies.restore(tallies)
            line.counts = {JobStatus(status): count for status, count in counts}
        kinds = [state.hall.kind(msgspec.convert(kind, Kind).values) for kind in image["kinds"]]
        state._restore_jobs(image["jobs"], kinds)
        state.leases = dict(image["leases"])
        state.expiries = dict(image["expiries"])
        state.pulses = dict(image["pulses"])
        for job_id, at_us in image["deadlines"]:
            state._set_deadline(job_id, at_us)
        state.running = {job_id: state.jobs[job_id] for job_id in image["running"]}
        for batch in image["batches"]:
            state._ride_together({AttemptKey(*key) for key in batch})
        state.suspects = sum(job.course.suspect for job in state.running.values())
        state.zombies = {AttemptKey(*key): (owner, kinds[kind]) for key, owner, kind in image["zombies"]}
        state.hall.last_kind = None if image["last"] is None else kinds[image["last"]]
        state.resources.restore(image["resources"])
        state._restore_hall(*image["hall"])
        state._restore_places()
        state.unique.restore(image["unique"], state.jobs)
        state.hall.restore_turns(image["hall"][1])
        state.unresolved = {function: dict.fromkeys(jobs) for function, jobs in image["unresolved"]}
        state.dependents = {job_id: list(waiting) for job_id, waiting in image["dependents"]}
        state.run_us = dict(image["run_us"])
        state.draining = set(image["draining"])
        state._order = image["order"]
        return state

    def _dump_jobs(self, kinds: dict[Kind, int]) -> Any:
        """Give the jobs by columns, and of what most have in common only the exceptions."""
        jobs = list(self.jobs.values())
        for job in jobs:
            kinds.setdefault(job.kind, len(kinds))
        return {
            "ids": list(self.jobs),
            "kinds": [(kinds[kind], len(list(same))) for kind, same in groupby(job.kind for job in jobs)],
            "orders": [(order, len(list(same))) for order, same in groupby(job.order for job in jobs)],
            "owners": [(n, job.owner) for n, job in enumerate(jobs) if job.owner],
            "statuses": [(n, job.status.value) for n, job in enumerate(jobs) if job.status is not _PENDING],
            "courses": [
                (n, msgspec.structs.astuple(job.course))
                for n, job in enumerate(jobs)
                if job.course is not UNTOUCHED
            ],
        }

    def _restore_jobs(self, image: Any, kinds: list[Kind]) -> None:
        orders = chain.from_iterable(repeat(order, count) for order, count in image["orders"])
        kind_of = chain.from_iterable(repeat(kinds[kind], count) for kind, count in image["kinds"])
        jobs = [
            Job(job_id, kind, "", UNTOUCHED, _PENDING, order)
            for job_id, kind, order in zip(image["ids"], kind_of, orders, strict=True)
        ]
        for n, owner in image["owners"]:
            jobs[n].owner = owner
        for n, status in image["statuses"]:
            jobs[n].status = JobStatus(status)
        for n, course in image["courses"]:
            jobs[n].course = msgspec.convert(dict(zip(COURSE, course, strict=True)), Course)
        for job in jobs:
            self.jobs[job.job_id] = job
            self.lanes[job.kind].size += 1

    def _restore_hall(self, newest_us: int, image: Any) -> None:
        for _, kind in self.zombies.values():
            self.lanes[kind].size += 1
        for kind in self._holders():
            self.resources.take(self.lanes[kind].needs)
        self.hall.newest_us = newest_us
        self.hall.restore(image, self._holders())

    def _holders(self) -> list[Kind]:
        """Return the kinds of all attempts that have begun and not ended."""
        jobs = (*self.running.values(), *(self.jobs[job_id] for job_id in self.leases))
        return [*(job.kind for job in jobs), *(kind for _, kind in self.zombies.values())]

    def _restore_places(self) -> None:
        for job in sorted(self.jobs.values(), key=lambda job: job.order):
            if job.is_ready:
                self.hall.push(job)
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

    def begin_past(self) -> None:
        super().begin_past()
        self.hall.begin_past()

    def end_past(self) -> None:
        super().end_past()
        self.hall.end_past()

    # -- questions --------------------------------------------------------------------------------------

    def due(self, now_us: int) -> Iterable[Job]:
        """Return the jobs whose time has come, of all queues, in the order of these times."""
        found = []
        for line in self.due_lines:
            due = line.due(now_us)
            if not due:
                break
            found.append(due)
        if len(found) == 1:
            return found[0]
        return heapq.merge(*found, key=lambda job: (job.course.due_us, job.order))

    def lease_ended(self, now_us: int) -> Iterator[Job]:
        """Yield the jobs whose lease has run out."""
        for job_id in self.lease_ends:
            if self.leases[job_id] > now_us:
                return
            yield self.jobs[job_id]

    def past_deadline(self, now_us: int) -> Iterator[Job]:
        """Yield the jobs whose deadline has come."""
        for job_id in self.first_deadlines:
            if self.deadlines[job_id] > now_us:
                return
            yield self.jobs[job_id]

    def is_late(self, job: Job, now_us: int) -> bool:
        """Whether a job's deadline has come."""
        deadline_us = self.deadlines.get(job.job_id)
        return deadline_us is not None and deadline_us <= now_us

    def silent_since_us(self, job: Job, beats: Mapping[AttemptKey, int]) -> int:
        """Return when a running job that must give signs of life gave the last one."""
        return max(self.pulses[job.job_id], beats.get(job.key, 0))

    def next_silence_us(self, beats: Mapping[AttemptKey, int]) -> int | None:
        """Return when the first running job will have been silent for too long."""
        jobs = [self.running[job_id] for job_id in self.pulses]
        ends = [
            self.silent_since_us(job, beats) + job.kind.life.heartbeat_us
            for job in jobs
            if job.kind.life is not None
        ]
        return min(ends, default=None)

    def next_wake_us(self) -> int | None:
        """Return when the next job is due, lease or deadline ends, or a rate lets somebody through."""
        firsts = (
            self.due_lines.first_key(),
            self.lease_ends.first_key(),
            self.first_deadlines.first_key(),
            self.hall.first_opening(),
        )
        return min((first[0] for first in firsts if first is not None), default=None)

    # -- jobs -------------------------------------------------------------------------------------------

    def _enqueued(self, event: JobEnqueued) -> None:
        spec = event.spec
        job = self._admit(spec, event.at_us)
        life = spec.life
        if life is not None and (expires_us := life.expiry_us(event.at_us)):
            self.expiries[spec.job_id] = expires_us
            self._set_deadline(spec.job_id, expires_us)
        if not self.is_past:
            self.recent[spec.job_id] = event.digest
            self._newly_retired.append((spec.job_id, event.digest))
            if len(self.fresh) < FRESH_JOBS and len(spec.payload) <= FRESH_BYTES:
                self.fresh[spec.job_id] = spec
        if event.missing:
            job.own.missing = event.missing
            if spec.terms is not None and spec.terms.on_failure_of:
                job.own.on_failure_of = spec.terms.on_failure_of
            for other in waits_for(spec):
                self.dependents.setdefault(other, []).append(spec.job_id)
        if spec.due_us > event.at_us:
            job.own.due_us = spec.due_us
            self._park(job, _SCHEDULED, event.at_us)
        elif event.missing:
            self._stand_in_line(job, event.at_us, is_new=True)
        else:
            job.order = self._place(job.kind, event.at_us, is_new=True)
            self.hall.push(job)

    def _admit(self, spec: JobSpec, at_us: int) -> Job:
        values: tuple[Any, ...] = (spec.queue, spec.function, spec.priority, spec.retry)
        terms = spec.terms
        if spec.life is not None and (life := spec.life.shared) is not None:
            given = terms or NO_TERMS
            values += (given.key, given.group, given.resources, given.backoff, life)
        elif terms is not None and (
            terms.key or terms.group or terms.resources or terms.backoff or terms.batch
        ):
            values += (terms.key, terms.group, terms.resources, terms.backoff)
        if terms is not None and terms.batch:
            values = (*values[:8], spec.life and spec.life.shared, terms.batch)
        kind = self.hall.kind(values)
        job = self.jobs[spec.job_id] = Job(spec.job_id, kind, spec.owner, UNTOUCHED)
        lane = self.lanes[kind]
        lane.size += 1
        counts = lane.line.counts
        counts[_PENDING] = counts.get(_PENDING, 0) + 1
        if terms is not None and terms.unique is not None:
            job.own.unique = terms.unique.key
            job.own.scope = terms.unique.scope
            self.unique.take(spec.queue, terms.unique, job.job_id, at_us)
        return job

    def _set_deadline(self, job_id: str, at_us: int) -> None:
        """Give a job its deadline, in place of the one it had; 0: it has none now."""
        if at_us:
            self.deadlines[job_id] = at_us
            self.first_deadlines.put(job_id, (at_us,))
        elif self.deadlines.pop(job_id, 0):
            self.first_deadlines.remove(job_id)

    def _await_start(self, job: Job) -> None:
        """Note that a job whose attempt is over waits again."""
        if self.deadlines or self.expiries:
            self._set_deadline(job.job_id, self.expiries.get(job.job_id, 0))

    def _place(self, kind: Kind, at_us: int, *, is_new: bool) -> int:
        """Return a place behind all others: a new number, unless the last one will do."""
        if not is_new or kind is not self.hall.last_kind or at_us >= self._order + SHARED_US:
            self._order = max(self._order + 1, at_us)
            self.hall.last_kind = kind
        return self._order

    def _stand_in_line(self, job: Job, at_us: int, *, is_new: bool = False) -> None:
        """Make a job that is neither ready nor waiting ready; if it depends on others, only PENDING."""
        job.order = self._place(job.kind, at_us, is_new=is_new)
        self._become(job, _PENDING)
        if job.course.missing:
            self.lines[job.queue].aside[job.job_id] = job
        else:
            self.hall.push(job)

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
            counts = self.lanes[job.kind].line.counts
            counts[was] -= 1
            counts[status] = counts.get(status, 0) + 1
            job.status = status

    def _leave(self, job: Job, status: JobStatus) -> None:
        """Take a job from wherever it stands and give it a status in which it stands nowhere."""
        was = job.status
        self._become(job, status)
        if was is _RUNNING:
            self._leave_worker(job)
            return
        if was is _PENDING and not job.course.missing:
            self.hall.leave(job)
            return
        line = self.lines[job.queue]
        if was in WAITING:
            line.trim_waiting()
            self._place_waiting(line)
        else:
            del line.aside[job.job_id]
            if was is _UNRESOLVED:
                waiting = self.unresolved[job.kind.function]
                del waiting[job.job_id]
                if not waiting:
                    del self.unresolved[job.kind.function]

    def _leave_worker(self, job: Job) -> None:
        """Note that an attempt is over."""
        self.hall.give(job.kind)
        if self.running.pop(job.job_id, None) is None:
            del self.leases[job.job_id]
            self.lease_ends.remove(job.job_id)
            self.lines[job.queue].leased -= 1
            return
        if self.pulses:
            self.pulses.pop(job.job_id, None)
        if self.batches and job.key not in self.zombies:
            self._leave_batch(job.key)
        if job.course.suspect:
            self.suspects -= 1

    def _end(self, job: Job, status: JobStatus, at_us: int, error: str = "", note: bytes = b"") -> None:
        job_id, kind, course = job.job_id, job.kind, job.course
        lane = self.lanes[kind]
        if job.status is _RUNNING:
            job.status = status
            counts = lane.line.counts
            counts[_RUNNING] -= 1
            counts[status] = counts.get(status, 0) + 1
            self._leave_worker(job)
        else:
            self._leave(job, status)
        del self.jobs[job_id]
        lane.size -= 1
        if self.fresh:
            self.fresh.pop(job_id, None)
        if self.dependents:
            self.dependents.pop(job_id, None)
        if course.unique:
            self.unique.release(job)
        if self.deadlines or self.expiries:
            self.expiries.pop(job_id, None)
            self._set_deadline(job_id, 0)
        if not self.is_past:
            self.retire(
                job_id, Retired(status, course.attempt, course.charged, error, at_us, note, kind.queue)
            )

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
        job_id = event.job_id
        job = self.jobs[job_id]
        self._begin(job, event.at_us)
        course = job.course
        if course is UNTOUCHED:
            course = job.course = Course(event.attempt, 0, not event.behind, epoch=event.epoch)
        else:
            course.attempt = event.attempt
            course.epoch = event.epoch
            course.counted = not event.behind
        self.running[job_id] = job
        if self.fresh:
            self.fresh.pop(job_id, None)
        if course.suspect:
            self.suspects += 1
        life = job.kind.life
        if life is not None or self.expiries:
            self._limit(job, life or NO_LIFE, event.at_us)

    def _on_batch(self, event: BatchStarted) -> None:
        attempts = ((event.job_id, event.attempt), *event.others)
        self._ride_together({AttemptKey(*attempt, event.epoch) for attempt in attempts})

    def _ride_together(self, batch: set[AttemptKey]) -> None:
        for key in batch:
            self.batches[key] = batch
        self.riders += len(batch) - 1

    def _leave_batch(self, key: AttemptKey) -> None:
        """Note that an attempt is over; if there are others left in its batch, one of them has the worker."""
        batch = self.batches.pop(key, None)
        if batch is not None:
            batch.remove(key)
            self.riders -= bool(batch)

    def _limit(self, job: Job, life: JobLife, at_us: int) -> None:
        """Set the limits of an attempt."""
        if life.heartbeat_us:
            self.pulses[job.job_id] = at_us
        self._set_deadline(job.job_id, at_us + life.timeout_us if life.timeout_us else 0)

    def _begin(self, job: Job, at_us: int) -> None:
        """Take a job from where it stands, as an attempt begins."""
        kind, course = job.kind, job.course
        line = self.lanes[kind].line
        if job.status is _PENDING and not course.missing:
            job.status = _RUNNING
            counts = line.counts
            counts[_PENDING] -= 1
            counts[_RUNNING] = counts.get(_RUNNING, 0) + 1
            if course.scope is _WHILE_PENDING:
                self.unique.release(job)
            self.hall.leave(job)
        else:
            self._leave(job, _RUNNING)
        waited_us = at_us - job.order
        line.tallies.waits.add(waited_us if waited_us > 0 else 0)  # noqa: FURB136 -- on the way of every job
        self.hall.take(kind, at_us)

    def _on_leased(self, event: JobLeased) -> None:
        job = self.jobs[event.job_id]
        self._begin(job, event.at_us)
        job.own.attempt = event.attempt
        job.own.epoch = event.epoch
        self.leases[job.job_id] = event.until_us
        self.lease_ends.put(job.job_id, (event.until_us,))
        self.lines[job.queue].leased += 1
        self._set_deadline(job.job_id, 0)

    def _on_completed(self, event: JobCompleted) -> None:
        job_id, run_us = event.job_id, event.run_us
        job = self.jobs[job_id]
        job.own.charged += 1
        if job_id in self.running:
            kind = job.kind
            function = kind.function
            self.run_us[function] = (self.run_us.get(function, run_us) * 7 + run_us) // 8
            self.lanes[kind].line.tallies.completed(function, run_us, event.at_us)
        self._end(job, _COMPLETED, event.at_us, "", event.note)

    def _on_retrying(self, event: JobRetrying) -> None:
        job = self.jobs[event.job_id]
        job.own.charged += 1
        self._leave(job, _RETRYING)
        self._await_start(job)
        line = self.lines[job.queue]
        line.retried += 1
        line.retrying(event.due_us, event.at_us)
        job.own.due_us = event.due_us
        if event.due_us > event.at_us:
            self._park(job, _RETRYING, event.at_us)
        else:
            self._stand_in_line(job, event.at_us)

    def _on_failed(self, event: JobFailed) -> None:
        job = self.jobs[event.job_id]
        if job.status is _RUNNING:
            job.own.charged += 1
        failed = self.lines[job.queue].tallies.failed
        failed[job.kind.function] = failed.get(job.kind.function, 0) + 1
        self._end(job, JobStatus.FAILED, event.at_us, event.error)

    def _on_interrupted(self, event: AttemptInterrupted) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _PENDING)
        job.own.charged += event.charged
        job.own.suspect = job.own.suspect or event.reason == PROCESS_ENDED
        self._await_start(job)
        self._stand_in_line(job, event.at_us)

    def _on_refused(self, event: AttemptRefused) -> None:
        for key in [key for key in self.zombies if key[:2] == (event.job_id, event.attempt)]:
            _, kind = self.zombies.pop(key)
            self._leave_batch(key)
            self.hall.let_go(kind)

    def _on_printed(self, event: AttemptPrinted) -> None:
        """Remember nothing: the log has it."""

    def _on_timed_out(self, event: AttemptTimedOut) -> None:
        job = self.jobs[event.job_id]
        self.zombies[job.key] = (job.owner, job.kind)
        self.hall.hold(job.kind)

    def _on_snoozed(self, event: JobSnoozed) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _SCHEDULED)
        self._await_start(job)
        job.own.due_us = event.due_us
        self._park(job, _SCHEDULED, event.at_us)

    def _on_expired(self, event: JobExpired) -> None:
        self._end(self.jobs[event.job_id], JobStatus.EXPIRED, event.at_us, NOT_STARTED)

    def _on_cancelled(self, event: JobCancelled) -> None:
        job = self.jobs[event.job_id]
        if job.job_id in self.running:
            self.zombies[job.key] = (job.owner, job.kind)
            self.hall.hold(job.kind)
        self._end(job, JobStatus.CANCELLED, event.at_us, event.reason)

    def _on_unresolved(self, event: JobUnresolved) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _UNRESOLVED)
        self._await_start(job)
        self._await_function(job)

    def _await_function(self, job: Job) -> None:
        self._become(job, _UNRESOLVED)
        self.unresolved.setdefault(job.kind.function, {})[job.job_id] = None
        self.lines[job.queue].aside[job.job_id] = job

    def _on_retried(self, event: JobRetried) -> None:
        spec = event.spec
        self.hall.line(spec.queue).count(JobStatus(event.was), -1)
        self.retired.pop(spec.job_id, None)
        job = self._admit(spec, event.at_us)
        job.own.attempt = event.attempts
        self._stand_in_line(job, event.at_us, is_new=True)

    def _on_discarded(self, event: JobDiscarded) -> None:
        line = self.hall.line(event.queue)
        line.count(JobStatus(event.was), -1)
        line.count(_CANCELLED)
        self.retire(
            event.job_id, Retired(_CANCELLED, event.attempt, 0, event.reason, event.at_us, b"", event.queue)
        )

    def _on_moved(self, event: JobMoved) -> None:
        """Have another one of it stand there, as if it had come now; the one that stood here is passed over."""
        before = self.jobs[event.job_id]
        status, lane = before.status, self.lanes[before.kind]
        self._leave(before, _CANCELLED)
        lane.size -= 1
        lane.line.count(_CANCELLED, -1)
        kind = self.hall.kind((event.queue, *before.kind.values[1:]))
        job = self.jobs[event.job_id] = Job(event.job_id, kind, before.owner, before.course)
        self.lanes[kind].size += 1
        self.lanes[kind].line.count(_PENDING)
        self.unique.move(before, event.queue)
        if status in WAITING:
            self._park(job, status, event.at_us)
        elif status is _UNRESOLVED:
            self._await_function(job)
        else:
            self._stand_in_line(job, event.at_us, is_new=True)

    # -- queues -----------------------------------------------------------------------------------------

    def _on_paused(self, event: QueuePaused) -> None:
        self.hall.pause(self.hall.line(event.queue), paused=True)

    def _on_resumed(self, event: QueueResumed) -> None:
        self.hall.pause(self.hall.line(event.queue), paused=False)
        self.draining.discard(event.queue)

    def _on_draining(self, event: QueueDraining) -> None:
        self.hall.line(event.queue)
        self.draining.add(event.queue)

    def _on_configured(self, event: QueueConfigured) -> None:
        self.hall.configure(self.hall.line(event.queue), event.settings, self._holders())

    # -- resources --------------------------------------------------------------------------------------

    def _on_added(self, event: ResourceAdded) -> None:
        self.resources.added(event)
        self.hall.stir_resources((event.name,))

    def _on_removed(self, event: ResourceRemoved) -> None:
        self.resources.removed(event)
        self.hall.forget_resource(event.name)

    def _on_granted(self, event: ResourceGranted) -> None:
        self.resources.granted(event)
        self.hall.stir_resources(name for name, _ in event.amounts)

    def _on_released(self, event: ResourceReleased) -> None:
        names = self.resources.names_of(event.allocation_id)
        self.resources.released(event)
        self.hall.stir_resources(names)
