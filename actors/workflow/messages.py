"""What is said to the workflow supervisor, and what it answers."""

from __future__ import annotations

from actors.queue.specs import Data, Span
from actors.runtime.messages import Message
from actors.workflow.specs import Count, Kept, Plan


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
    gently: bool = False
    """Unless it is ending anyway: what is done at the end is not cut off."""


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
    owed: tuple[str, ...] = ()
    """Jobs whose outcomes the queue owes it."""


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
