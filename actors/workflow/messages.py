"""What is said to the workflow supervisor, what it records, and what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec

from actors.queue.specs import Backoff, Data, Input, JobLife, RetryPolicy, Span
from actors.runtime.messages import Event, Message

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class RunStatus(StrEnum):
    """Where a run stands. COMPLETED, FAILED and CANCELLED are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PARKED = "PARKED"


class StepStatus(StrEnum):
    """Where a step stands. COMPLETED, FAILED, SKIPPED and CANCELLED are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    RETRYING = "RETRYING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class SessionStatus(StrEnum):
    """Where a session stands."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"


class WaitPlan(Data, frozen=True):
    """What a step waits for instead of calling a function."""

    kind: str
    """`time`, `signal` or `run` (another one, whose id is the only argument)."""
    span_us: Span = 0
    """How long: until the time comes; of the others, until they have failed, 0: for ever."""
    schema: tuple[tuple[str, str], ...] | None = None
    """Fields of the value that is sent, and their types; None: anything. Checked at the sender's side."""


class StepOptions(Data, frozen=True):
    """What is out of the ordinary about a step."""

    required: bool = True
    """Whether the run has failed if it fails."""
    on_failure: str = "skip"
    """Without its output, what depends on it is skipped (`skip`) or goes on with None (`continue`); `stop`: its
    failure also stops everything else."""
    last: bool = False
    """Begun when all others have ended, however that was."""
    when: str = ""
    """A condition; unless it holds, the step is skipped."""
    when_function: str = ""
    when_inputs: tuple[Input, ...] = ()
    mapped: bool = False
    """Called once for each item of the list that its `item-…` input is."""
    parallel: Count = 0
    """Items under way at one time, at most; 0: no limit."""
    child: str = ""
    """The plan of the run that it is, instead of a call."""
    wait: WaitPlan | None = None
    compensate: str = ""
    """A function that undoes it, called if the run fails or is cancelled after the step has succeeded."""
    compensate_inputs: tuple[Input, ...] = ()
    resources: tuple[tuple[str, float], ...] = ()
    """What its calls wait for and hold while they run."""
    life: JobLife | None = None
    """How long a call may run."""
    cache_us: Span = 0
    """How old the output of an identical call may be that is used instead of a call; 0: none is."""
    cache_key: str = ""
    backoff: Backoff | None = None
    """How the delays between tries grow, if not exponentially with full jitter."""


class PlanStep(Data, frozen=True):
    """One step, ready to run: its function is named, its inputs are known."""

    name: str
    function: str
    payload: bytes
    """Constant arguments as bytes."""
    depends_on: tuple[int, ...]
    """Indexes of the steps whose success it needs."""
    inputs: tuple[Input, ...] = ()
    """For kind `step`, `source` is the index of that step, as text."""
    retry: RetryPolicy = RetryPolicy(max_retries=0)
    queue: str = ""
    """Empty: the engine's own queue for steps."""
    priority: int = 0
    options: StepOptions | None = None
    """None for an ordinary step."""


class Plan(Data, frozen=True):
    """A workflow as it runs: a run keeps the plan it started with."""

    workflow: str
    steps: tuple[PlanStep, ...]


class Kept(Data, frozen=True):
    """A step whose output a fork has from an earlier run."""

    step: int
    source: str
    """What the id of its job, or of its run, was."""
    count: int = -1
    """How many items it was mapped over; -1: it was not."""


# -- commands and queries ------------------------------------------------------------------------------


class StartRun(Message, frozen=True, tag="workflow.start_run"):
    """Start a run of a plan. Answered with the run's id. Repeating it is safe."""

    run_id: str
    plan: Plan
    plan_id: str
    """Fingerprint of the plan: a plan is recorded once."""
    params: bytes
    """The run's parameters as bytes."""
    blocking: bool
    """Somebody waits for it in the same process: if that is cut off, the same call adopts the run."""
    session_id: str = ""
    project: str = ""
    children: tuple[tuple[str, Plan], ...] = ()
    """Fingerprints and plans of the runs that its steps are, and theirs; each before those that have it."""
    origin: str = ""
    """The run that it is a fork of; empty for none."""
    kept: tuple[Kept, ...] = ()
    """The steps of the origin that are not executed again."""
    owner: str = ""
    """Whose it is (`schedule:…`): that actor is told of its end, and of a refusal; empty for nobody's."""


class RunEnded(Message, frozen=True, tag="run.ended"):
    """Told to the owner of a run: it has ended, or could not begin."""

    run_id: str
    status: str
    ended_us: int
    refusal: str = ""
    """Why it could not begin; empty if it did."""


class CancelOwnedRun(Message, frozen=True, tag="workflow.cancel_owned_run"):
    """Said by a run's owner: cancel it. Answered with a `RunEnded` once it is over, however often it is said."""

    run_id: str
    owner: str


class AdoptRun(Message, frozen=True, tag="workflow.adopt_run"):
    """Take over the oldest run of a workflow, with these parameters, session and project, that its process left.

    Answered with its id, or None.
    """

    workflow: str
    params: bytes
    session_id: str = ""
    project: str = ""


class CancelRun(Message, frozen=True, tag="workflow.cancel_run"):
    """Cancel a run that has not ended; answered with whether that was so."""

    run_id: str


class PauseRun(Message, frozen=True, tag="workflow.pause_run"):
    """Begin no more steps of a run, nor of the runs that its steps are. `UnknownIdError` if it is not live."""

    run_id: str


class ResumeRun(Message, frozen=True, tag="workflow.resume_run"):
    """Go on with a paused run. `UnknownIdError` if it is not live."""

    run_id: str


class SignalRun(Message, frozen=True, tag="workflow.signal_run"):
    """Send a value to a step that waits for one, or will. Repeating it is safe.

    `UnknownIdError` if the run is not live or has no such step, `InputError` if the step got another value.
    """

    run_id: str
    step: str
    value: bytes


class DefineWorkflow(Message, frozen=True, tag="workflow.define"):
    """Record a workflow's definition under its name, if it is not the present one."""

    name: str
    definition: bytes


class DeleteWorkflow(Message, frozen=True, tag="workflow.delete"):
    """Forget a definition; its runs stay. Answered with whether there was one."""

    name: str


class GetWorkflows(Message, frozen=True, tag="workflow.list"):
    """Answered with a dict of every definition by its name."""


class GetRun(Message, frozen=True, tag="workflow.get_run"):
    """Answered with the `RunView` of a live run, or None: ended or unknown, the log will tell."""

    run_id: str


class ExplainRun(Message, frozen=True, tag="workflow.explain_run"):
    """Answered with a tuple of the `Obstacle`s between a live run and its end; never empty.

    None: it has ended or is unknown, the log will tell.
    """

    run_id: str


class GetRuns(Message, frozen=True, tag="workflow.get_runs"):
    """Answered with a tuple of the ids of all live runs, oldest first."""


class GetTotals(Message, frozen=True, tag="workflow.get_totals"):
    """Answered with a dict of the number of runs ever, by status."""


class RunView(Data, frozen=True):
    """A live run as the supervisor sees it."""

    run_id: str
    workflow: str
    status: str
    steps: dict[str, str]
    """Status by the step's name."""


class CreateSession(Message, frozen=True, tag="session.create"):
    """Open a session. Answered with its id."""

    session_id: str
    data: bytes
    """Everything that describes it, as bytes."""
    places: Count = 0
    """Runs that are under way at one time, at most; others wait for a place. 0: no limit."""
    tasks: Count = 0
    """Calls of its runs that run at one time, at most; 0: no limit."""
    timeout_us: Span = 0
    """How long after its creation it is over; 0: never."""


class CloseSession(Message, frozen=True, tag="session.close"):
    """Close a session; answered with whether it was open. Runs that wait for a place are cancelled, others go on."""

    session_id: str


class GetSession(Message, frozen=True, tag="session.get"):
    """Answered with the `SessionView`, or None."""

    session_id: str


class SessionView(Data, frozen=True):
    """A session and where it stands."""

    session_id: str
    data: bytes
    status: str
    created_us: int
    closed_us: int
    places: int = 0
    tasks: int = 0
    ends_us: int = 0
    """When it is over by itself; 0: never."""
    reason: str = ""
    """Why it was closed, if nobody said so."""
    epoch: int = 0
    """Under which incarnation of the engine it was closed."""
    released: int = 0
    """What has become of the share of its calls: 1, nothing of it goes on, so it is given up; 2, it is."""


class CreateProject(Message, frozen=True, tag="project.create"):
    """Record a project; an existing one is left as it is. Answered with its `ProjectView`."""

    name: str
    kind: str
    description: str
    folder: str


class UpdateProject(Message, frozen=True, tag="project.update"):
    """Give a project a status; answered with whether there is one."""

    name: str
    status: str


class GetProjects(Message, frozen=True, tag="project.list"):
    """Answered with a tuple of `ProjectView`s."""


class ProjectView(Data, frozen=True):
    """A project and where it stands."""

    name: str
    kind: str
    description: str
    folder: str
    status: str
    created_us: int
    runs: int


# -- events ------------------------------------------------------------------------------------------------


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


class ItemEnded(RunEvent, frozen=True, tag="item.ended"):
    """The call for one item has succeeded, or failed for good; its output is with its job."""

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
)
