"""Where jobs stand, and how they get from one place to another."""

from __future__ import annotations

import heapq
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors.queue.hall import Hall
from actors.queue.heads import Heads
from actors.queue.jobs import UNTOUCHED, WAITING, Job, Kind
from actors.queue.lines import Line
from actors.queue.resources import Resources
from actors.queue.specs import JobStatus, Scope, Terms
from actors.queue.unique import UniqueKeys
from actors.runtime.effects import AttemptKey
from actors.runtime.state import FoldedState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actors.queue.specs import JobLife, JobSpec


SHARED_US = 10_000
"""Jobs that come to one lane, one behind the other, within so long share a place: order is kept by the lane."""
NO_TERMS = Terms()

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_UNRESOLVED = JobStatus.UNRESOLVED
_WHILE_PENDING = Scope.PENDING


def waits_for(spec: JobSpec) -> dict[str, None]:
    """Return the jobs whose end a job waits for, each once."""
    failing = () if spec.terms is None or not spec.terms.on_failure_of else (spec.terms.on_failure_of,)
    return dict.fromkeys((*spec.after, *failing))


def _due(job: Job) -> tuple[int, int]:
    return job.course.due_us, job.order


class Retired(msgspec.Struct, frozen=True, gc=False):
    """What memory keeps of an ended job until the end is durable."""

    status: JobStatus
    attempt: int
    charged: int
    error: str
    ended_us: int
    note: bytes = b""
    queue: str = ""


class QueueFloor(FoldedState[Retired]):
    """What the queue knows, and the moves of which its events consist."""

    hall_type: ClassVar[type[Hall]] = Hall

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.recent: dict[str, bytes] = {}
        """Fingerprints of jobs whose first event may not be durable: the others are looked up. Not in `dump`."""
        self.fresh: dict[str, JobSpec] = {}
        """Jobs as they were enqueued, the last ones: what starts soon need not be looked up. Not in `dump`."""
        self.resources = Resources()
        self.hall = self.hall_type(self.resources, self.jobs)
        self.lines = self.hall.lines
        self.lanes = self.hall.lanes
        self.unique = UniqueKeys()
        self.due_lines: Heads[Line] = Heads()
        """Queues with jobs that wait for an instant, by the first of these."""
        self.running: dict[str, Job] = {}
        """Given to the executor and not ended."""
        self.zombies: dict[AttemptKey, tuple[str, Kind]] = {}
        """Attempts that still hold a worker though nobody waits for them; with the job's owner and kind."""
        self.outlived: dict[tuple[str, int], AttemptKey] = {}
        """Their keys by job and number, of which there is one each: numbers go on over restarts."""
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
        self._silence_us: int | None = None
        """What `next_silence_us` has found, and when it was last asked: no part of the state."""
        self._silence_seen_us = 0
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
        self._timed = (self.due_lines, self.lease_ends, self.first_deadlines, self.hall.opening)
        self._order = 0

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

    def due(self, now_us: int, most: int) -> Iterator[Job]:
        """Return jobs whose time has come, of all queues, in the order of these times: so many at most."""
        first = islice(self.due_lines, most)  # the queues behind them have their first ones later
        found = [line.due(now_us) for line in first]
        due = heapq.merge(*found, key=_due) if len(found) > 1 else chain(*found)
        return islice(due, most)

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
        return beats.get(job.key, self.pulses[job.job_id])

    def next_silence_us(self, beats: Mapping[AttemptKey, int], now_us: int) -> int | None:
        """Return an instant before which no running job will have been silent for too long; None without any.

        Signs of life only put it off, so it is found anew when it has come, and not at each of them: then it is the
        instant itself. Not while some are of a time that is still ahead, as the clock was set back: the next are
        earlier.
        """
        if not self.pulses:
            return None
        silence_us = self._silence_us
        if silence_us is None or silence_us <= now_us or now_us < self._silence_seen_us:
            jobs = [self.running[job_id] for job_id in self.pulses]
            since = [(self.silent_since_us(job, beats), job.kind.life) for job in jobs]
            silence_us = min(since_us + life.heartbeat_us for since_us, life in since if life is not None)
            is_set_back = any(since_us > now_us for since_us, _ in since)
            self._silence_us = None if is_set_back else silence_us
        self._silence_seen_us = now_us
        return silence_us

    def next_wake_us(self) -> int | None:
        """Return when the next job is due, lease or deadline ends, or a rate lets somebody through."""
        wake_us = None
        for heads in self._timed:
            if heads.heap:
                first_us = heads.heap[0][0][0]
                if wake_us is None or first_us < wake_us:
                    wake_us = first_us
        return wake_us

    # -- moves------------------------------------------------------------------------------------------

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
        lane.line.counts[_PENDING] += 1
        if terms is not None and terms.unique is not None:
            job.own.unique = terms.unique.key
            job.own.scope = terms.unique.scope
            self.unique.take(spec.queue, terms.unique, job.job_id, at_us)
        return job

    def _set_deadline(self, job_id: str, at_us: int) -> None:
        """Give a job its deadline, in place of the one it had; 0: it has none now.

        Those of one instant are met in the order in which they were given, so a snapshot has them in that.
        """
        if at_us:
            if self.deadlines.get(job_id, at_us) != at_us:
                del self.deadlines[job_id]
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
            counts[status] += 1
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
            counts[status] += 1
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

    def _outlive(self, job: Job) -> None:
        """Note that the running attempt of a job will go on without it."""
        key = job.key
        self.zombies[key] = (job.owner, job.kind)
        self.outlived[key.job_id, key.attempt] = key

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
            if self._silence_us is not None:
                self._silence_us = min(self._silence_us, at_us + life.heartbeat_us)
        self._set_deadline(job.job_id, at_us + life.timeout_us if life.timeout_us else 0)

    def _begin(self, job: Job, at_us: int) -> None:
        """Take a job from where it stands, as an attempt begins."""
        kind, course = job.kind, job.course
        line = self.lanes[kind].line
        if job.status is _PENDING and not course.missing:
            job.status = _RUNNING
            counts = line.counts
            counts[_PENDING] -= 1
            counts[_RUNNING] += 1
            if course.scope is _WHILE_PENDING:
                self.unique.release(job)
            if not line.is_loose:
                self.hall.leave(job)
        else:
            self._leave(job, _RUNNING)
        waited_us = at_us - job.order
        line.tallies.waits.add(waited_us if waited_us > 0 else 0)  # noqa: FURB136 -- on the way of every job
        self.hall.take(kind, at_us)

    def _await_function(self, job: Job) -> None:
        self._become(job, _UNRESOLVED)
        self.unresolved.setdefault(job.kind.function, {})[job.job_id] = None
        self.lines[job.queue].aside[job.job_id] = job

    def _holders(self) -> list[Kind]:
        """Return the kinds of all attempts that have begun and not ended."""
        jobs = (*self.running.values(), *(self.jobs[job_id] for job_id in self.leases))
        return [*(job.kind for job in jobs), *(kind for _, kind in self.zombies.values())]
