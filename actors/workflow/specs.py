"""What a plan and its steps are said to be: values inside commands and events."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from actors.queue.specs import Backoff, Data, Input, JobLife, RetryPolicy, Span

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


LOST = (StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED)
"""Steps that have ended so have no output."""


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
    """Without its output, what depends on it is skipped (`skip`) or goes on with None (`continue`, or with
    `skip_if_failed` if its own condition skipped it); `stop`: its failure also stops everything else. Behind a failure
    that fails the run nothing goes on but with the `continue` of the step that has failed."""
    last: bool = False
    """Begun when all others have ended, however that was."""
    when: str = ""
    """A condition; unless it holds, the step is skipped."""
    when_function: str = ""
    when_inputs: tuple[Input, ...] = ()
    mapped: bool = False
    """Called once for each item of the list that its `item-…` input is; or a run each, if it is `child`."""
    parallel: Count = 0
    """Items under way at one time, at most; 0: no limit."""
    child: str = ""
    """The plan of the run, or of each of the runs, that it is, instead of a call."""
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
