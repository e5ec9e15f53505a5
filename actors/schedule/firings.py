"""What a chosen instant comes to: a job, a wait or a word in the log; and what the queue is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.zones import tzdata_version
from actors.queue.messages import FIRINGS, CancelOwned, EnqueueJobs, JobSpec
from actors.runtime.messages import Decision
from actors.schedule.messages import ScheduleDeferred, ScheduleFired, ScheduleSkipped

if TYPE_CHECKING:
    from actors.runtime.messages import Context
    from actors.schedule.catch_up import Due
    from actors.schedule.messages import JobTemplate, Policies
    from actors.schedule.state import Schedule, SchedulerState

JOBS_A_MESSAGE = 256
"""Jobs that the queue is asked for at a time: a turn of its own must not get too long."""


def owner_of(name: str) -> str:
    """Return the owner of a schedule's jobs: by it the queue knows whom to tell of their end."""
    return f"schedule:{name}"


def job_of(job_id: str, name: str, target: JobTemplate) -> JobSpec:
    """Return a job of a schedule: to the byte the same, whenever the queue is asked for it (R8, R9)."""
    return JobSpec(
        job_id=job_id,
        queue=target.queue or FIRINGS,
        name=name,
        function=target.function,
        payload=target.payload,
        priority=target.priority,
        retry=target.retry,
        owner=owner_of(name),
    )


class Turn:
    """One decision and the words to the queue that go with it: jobs to enqueue, then jobs to cancel."""

    def __init__(self, decision: Decision | None = None) -> None:
        self.decision = Decision() if decision is None else decision
        self._jobs: list[JobSpec] = []
        self._cancels: list[CancelOwned] = []

    def enqueue(self, job_id: str, name: str, target: JobTemplate) -> None:
        """Have a job enqueued."""
        self._jobs.append(job_of(job_id, name, target))

    def cancel(self, job_id: str, name: str) -> None:
        """Have a job of a schedule cancelled."""
        self._cancels.append(CancelOwned(job_id=job_id, owner=owner_of(name)))

    def decided(self) -> Decision:
        """Return the decision, the words to the queue in it."""
        jobs = self._jobs
        for start in range(0, len(jobs), JOBS_A_MESSAGE):
            self.decision.tell("queue", EnqueueJobs(jobs=tuple(jobs[start : start + JOBS_A_MESSAGE])))
        for cancel in self._cancels:
            self.decision.tell("queue", cancel)
        return self.decision


class FiringTurn(Turn):
    """A turn in which instants of any number of schedules are served."""

    def __init__(self, state: SchedulerState, context: Context) -> None:
        super().__init__()
        self._state = state
        self._now_us = context.now_us
        self._tzdata = tzdata_version()

    def serve(self, schedule: Schedule, due: Due) -> None:
        """Fire, defer or pass over the due instants of a schedule, as its rule about overlaps says."""
        missed = due.missed
        if not due.served:
            self._skip(schedule, due.upto_us, missed, "missed")
        overlap = schedule.policies.overlap
        is_open = self._state.open_jobs(schedule)
        blocked = bool(is_open or schedule.waiting)
        room = _room(schedule.policies) - len(schedule.waiting)
        replaced = self._wanted(schedule) if overlap == "cancel_previous" else ()
        for scheduled_us, rule in due.served:
            if not blocked or overlap in ("allow", "cancel_previous"):
                job_id = self._fire(schedule, scheduled_us, rule, missed, replaced)
                replaced = (job_id,) if overlap == "cancel_previous" else ()
                blocked = True
            elif room > 0:
                self.decision.emit(
                    ScheduleDeferred(schedule.name, scheduled_us, self._now_us, rule, self._tzdata, missed)
                )
                room -= 1
            else:
                self._skip(schedule, scheduled_us, missed + 1, "overlap")
            missed = 0

    def serve_waiting(self, schedule: Schedule) -> None:
        """Fire the oldest instant that waited: what it waited for has ended."""
        self._fire(schedule, *schedule.waiting[0], ())

    def _wanted(self, schedule: Schedule) -> tuple[str, ...]:
        """Return the open jobs of a schedule that nobody has asked to cancel."""
        firings = self._state.firings
        return tuple(job_id for job_id in self._state.open_jobs(schedule) if not firings[job_id].unwanted)

    def _fire(
        self, schedule: Schedule, scheduled_us: int, rule: str, missed: int, replaces: tuple[str, ...]
    ) -> str:
        name = schedule.name
        job_id = schedule.job_id(scheduled_us)
        self.decision.emit(
            ScheduleFired(name, scheduled_us, self._now_us, job_id, rule, self._tzdata, missed, replaces)
        )
        self.enqueue(job_id, name, schedule.target)
        for replaced in replaces:
            self.cancel(replaced, name)
        return job_id

    def _skip(self, schedule: Schedule, upto_us: int, count: int, reason: str) -> None:
        self.decision.emit(ScheduleSkipped(schedule.name, upto_us, count, reason, self._now_us, self._tzdata))


def _room(policies: Policies) -> int:
    """Return how many instants may wait for a job to end."""
    if policies.overlap == "queue":
        return 1
    return policies.limit if policies.overlap == "queue_all" else 0
