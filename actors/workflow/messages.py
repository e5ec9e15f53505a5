"""What is said to the workflow supervisor, what it records, and what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from actors.queue.messages import Data, Input, RetryPolicy
from actors.runtime.messages import Event, Message


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


class AdoptRun(Message, frozen=True, tag="workflow.adopt_run"):
    """Take over the oldest run of a workflow with these parameters that its process left behind.

    Answered with its id, or None.
    """

    workflow: str
    params: bytes


class CancelRun(Message, frozen=True, tag="workflow.cancel_run"):
    """Cancel a run that has not ended; answered with whether that was so."""

    run_id: str


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


class CloseSession(Message, frozen=True, tag="session.close"):
    """Close a session; answered with whether it was open."""

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


class RunAdopted(RunEvent, frozen=True, tag="run.adopted"):
    """The call that began the run was cut off; the same call, made again, waits for it now."""

    epoch: int
    at_us: int


class StepScheduled(RunEvent, frozen=True, tag="step.scheduled"):
    """A step's turn has come: the queue owes its outcome."""

    step: int
    at_us: int


class StepCompleted(RunEvent, frozen=True, tag="step.completed"):
    """A step has succeeded; its output is with its job."""

    step: int
    attempts: int
    at_us: int


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


class CancelSettled(RunEvent, frozen=True, tag="run.cancel_settled"):
    """The queue has confirmed the end of a cancelled run's job: it need not be asked again."""

    step: int


class SessionCreated(Event, frozen=True, tag="session.created"):
    """A session was opened."""

    session_id: str
    data: bytes
    at_us: int

    @property
    def entity(self) -> str:
        """The session."""
        return f"session:{self.session_id}"


class SessionClosed(Event, frozen=True, tag="session.closed"):
    """A session was closed."""

    session_id: str
    at_us: int

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
    RunAdopted,
    StepScheduled,
    StepCompleted,
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
)
