"""What the queue knows: live jobs only, in the order in which they will start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from actors.queue.floor import Retired, waits_for
from actors.queue.image import QueueImage
from actors.queue.jobs import UNTOUCHED, WAITING, Course, Job
from actors.queue.specs import NO_LIFE, JobStatus
from actors.runtime.effects import AttemptKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.messages import Event

NOT_STARTED = "not started in time"
"""What is said of an expired job."""
PROCESS_ENDED = "process ended"
"""The reason of an interruption that makes a job suspect of having caused it."""
FRESH_JOBS, FRESH_BYTES = 1_024, 256
"""So many jobs, with so short arguments at most, are remembered as they were enqueued until they start."""

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_SCHEDULED = JobStatus.SCHEDULED
_RETRYING = JobStatus.RETRYING
_UNRESOLVED = JobStatus.UNRESOLVED
_COMPLETED = JobStatus.COMPLETED
_CANCELLED = JobStatus.CANCELLED


class QueueState(QueueImage):
    """The fold of the queue's events."""

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
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
        self.handlers = self._handlers

    # -- plain jobs of the past ---------------------------------------------------------------------------

    def begin_past(self) -> None:
        """Have a short way for what most of a log tells: of jobs that come, start once, and succeed.

        Whatever is not plain goes the long way, which gives the same.
        """
        super().begin_past()
        self.handlers = {
            **self._handlers,
            JobEnqueued: self._was_enqueued,
            JobStarted: self._was_started,
            JobCompleted: self._was_completed,
        }

    def end_past(self) -> None:
        super().end_past()
        self.handlers = self._handlers

    def _was_enqueued(self, event: JobEnqueued) -> None:
        """Take in a job that was ready at once, and of which nothing special is said."""
        spec, at_us = event.spec, event.at_us
        if event.missing or spec.due_us > at_us or spec.terms is not None or spec.life is not None:
            self._enqueued(event)
            return
        kind = self.hall.kind((spec.queue, spec.function, spec.priority, spec.retry))
        lane = self.lanes[kind]
        line = lane.line
        if not line.is_loose:
            self._enqueued(event)
            return
        order = self._place(kind, at_us, is_new=True)
        self.jobs[spec.job_id] = Job(spec.job_id, kind, spec.owner, UNTOUCHED, _PENDING, order)
        lane.size += 1
        line.counts[_PENDING] += 1

    def _was_started(self, event: JobStarted) -> None:
        """Take in the first attempt of a plain job that stood nowhere."""
        job_id, at_us = event.job_id, event.at_us
        job = self.jobs[job_id]
        lane = self.lanes[job.kind]
        line = lane.line
        is_plain = lane.is_plain and line.is_loose and job.course is UNTOUCHED
        if self.expiries or not is_plain:
            self._on_started(event)
            return
        job.status = _RUNNING
        job.course = Course(event.attempt, 0, not event.behind, epoch=event.epoch)
        self.running[job_id] = job
        line.counts[_PENDING] -= 1
        line.counts[_RUNNING] += 1
        waited_us = at_us - job.order
        line.tallies.waits.add(waited_us if waited_us > 0 else 0)  # noqa: FURB136 -- on the way of every job
        if at_us < self.hall.newest_us:
            self.hall.set_back(at_us)
        self.hall.newest_us = at_us

    def _was_completed(self, event: JobCompleted) -> None:
        """Take in the success of a plain job that nobody waits for, and that a worker had for itself."""
        job_id, run_us = event.job_id, event.run_us
        job = self.jobs[job_id]
        kind, course = job.kind, job.course
        lane = self.lanes[kind]
        is_plain = lane.is_plain and job_id in self.running and not (course.unique or course.suspect)
        if self.expiries or self.batches or self.dependents or not is_plain:
            self._on_completed(event)
            return
        del self.running[job_id], self.jobs[job_id]
        lane.size -= 1
        line = lane.line
        line.counts[_RUNNING] -= 1
        line.counts[_COMPLETED] += 1
        function = kind.function
        self.run_us[function] = (self.run_us.get(function, run_us) * 7 + run_us) // 8
        line.tallies.completed(function, run_us, event.at_us)

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
                if other in self.jobs:
                    self.dependents.setdefault(other, []).append(spec.job_id)
        if spec.due_us > event.at_us:
            job.own.due_us = spec.due_us
            self._park(job, _SCHEDULED, event.at_us)
        elif event.missing:
            self._stand_in_line(job, event.at_us, is_new=True)
        else:
            job.order = self._place(job.kind, event.at_us, is_new=True)
            self.hall.push(job)

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
        if not self.is_past:
            job.course.charged += 1
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
        key = self.outlived.pop((event.job_id, event.attempt), None)
        if key is not None:
            _, kind = self.zombies.pop(key)
            self._leave_batch(key)
            self.hall.let_go(kind)

    def _on_printed(self, event: AttemptPrinted) -> None:
        """Remember nothing: the log has it."""

    def _on_timed_out(self, event: AttemptTimedOut) -> None:
        job = self.jobs[event.job_id]
        self._outlive(job)
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
            self._outlive(job)
            self.hall.hold(job.kind)
        self._end(job, JobStatus.CANCELLED, event.at_us, event.reason)

    def _on_unresolved(self, event: JobUnresolved) -> None:
        job = self.jobs[event.job_id]
        self._leave(job, _UNRESOLVED)
        self._await_start(job)
        self._await_function(job)

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
        before = self.jobs.pop(event.job_id)  # those who share a place keep the order of this dict
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
