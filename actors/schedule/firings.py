"""What a chosen instant comes to: a job, a wait or a word in the log; and what the queue is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.zones import tzdata_version
from actors.queue.messages import CancelOwned, EnqueueJobs
from actors.queue.specs import FIRINGS, JobSpec, StepWork
from actors.runtime.messages import Decision
from actors.schedule.catch_up import ON_TIME_US, due_us, told_us
from actors.schedule.messages import ScheduleDeferred, ScheduleFired, ScheduleSkipped
from actors.schedule.state import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.messages import Context
    from actors.schedule.catch_up import Due
    from actors.schedule.messages import JobTemplate, Policies
    from actors.schedule.passed import Passed
    from actors.schedule.state import Schedule, SchedulerState

PLANS = StepWork(gives="run")
"""What a worker does for a firing that is a run."""
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
        work=PLANS if target.workflow else None,
        terms=target.terms,
        life=target.life,
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

    def serve(self, schedule: Schedule, due: Due, passed: Iterable[Passed]) -> None:
        """Fire, defer or pass over the due instants of a schedule, as its rule about overlaps says."""
        for upto_us, count, reason, policy in passed:
            self._skip(schedule, upto_us, count, reason, policy)
        missed = due.missed
        overlap = schedule.policies.overlap
        if not due.served:
            self._skip(schedule, due.upto_us, missed, "missed", _too_late(schedule.policies))
        is_open = self._state.open_jobs(schedule)
        blocked = bool(is_open or schedule.waiting)
        room = _room(schedule.policies) - len(schedule.waiting)
        replaced = self._wanted(schedule) if overlap == "cancel_previous" else ()
        for firing in due.served:
            scheduled_us, rule = firing
            if not blocked or overlap in ("allow", "cancel_previous"):
                late = missed or (not due.held and self._now_us - due_us(schedule, firing) > ON_TIME_US)
                policy = f"catch_up.{schedule.policies.catch_up}" if late else ""
                if replaced:
                    policy = "overlap.cancel_previous"
                job_id = self._fire(schedule, Waiting(scheduled_us, rule, missed), replaced, policy)
                replaced = (job_id,) if overlap == "cancel_previous" else ()
                blocked = True
            elif room > 0:
                self._defer(schedule, Waiting(scheduled_us, rule, missed))
                room -= 1
            else:
                self._skip(schedule, scheduled_us, missed + 1, "overlap", f"overlap.{overlap}")
            missed = 0

    def serve_waiting(self, schedule: Schedule) -> None:
        """Fire the oldest instant that waited: what it waited for has ended."""
        self._fire(schedule, schedule.waiting[0], (), f"overlap.{schedule.policies.overlap}")

    def _wanted(self, schedule: Schedule) -> tuple[str, ...]:
        """Return the open jobs of a schedule that nobody has asked to cancel."""
        firings = self._state.firings
        return tuple(job_id for job_id in self._state.open_jobs(schedule) if not firings[job_id].unwanted)

    def _fire(self, schedule: Schedule, instant: Waiting, replaces: tuple[str, ...], policy: str) -> str:
        name, job_id = schedule.name, schedule.job_id(instant.scheduled_us)
        self.decision.emit(
            ScheduleFired(
                name,
                instant.scheduled_us,
                self._now_us,
                job_id,
                instant.rule,
                self._tzdata,
                instant.missed,
                replaces,
                policy,
                told_us(schedule.spec, max(schedule.cursor_us, instant.scheduled_us)),
            )
        )
        self.enqueue(job_id, name, schedule.target)
        for replaced in replaces:
            self.cancel(replaced, name)
        return job_id

    def _defer(self, schedule: Schedule, instant: Waiting) -> None:
        scheduled_us, rule, missed = instant
        policy = f"overlap.{schedule.policies.overlap}"
        next_us = told_us(schedule.spec, scheduled_us)
        self.decision.emit(
            ScheduleDeferred(
                schedule.name, scheduled_us, self._now_us, rule, self._tzdata, missed, policy, next_us
            )
        )

    def _skip(self, schedule: Schedule, upto_us: int, count: int, reason: str, policy: str) -> None:
        next_us = told_us(schedule.spec, upto_us)
        self.decision.emit(
            ScheduleSkipped(
                schedule.name, upto_us, count, reason, self._now_us, self._tzdata, policy, next_us
            )
        )


def _too_late(policies: Policies) -> str:
    """Name the rule by which nothing of what was missed is made up."""
    return "catch_up.none" if policies.catch_up == "none" else "catch_up.window"


def _room(policies: Policies) -> int:
    """Return how many instants may wait for a job to end."""
    if policies.overlap == "queue":
        return 1
    return policies.limit if policies.overlap == "queue_all" else 0
