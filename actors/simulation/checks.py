"""What must hold of every log, and of everything that was said: the invariants of the simulation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.events import (
    AttemptInterrupted,
    AttemptPrinted,
    AttemptRefused,
    AttemptTimedOut,
    JobCancelled,
    JobCompleted,
    JobDiscarded,
    JobEnqueued,
    JobEvent,
    JobExpired,
    JobFailed,
    JobLeased,
    JobMoved,
    JobReady,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
    QueueConfigured,
)
from actors.queue.outcome import MIN_STARTS
from actors.queue.specs import FINAL, JobStatus, QueueSettings, RetryPolicy
from actors.simulation.accounts import Accounts
from actors.simulation.company import Company
from actors.simulation.firings import Firings
from actors.simulation.limits import Limits
from actors.simulation.order import Order
from actors.simulation.undoing import Undoing
from actors.workflow.events import (
    ItemEnded,
    ItemsScheduled,
    PlanRecorded,
    RunBegun,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEnding,
    RunFailed,
    RunForked,
    RunHeld,
    RunPaused,
    RunResumed,
    SessionCreated,
    SignalReceived,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepWaiting,
    UndoScheduled,
)
from actors.workflow.specs import StepOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.runtime.messages import Event
    from actors.workflow.specs import Plan

RUN_ENDS = (RunCompleted, RunFailed, RunCancelled)
TOLD = (RunEnding, RunForked, RunPaused, RunResumed, RunHeld, RunBegun, SessionCreated, SignalReceived)
STEP_ENDS = (StepCompleted, StepFailed, StepSkipped, StepCancelled)
ATTEMPT_ENDS = (
    JobCompleted,
    JobRetrying,
    JobFailed,
    AttemptInterrupted,
    JobCancelled,
    JobExpired,
    JobSnoozed,
    JobUnresolved,
)


STATUS_AFTER: Mapping[type[Event], JobStatus] = MappingProxyType(
    {
        JobCompleted: JobStatus.COMPLETED,
        JobRetrying: JobStatus.RETRYING,
        JobFailed: JobStatus.FAILED,
        AttemptInterrupted: JobStatus.PENDING,
        JobCancelled: JobStatus.CANCELLED,
        JobExpired: JobStatus.EXPIRED,
        JobSnoozed: JobStatus.SCHEDULED,
        JobUnresolved: JobStatus.UNRESOLVED,
    }
)
"""What the end of an attempt leaves a job in."""


class Violation(BaseException):
    """Something that must never happen has happened. Nothing that catches an `Exception` may swallow it."""


def violated(rule: str, detail: object = "") -> Violation:
    """Return a violation of a rule, named the same for every case of it."""
    return Violation(f"{rule}: {detail}" if detail else rule)


class JobHistory:
    """What one job's events say, checked as they come."""

    def __init__(self, event: JobEnqueued, settings: Mapping[str, QueueSettings]) -> None:
        self.spec = event.spec
        self._settings = settings
        """Of all queues, as they are now."""
        self.status = JobStatus.SCHEDULED if event.spec.due_us > event.at_us else JobStatus.PENDING
        self.attempt = 0
        self.charged = 0
        """Attempts that count since it was enqueued, or taken up again."""
        self.innocent: set[int] = set()
        """Attempts that came back as if they had never begun; filled in by who knows."""
        self.resigned: set[int] = set()
        """Attempts whose exception said that another one is no use; filled in by who knows."""
        self.open = False
        self.abandoned = 0
        """The newest attempt that took too long: it may still be running."""
        life = event.spec.life
        self.expires_us = 0 if life is None else life.expiry_us(event.at_us)
        self.statuses = {str(self.status)}
        """Every status that it ever had."""
        self.told: set[str] = set()
        """What was done with it by many: `moved`, `retried`."""

    def take(self, event: Any) -> None:
        """Check one event."""
        kind = type(event)
        if kind is JobDiscarded:
            self._discard(event)
            return
        if self.status in FINAL and kind is not JobRetried:
            raise violated("terminal state final", event)
        if kind in (JobStarted, JobLeased):
            self._begin(event)
        elif kind in ATTEMPT_ENDS:
            self._end(event)
        elif kind is AttemptTimedOut:
            if not self.open or event.attempt != self.attempt:
                raise violated("timed out while not running", event)
            self.abandoned = event.attempt
        elif kind is JobReady:
            self.status = JobStatus.PENDING
        elif kind is JobRetried:
            self._retry(event)
        elif kind is JobMoved:
            self._move(event)
        self.statuses.add(str(self.status))

    def _retry(self, event: JobRetried) -> None:
        if event.spec.queue != self.spec.queue:
            raise violated("taken up again in another queue", event)
        self.status = JobStatus.PENDING
        self.expires_us = self.charged = 0
        self.told.add("retried")

    def _move(self, event: JobMoved) -> None:
        if self.open or event.queue == self.spec.queue:
            raise violated("moved while running, or nowhere", event)
        self.spec = msgspec.structs.replace(self.spec, queue=event.queue)
        self.told.add("moved")

    def _discard(self, event: JobDiscarded) -> None:
        parked = (JobStatus.FAILED, JobStatus.EXPIRED)
        if self.status not in parked or event.was != self.status or event.queue != self.spec.queue:
            raise violated("discarded though it was not parked so", event)
        self.status = JobStatus.CANCELLED
        self.statuses.add(str(self.status))

    def _begin(self, event: Any) -> None:
        if event.attempt != self.attempt + 1 or self.open:
            raise violated("attempt numbers", event)
        if 0 < self.expires_us <= event.at_us:
            raise violated("begun after it has expired", event)
        self.attempt = event.attempt
        self.open = True
        self.status = JobStatus.RUNNING

    @property
    def is_pending(self) -> bool:
        """Whether it waits for nothing that takes time."""
        return self.status is JobStatus.PENDING

    @property
    def _max_retries(self) -> int:
        """How often it may be tried again now: as its queue has it, if it says nothing itself."""
        queues_own = self._settings.get(self.spec.queue, QueueSettings()).retry
        backoff = self.spec.terms is not None and self.spec.terms.backoff
        speaks = self.spec.retry != RetryPolicy() or backoff or self.spec.owner.startswith("run:")
        return self.spec.retry.max_retries if speaks or queues_own is None else queues_own.max_retries

    def _charge(self, event: Any) -> None:
        """Count an attempt that the job goes on after, and check that it may: what is allowed now counts."""
        self.charged += isinstance(event, JobRetrying) or getattr(event, "charged", False)
        if isinstance(event, AttemptInterrupted):
            if event.charged and self.charged >= max(self._max_retries + 1, MIN_STARTS):
                raise violated("more attempts than there may be", event)
        elif isinstance(event, JobRetrying):
            if self.charged > self._max_retries:
                raise violated("tried again too often", event)
            if event.attempt in self.innocent and event.attempt != self.abandoned:
                raise violated("an innocent attempt was charged", event)
        elif isinstance(event, JobFailed):
            if self.charged < self._max_retries and event.attempt not in self.resigned:
                raise violated("given up too early", event)

    def _end(self, event: Any) -> None:
        self._charge(event)
        if isinstance(event, JobExpired):
            if self.open or not 0 < self.expires_us <= event.at_us:
                raise violated("expired too early", event)
        elif not isinstance(event, JobCancelled):
            if not self.open or event.attempt != self.attempt:
                raise violated("one result per attempt", event)
        self.open = False
        self.status = STATUS_AFTER[type(event)]
        if isinstance(event, JobRetrying) and event.due_us <= event.at_us:
            self.status = JobStatus.PENDING


class SessionsHistory:
    """The places that sessions give to runs."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        """The session of each run that is no step of another one."""
        self.held: set[str] = set()
        self.held_ever = 0
        self._places: dict[str, int] = {}
        self._begun: dict[str, set[str]] = {}

    def take(self, event: Any) -> None:
        """Check one event."""
        if isinstance(event, SessionCreated):
            self._places[event.session_id] = event.places
        elif isinstance(event, RunHeld):
            self.held.add(event.run_id)
            self.held_ever += 1
        else:
            self.held.discard(event.run_id)
            self._enter(event)

    def step_begun(self, event: Any) -> None:
        """Check that the run has a place."""
        if event.run_id in self.held:
            raise violated("step begun of a run that waits for a place", event)
        self._enter(event)

    def leave(self, run_id: str) -> None:
        """Take a run out."""
        self.held.discard(run_id)
        self._begun.get(self.of.get(run_id, ""), set()).discard(run_id)

    def _enter(self, event: Any) -> None:
        session_id = self.of.get(event.run_id, "")
        begun = self._begun.setdefault(session_id, set())
        begun.add(event.run_id)
        if session_id and len(begun) > (self._places[session_id] or len(begun)):
            raise violated("more runs of a session under way than may", event)


class History:
    """A log, read from its beginning and checked event by event (I2, I4–I9).

    With `workers`, their number: nobody is passed over, and no more start at once than there are.
    """

    def __init__(self, workers: int = 0) -> None:
        self.jobs: dict[str, JobHistory] = {}
        self._settings: dict[str, QueueSettings] = {}
        self.runs: dict[str, str] = {}
        """`open`, or how it ended, by run."""
        self.steps: dict[tuple[str, int], str] = {}
        self.plans: dict[str, Plan] = {}
        self.plan_of: dict[str, Plan] = {}
        """What each run goes through."""
        self.parents: dict[str, str] = {}
        self._ending: set[str] = set()
        """Runs that have begun with what is done at their end."""
        self.paused: set[str] = set()
        self.forked: dict[str, str] = {}
        """The origin of each fork."""
        self.kept: set[tuple[str, int]] = set()
        """Steps that are not executed again."""
        self.sessions = SessionsHistory()
        self.signalled: set[str] = set()
        self.items: dict[tuple[str, int], int] = {}
        """How many items of a list have been scheduled, by step."""
        self.undone: list[tuple[str, int]] = []
        self.fired: set[tuple[str, int]] = set()
        self.limits = Limits(workers)
        self.order = Order() if workers else None
        self.accounts = Accounts()
        self.company = Company(self.jobs)
        self.firings = Firings(self.jobs, self.runs)
        self._undoing = Undoing(self.jobs, self.plan_of)
        self.length = 0

    def take_all(self, events: Iterable[Event]) -> None:
        """Check the events that follow."""
        for event in events:
            self.length += 1
            self._take(event)
            job = self.jobs.get(event.entity.removeprefix("job:"))
            broken = (
                self.limits.take(event, None if job is None else job.spec)
                or self.accounts.take(event)
                or self.company.take(event)
                or self.firings.take(event)
                or self._undoing.take(event)
            )
            if not broken and self.order is not None:
                broken = self.order.take(event, job)
            if broken:
                raise violated(broken, event)

    def _take(self, event: Any) -> None:
        if isinstance(event, JobEnqueued):
            self._enqueued(event)
        elif isinstance(event, JobEvent) and not isinstance(event, AttemptRefused | AttemptPrinted):
            self._of_job(event.job_id).take(event)
        elif isinstance(event, JobRetried):
            self._of_job(event.spec.job_id).take(event)
        elif isinstance(event, QueueConfigured):
            self._settings[event.queue] = event.settings
        elif isinstance(event, (StepScheduled, StepWaiting, *STEP_ENDS)):
            self._step(event)
        elif isinstance(event, ItemsScheduled | ItemEnded | UndoScheduled):
            self._part(event)
        elif isinstance(event, (PlanRecorded, RunCreated, *RUN_ENDS)):
            self._run(event)
        elif isinstance(event, TOLD):
            self._told(event)
        elif type(event).__name__ == "ScheduleFired":
            self._fired(event)

    def _of_job(self, job_id: str) -> JobHistory:
        job = self.jobs.get(job_id)
        if job is None:
            raise violated("effect before cause (a job that was never enqueued)", job_id)
        return job

    def _run(self, event: Any) -> None:
        if isinstance(event, PlanRecorded):
            self.plans[event.plan_id] = event.plan
        elif isinstance(event, RunCreated):
            if event.run_id in self.runs:
                raise violated("run created twice", event)
            self.runs[event.run_id] = "open"
            self.plan_of[event.run_id] = self.plans[event.plan_id]
            self.parents[event.run_id] = event.parent
            if event.origin:
                self.forked[event.run_id] = event.origin
            if not event.parent:
                self.sessions.of[event.run_id] = event.session_id
        else:
            if self.runs.get(event.run_id) != "open":
                raise violated("terminal state final", event)
            if not isinstance(event, RunCancelled) and event.run_id not in self._ending:
                self._check_wanted(event)
            self.runs[event.run_id] = type(event).__name__
            self.sessions.leave(event.run_id)

    def _check_wanted(self, event: Any) -> None:
        """Check of a run that has gone on to its end, and is a step or an item of one, that this is not over."""
        parent = self.parents[event.run_id]
        if parent:
            step = event.run_id.removeprefix(f"{parent}.").partition(":")[0]
            if self.steps[parent, int(step)] not in {"scheduled", "waiting"}:
                raise violated("a run has gone on that nobody waits for", event)

    def keepable(self, run_id: str) -> list[int]:
        """Return the steps of a run, in an order, whose outputs a fork may keep: all that they need is kept, too."""
        found: list[int] = []
        for number, step in enumerate(self.plan_of[run_id].steps):
            plain = step.options is None or step.options == StepOptions(compensate=step.options.compensate)
            done = (
                self.steps.get((run_id, number)) == StepCompleted.__name__
                and (run_id, number) not in self.undone
            )
            if plain and done and set(step.depends_on) <= set(found) and (run_id, number) not in self.kept:
                found.append(number)
        return found

    def _forked(self, event: RunForked) -> None:
        origin = self.forked[event.run_id]
        if self.runs[origin] == "open":
            raise violated("a fork of a run that has not ended", event)
        for kept in event.kept:
            if self.steps.get((origin, kept.step)) != StepCompleted.__name__:
                raise violated("a fork keeps what there is not", event)
            self.kept.add((event.run_id, kept.step))
            self.steps[event.run_id, kept.step] = StepCompleted.__name__

    def _told(self, event: Any) -> None:
        if isinstance(event, RunForked):
            self._forked(event)
        elif isinstance(event, SessionCreated | RunHeld | RunBegun):
            self.sessions.take(event)
        elif isinstance(event, RunEnding):
            self._ending.add(event.run_id)
        elif isinstance(event, RunPaused):
            self.paused.add(event.run_id)
        elif isinstance(event, RunResumed):
            self.paused.discard(event.run_id)
        else:
            self.signalled.add(event.run_id)

    def _enqueued(self, event: JobEnqueued) -> None:
        spec = event.spec
        if spec.job_id in self.jobs:
            raise violated("job created twice", spec.job_id)
        self.jobs[spec.job_id] = JobHistory(event, self._settings)
        if spec.owner.startswith("run:"):
            run_id, _, text = spec.job_id.rpartition(".")
            number, _, part = text.partition(":")
            if not part and (run_id, int(number)) in self.kept:
                raise violated("a step of a fork done again that was kept", spec.job_id)
            if self.steps.get((run_id, int(number))) is None:
                raise violated("effect before cause (job without its step)", spec.job_id)

    def _step(self, event: Any) -> None:
        key = (event.run_id, event.step)
        before = self.steps.get(key)
        if isinstance(event, StepScheduled | StepWaiting):
            self._begun(event, before)
            return
        if before not in (None, "scheduled", "waiting"):
            raise violated("terminal state final", event)
        if isinstance(event, StepCompleted | StepFailed) and self._is_ordinary(event):
            job = self.jobs.get(f"{event.run_id}.{event.step}")
            done = (
                (JobStatus.COMPLETED,)
                if isinstance(event, StepCompleted)
                else (JobStatus.FAILED, JobStatus.CANCELLED)
            )
            if job is None or job.status not in done:
                raise violated("effect before cause (step done, job not)", event)
        self.steps[key] = type(event).__name__

    def _is_ordinary(self, event: Any) -> bool:
        options = self.plan_of[event.run_id].steps[event.step].options
        return options is None or not (options.wait or options.child or options.mapped)

    def _begun(self, event: Any, before: str | None) -> None:
        """Check that it is a step's turn (I7)."""
        now = "scheduled" if isinstance(event, StepScheduled) else "waiting"
        if before is not None and (before, now) != ("scheduled", "waiting"):
            raise violated("step scheduled twice", event)
        if before is None and event.run_id in self.paused and not self._is_last(event):
            raise violated("step of a paused run begun", event)
        if not self._is_last(event):
            self.sessions.step_begun(event)
        if self.runs.get(self.parents[event.run_id], "open") != "open":
            raise violated("step begun though the parent has ended", event)
        for other in self.plan_of[event.run_id].steps[event.step].depends_on:
            if self.steps.get((event.run_id, other)) in (None, "scheduled", "waiting"):
                raise violated("step begun before what it depends on has ended", event)
            if not self._is_last(event) and self._is_lost(event.run_id, other):
                raise violated("step begun behind a failure that fails the run", event)
        self.steps[event.run_id, event.step] = now

    def _is_lost(self, run_id: str, step: int) -> bool:
        """Whether a step has failed, or was skipped behind one that has, and the run cannot do without that."""
        of = self.plan_of[run_id].steps[step]
        options = of.options or StepOptions()
        if self.steps[run_id, step] == StepFailed.__name__:
            return options.required and options.on_failure != "continue" and not options.last
        skipped = self.steps[run_id, step] == StepSkipped.__name__
        return skipped and any(self._is_lost(run_id, other) for other in of.depends_on)

    def _is_last(self, event: Any) -> bool:
        options = self.plan_of[event.run_id].steps[event.step].options
        return options is not None and options.last

    def _part(self, event: Any) -> None:
        """Check that items come in order, each once, and that a step is compensated once."""
        key = (event.run_id, event.step)
        if isinstance(event, ItemsScheduled):
            if event.first != self.items.get(key, 0):
                raise violated("items scheduled twice, or left out", event)
            self.items[key] = event.first + event.count
        elif isinstance(event, ItemEnded):
            part = f"{event.run_id}.{event.step}:{event.item}"
            job, run = self.jobs.get(part), self.runs.get(part)
            done = job is not None and job.status is JobStatus.COMPLETED
            if run is not None:  # the item is a run, whose parameters its job has found out
                done = run == RunCompleted.__name__
            if job is None or run == "open" or done == bool(event.error):
                raise violated("effect before cause (item ended, job or run not)", event)
        elif key in self.undone:
            raise violated("compensated twice", event)
        else:
            self.undone.append(key)

    def _fired(self, event: Any) -> None:
        key = (event.job_id, event.scheduled_us)
        if key in self.fired:
            raise violated("fired twice", event)
        self.fired.add(key)
