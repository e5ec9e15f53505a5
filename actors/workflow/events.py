"""What the workflow supervisor records."""

from __future__ import annotations

from typing import ClassVar

from actors.runtime.messages import Event
from actors.workflow.specs import Kept, Plan


class RunEvent(Event, frozen=True):
    """A fact about one run."""

    run_id: str

    @property
    def entity(self) -> str:
        """The run."""
        return f"run:{self.run_id}"


class WorkflowDefined(Event, frozen=True, tag="workflow.defined"):
    """A workflow's name means this definition from now on."""

    name: str
    definition: bytes
    at_us: int

    @property
    def entity(self) -> str:
        """The workflow."""
        return f"workflow:{self.name}"


class WorkflowDeleted(Event, frozen=True, tag="workflow.deleted"):
    """The name means nothing any more."""

    name: str
    at_us: int

    @property
    def entity(self) -> str:
        """The workflow."""
        return f"workflow:{self.name}"


class PlanRecorded(Event, frozen=True, tag="plan.recorded"):
    """A plan that runs refer to by its fingerprint; recorded once, kept for ever."""

    plan_id: str
    plan: Plan

    @property
    def entity(self) -> str:
        """The plan."""
        return f"plan:{self.plan_id}"


class RunCreated(RunEvent, frozen=True, tag="run.created"):
    """A run began."""

    workflow: str
    plan_id: str
    params: bytes
    blocking: bool
    epoch: int
    at_us: int
    session_id: str = ""
    project: str = ""
    parent: str = ""
    """The run one of whose steps it is."""
    origin: str = ""
    """The run that it is a fork of."""
    owner: str = ""
    """Who is told of its end: the schedule that it is a run of (`schedule:…`)."""


class RunForked(RunEvent, frozen=True, tag="run.forked"):
    """These steps have their outputs from an earlier run; they are not executed again."""

    kept: tuple[Kept, ...]
    at_us: int


class RunPaused(RunEvent, frozen=True, tag="run.paused"):
    """No more steps are begun."""

    at_us: int


class RunResumed(RunEvent, frozen=True, tag="run.resumed"):
    """Steps are begun again."""

    at_us: int


class RunHeld(RunEvent, frozen=True, tag="run.held"):
    """All places of its session are taken: it begins when one is free."""

    at_us: int


class RunBegun(RunEvent, frozen=True, tag="run.begun"):
    """It has got a place of its session."""

    at_us: int


class RunAdopted(RunEvent, frozen=True, tag="run.adopted"):
    """The call that began the run was cut off; the same call, made again, waits for it now."""

    epoch: int
    at_us: int


class StepScheduled(RunEvent, frozen=True, tag="step.scheduled"):
    """A step's turn has come: the queue owes its outcome."""

    step: int
    at_us: int


class StepSpread(RunEvent, frozen=True, tag="step.spread"):
    """The list that a step is mapped over has so many items."""

    step: int
    count: int
    at_us: int


class ItemsScheduled(RunEvent, frozen=True, tag="items.scheduled"):
    """The turn of some items of a list has come: the queue owes their outcomes."""

    step: int
    first: int
    count: int
    at_us: int


class ItemWaiting(RunEvent, frozen=True, tag="item.waiting"):
    """What one item of a list is, is known: a run, which begins, and whose end is the item's."""

    step: int
    item: int
    at_us: int


class ItemEnded(RunEvent, frozen=True, tag="item.ended"):
    """The call, or the run, for one item has succeeded, or failed for good; its output is with that."""

    step: int
    item: int
    attempts: int
    error: str
    """Empty if it has succeeded."""
    at_us: int


class StepWaiting(RunEvent, frozen=True, tag="step.waiting"):
    """A step waits: for a time, a signal, or the end of a run."""

    step: int
    due_us: int
    """When the time comes, or it has waited for too long; 0: never."""
    other: str
    """The run; empty: none."""
    at_us: int


class SignalReceived(Event, frozen=True, tag="signal.received"):
    """A value was sent to a step."""

    run_id: str
    step: int
    value: bytes
    at_us: int

    @property
    def entity(self) -> str:
        """What was sent to the step: read by the steps that need it."""
        return f"signal:{self.run_id}.{self.step}"


class UndoScheduled(RunEvent, frozen=True, tag="undo.scheduled"):
    """The turn of a step's compensation has come: the queue owes its outcome."""

    step: int
    at_us: int


class UndoEnded(RunEvent, frozen=True, tag="undo.ended"):
    """A step's compensation has succeeded, or failed for good."""

    step: int
    attempts: int
    error: str
    """Empty if it has succeeded."""
    at_us: int


class StepCompleted(RunEvent, frozen=True, tag="step.completed"):
    """A step has succeeded; its output is with its job."""

    step: int
    attempts: int
    at_us: int
    cached: str = ""
    """The job of an identical call, if its output was used instead of a call."""


class CallCached(Event, frozen=True, tag="call.cached"):
    """The output of a job may be used instead of an identical call."""

    fingerprint: str
    job_id: str
    at_us: int

    @property
    def entity(self) -> str:
        """The call."""
        return f"cache:{self.fingerprint}"


class StepFailed(RunEvent, frozen=True, tag="step.failed"):
    """A step has failed for good."""

    step: int
    attempts: int
    error: str
    at_us: int


class StepSkipped(RunEvent, frozen=True, tag="step.skipped"):
    """A step will not run, because one that it needs did not succeed, or its own condition does not hold."""

    step: int
    because: int
    """The other step, or the step itself if it was its condition."""
    at_us: int
    lost: bool = False
    """One before it has failed that the run needs: what depends on it is skipped, too, whatever it says of that."""


class StepCancelled(RunEvent, frozen=True, tag="step.cancelled"):
    """A step will not run, or its result is not wanted any more."""

    step: int
    at_us: int


class RunEnding(RunEvent, frozen=True, tag="run.ending"):
    """Its steps have ended, and so it will end like this, after what is to be done whatever happened."""

    status: str
    error: str
    at_us: int


class RunCompleted(RunEvent, frozen=True, tag="run.completed"):
    """Every step has succeeded."""

    final: ClassVar[bool] = True

    epoch: int
    at_us: int


class RunFailed(RunEvent, frozen=True, tag="run.failed"):
    """Nothing is left to do, and a step has failed."""

    final: ClassVar[bool] = True

    epoch: int
    error: str
    at_us: int


class RunCancelled(RunEvent, frozen=True, tag="run.cancelled"):
    """The run was cancelled."""

    final: ClassVar[bool] = True

    epoch: int
    at_us: int
    error: str = ""
    """What else there is to say."""


class CancelSettled(RunEvent, frozen=True, tag="run.cancel_settled"):
    """The queue has confirmed the end of a cancelled run's job: it need not be asked again."""

    step: int
    part: str = ""
    """Which of the step's jobs, if it has several."""
    succeeded: bool = False
    """Its call had succeeded before the cancellation came: what it did is undone as that of a completed step."""


class SessionCreated(Event, frozen=True, tag="session.created"):
    """A session was opened."""

    session_id: str
    data: bytes
    at_us: int
    places: int = 0
    tasks: int = 0
    timeout_us: int = 0

    @property
    def entity(self) -> str:
        """The session."""
        return f"session:{self.session_id}"


class SessionClosed(Event, frozen=True, tag="session.closed"):
    """A session was closed."""

    session_id: str
    at_us: int
    reason: str = ""
    """Why, if nobody said so: its time was over."""
    epoch: int = 0

    @property
    def entity(self) -> str:
        """The session."""
        return f"session:{self.session_id}"


class SessionReleased(Event, frozen=True, tag="session.released"):
    """Nothing of a closed session goes on: what its calls share is given up."""

    session_id: str
    at_us: int
    confirmed: bool = False
    """It is gone."""

    @property
    def entity(self) -> str:
        """The session."""
        return f"session:{self.session_id}"


class ProjectCreated(Event, frozen=True, tag="project.created"):
    """A project was recorded."""

    name: str
    kind: str
    description: str
    folder: str
    at_us: int

    @property
    def entity(self) -> str:
        """The project."""
        return f"project:{self.name}"


class ProjectUpdated(Event, frozen=True, tag="project.updated"):
    """A project's status changed."""

    name: str
    status: str
    at_us: int

    @property
    def entity(self) -> str:
        """The project."""
        return f"project:{self.name}"


WORKFLOW_EVENTS: tuple[type[Event], ...] = (
    WorkflowDefined,
    WorkflowDeleted,
    PlanRecorded,
    RunCreated,
    RunForked,
    RunPaused,
    RunResumed,
    RunHeld,
    RunBegun,
    RunAdopted,
    StepScheduled,
    StepSpread,
    ItemsScheduled,
    ItemEnded,
    StepWaiting,
    SignalReceived,
    UndoScheduled,
    UndoEnded,
    StepCompleted,
    CallCached,
    StepFailed,
    StepSkipped,
    StepCancelled,
    RunEnding,
    RunCompleted,
    RunFailed,
    RunCancelled,
    CancelSettled,
    SessionCreated,
    SessionClosed,
    ProjectCreated,
    ProjectUpdated,
    SessionReleased,
    ItemWaiting,
)
