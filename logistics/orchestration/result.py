"""What became of a run and of its steps, read from the log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from actors.queue.events import (
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
)
from actors.queue.inputs import Inputs
from actors.runtime.errors import InternalError, UnknownIdError
from actors.runtime.patience import patiently
from actors.runtime.values import decode_value
from actors.workflow.events import (
    ItemEnded,
    ItemsScheduled,
    PlanRecorded,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunForked,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepSpread,
    StepWaiting,
    UndoEnded,
    UndoScheduled,
)
from actors.workflow.past import leaves, run_of
from actors.workflow.run import UNDO
from actors.workflow.specs import RunStatus, StepStatus
from eventstore.errors import CompactedError, CorruptStoreError
from logistics.errors import RunFailedError, RunNotFoundError
from logistics.inputs import as_datetime, short
from logistics.orchestration.reading import first, history, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from actors.runtime.messages import Event
    from actors.workflow.run import Run
    from actors.workflow.specs import Plan
    from logistics.orchestration.engine import OrchestrationEngine

ReadJobs: TypeAlias = "Callable[[Sequence[int]], Iterable[tuple[int, Sequence[Event]]]]"
"""Reads the events of the jobs of steps, by the steps' indexes."""
RECORDS_PER_STEP = 64
"""Records that are read past rather than looking up a step in the index of the log."""


@dataclass
class StepResult:
    """A step as it was when the log was read."""

    status: StepStatus = StepStatus.PENDING
    output: Any = None
    """What its function returned."""
    error: str | None = None
    """Of the last try; of a skipped step, which step it waited for in vain."""
    attempts: int = 0
    started_at: datetime | None = None
    """When its first try began."""
    ended_at: datetime | None = None
    traceback: str | None = None
    items: int | None = None
    """How many items it is mapped over, once that is known; None if it is not mapped."""
    items_ended: int = 0
    kept_from: str | None = None
    """The run whose step's output this is, if it was not executed again."""
    compensated: bool | None = None
    """Whether it was undone; False: that failed; None: nobody has tried."""
    cached_from: str | None = None
    """The job of an identical call whose output was used instead of a call."""


@dataclass(frozen=True)
class WorkflowResult:
    """How a run ended. It is true if the run succeeded."""

    run_id: str
    name: str
    """The workflow's."""
    status: RunStatus
    output: Any
    """The output of the step that no other depends on; of several such steps, a dict by their names."""
    steps: Mapping[str, StepResult]
    error: str | None
    started_at: datetime
    ended_at: datetime
    adopted: bool = False
    """Whether an earlier process began the run, and this call took it over."""
    outputs: Mapping[str, Any] = field(init=False)
    """The outputs of the steps that have completed."""

    def __post_init__(self) -> None:
        done = {name: step.output for name, step in self.steps.items() if step.status is StepStatus.COMPLETED}
        object.__setattr__(self, "outputs", done)

    @property
    def success(self) -> bool:
        """Whether every step has completed."""
        return self.status is RunStatus.COMPLETED

    @property
    def duration(self) -> float:
        """Seconds from the run's beginning to its end, those in which no process worked on it included."""
        return (self.ended_at - self.started_at).total_seconds()

    def __bool__(self) -> bool:
        return self.success

    def __repr__(self) -> str:
        said = f"output={short(self.output)}" if self.error is None else f"error={short(self.error)}"
        return f"WorkflowResult({self.run_id!r}, name={self.name!r}, status={self.status.value!r}, {said})"

    def __getitem__(self, step: str) -> Any:
        """Return a step's output; `UnknownIdError` if it has none."""
        if step in self.outputs:
            return self.outputs[step]
        there = self.steps.get(step)
        why = "has no such step" if there is None else f"has no output of it: it is {there.status}"
        msg = f"step {step!r}: run {self.run_id} of {self.name!r} {why}"
        raise UnknownIdError(msg)

    def raise_for_status(self) -> None:
        """Raise `RunFailedError` unless the run succeeded."""
        if not self.success:
            msg = f"run {self.run_id} of workflow {self.name!r} is {self.status}: {self.error}"
            raise RunFailedError(msg)


# -- reading -----------------------------------------------------------------------------------------------


def forgotten(run_id: str) -> RunNotFoundError:
    """Return the error for a run that was on record once."""
    return RunNotFoundError(f"run {run_id} is not on record any more: it was over, and was forgotten")


class RunRecord:
    """A run as its history tells it, ended or not."""

    def __init__(self, engine: OrchestrationEngine, run_id: str) -> None:
        placed = numbered(engine, f"run:{run_id}")
        past = [event for _, event in placed]
        if not past:
            raise forgotten(run_id)
        if not isinstance(past[0], RunCreated):
            msg = f"run {run_id} is not in the log from its beginning"
            raise CorruptStoreError(msg)
        self.created = past[0]
        self.plan = plan_on_record(engine, self.created.plan_id)
        self.end = next((event for event in past if event.final), None)
        self.events = past
        """Everything that is durable of it, oldest first."""
        self._began = placed[0][0]
        self._until = engine.store.runtime.journal.watermark if self.end is None else placed[-1][0]
        self._engine = engine
        self._run = (
            run_of(self.plan, past)
            if any(step.options for step in self.plan.steps) or self.created.origin
            else None
        )
        """The run as its events tell it, if it is out of the ordinary."""

    @property
    def started_at(self) -> datetime:
        """When the run began."""
        return as_datetime(self.created.at_us)

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return RunStatus.RUNNING if self.end is None else status_after(self.end)

    @property
    def params(self) -> frozenset[str]:
        """The names of the run's parameters; none if they were erased."""
        params = decode_value(self.created.params)
        return frozenset(params if isinstance(params, dict) else ())

    def parts(self) -> Iterator[str]:
        """Yield the entities that its own events speak of: the jobs of its steps, and what was sent to them."""
        run_id = self.created.run_id
        for event in self.events:
            if isinstance(event, StepScheduled):
                yield f"job:{run_id}.{event.step}"
            elif isinstance(event, ItemsScheduled):
                yield from (f"job:{run_id}.{event.step}:{event.first + n}" for n in range(event.count))
            elif isinstance(event, UndoScheduled):
                yield f"job:{run_id}.{event.step}:{UNDO}"
        for number, step in enumerate(self.plan.steps):
            if step.options is not None and step.options.wait is not None:
                yield f"signal:{run_id}.{number}"

    def steps(self) -> dict[str, StepResult]:
        """Return every step as it stands, in the workflow's order."""
        results = read_steps(self.plan, self.events, self.jobs)
        if self._run is not None:
            self._take_extras(results, self._run)
        return {step.name: result for step, result in zip(self.plan.steps, results, strict=True)}

    def _take_extras(self, results: list[StepResult], run: Run) -> None:
        """Take in what is not with the one job of a step: outputs of lists, runs, signals and earlier runs."""
        inputs = Inputs(self._engine.store.runtime, marks=True)
        for number, result in enumerate(results):
            kind, source = run.output(number) if result.status is StepStatus.COMPLETED else ("none", "")
            if result.status is StepStatus.COMPLETED and (kind != "step" or result.kept_from):
                result.output = patiently(partial(inputs.output, kind, source))

    def jobs(self, numbers: Sequence[int]) -> Iterable[tuple[int, Sequence[Event]]]:
        """Return the histories of steps' jobs: by the index, or in one pass if the run has the log for itself."""
        prefix = f"job:{self.created.run_id}."
        if self._until - self._began <= RECORDS_PER_STEP * len(numbers):
            with suppress(CompactedError):  # it has seen a compaction: the index has what is left
                found: dict[str, list[Event]] = {f"{prefix}{number}": [] for number in numbers}
                for entity, event in patiently(lambda: list(self._scan(found))):
                    found[entity].append(event)
                return zip(numbers, found.values(), strict=True)
        return ((number, history(self._engine, f"{prefix}{number}")) for number in numbers)

    def _scan(self, entities: Container[str]) -> Iterator[tuple[str, Event]]:
        runtime = self._engine.store.runtime
        for frame in runtime.log.frames(after=self._began, upto=self._until):
            for record in frame.records:
                if record.entity in entities:
                    yield record.entity, runtime.read(record)

    def result(self, *, adopted: bool) -> WorkflowResult:
        """Return how the run, which has ended, ended."""
        end = self.end
        if not isinstance(end, RunCompleted | RunFailed | RunCancelled):
            msg = f"run {self.created.run_id} has not ended"
            raise InternalError(msg)
        steps = self.steps()
        error = end.error if isinstance(end, RunFailed) else None
        if isinstance(end, RunCancelled):
            error = "; ".join(filter(None, ("it was cancelled", end.error)))
        return WorkflowResult(
            run_id=self.created.run_id,
            name=self.created.workflow,
            status=self.status,
            output=_output(self.plan, steps),
            steps=steps,
            error=error,
            started_at=self.started_at,
            ended_at=as_datetime(end.at_us),
            adopted=adopted,
        )


def status_after(event: Event) -> RunStatus:
    """Return the status that a final event leaves a run in."""
    if isinstance(event, RunCompleted):
        return RunStatus.COMPLETED
    return RunStatus.FAILED if isinstance(event, RunFailed) else RunStatus.CANCELLED


def plan_on_record(engine: OrchestrationEngine, plan_id: str) -> Plan:
    """Return a plan; `CorruptStoreError` if it is not there, though something refers to it."""
    recorded = first(engine, f"plan:{plan_id}")
    if not isinstance(recorded, PlanRecorded):
        msg = f"plan {plan_id} is not in the log, though a run of it is"
        raise CorruptStoreError(msg)
    return recorded.plan


def read_steps(plan: Plan, events: Iterable[Event], jobs: ReadJobs) -> list[StepResult]:
    """Return the steps of a run as its own events tell them, and those of its jobs, which `jobs` reads."""
    results = [StepResult() for _ in plan.steps]
    for event in events:
        _take(results, event, plan)
    begun = [
        number
        for number, result in enumerate(results)
        if result.status not in (StepStatus.PENDING, StepStatus.SKIPPED) and not result.kept_from
    ]
    for number, past in jobs(begun):
        _take_job(results[number], past)
    return results


def _take(results: list[StepResult], event: Event, plan: Plan) -> None:
    """Take in an event of the run."""
    if isinstance(event, RunForked):
        for kept in event.kept:
            result = results[kept.step]
            result.status, result.kept_from = (
                StepStatus.COMPLETED,
                kept.source.rpartition(".")[0] or kept.source,
            )
    elif isinstance(event, StepScheduled):
        results[event.step].status = StepStatus.RUNNING
    elif isinstance(event, StepWaiting):
        result = results[event.step]
        result.status, result.started_at = StepStatus.WAITING, as_datetime(event.at_us)
    elif isinstance(event, StepSpread):
        results[event.step].items = event.count
    elif isinstance(event, ItemEnded):
        results[event.step].attempts += event.attempts
        results[event.step].items_ended += 1
    elif isinstance(event, UndoEnded):
        results[event.step].compensated = not event.error
    elif isinstance(event, StepCompleted | StepFailed | StepSkipped | StepCancelled):
        _take_end(results[event.step], event, plan)


def _take_end(
    result: StepResult, event: StepCompleted | StepFailed | StepSkipped | StepCancelled, plan: Plan
) -> None:
    result.ended_at = as_datetime(event.at_us)
    if isinstance(event, StepCompleted):
        result.status, result.attempts = StepStatus.COMPLETED, result.attempts or event.attempts
        result.cached_from = event.cached or None
    elif isinstance(event, StepFailed):
        result.status, result.error = StepStatus.FAILED, event.error
        result.attempts = result.attempts or event.attempts
    elif isinstance(event, StepSkipped):
        result.status = StepStatus.SKIPPED
        because = plan.steps[event.because].name
        result.error = (
            "skipped: its condition does not hold"
            if event.because == event.step
            else f"skipped: step {because!r} did not complete"
        )
    else:
        result.status, result.error = StepStatus.CANCELLED, "cancelled with its run"


def _take_job(result: StepResult, past: Sequence[Event]) -> None:
    """Take in what the step's job tells: when it began, its output, its last error."""
    started = 0
    for event in past:
        if isinstance(event, JobStarted | JobLeased):
            started += 1
            result.started_at = result.started_at or as_datetime(event.at_us)
        elif isinstance(event, JobCompleted):
            result.output = decode_value(event.result)
        elif isinstance(event, JobRetrying | JobFailed):
            result.traceback = event.traceback or None
    if result.status is StepStatus.COMPLETED:
        result.traceback = None
    if result.status is StepStatus.RUNNING:
        _take_present(result, past, started)


def _take_present(result: StepResult, past: Sequence[Event], started: int) -> None:
    """Say where a step that has not ended stands with its job."""
    result.attempts = started
    last = past[-1] if past else None
    if isinstance(last, JobRetrying):
        result.status, result.error = StepStatus.RETRYING, last.error
    elif last is None or isinstance(last, JobEnqueued | JobUnresolved | JobSnoozed):
        result.status = StepStatus.WAITING
        result.error = last.error if isinstance(last, JobUnresolved) else None
    elif isinstance(last, JobCancelled | JobExpired):
        result.status = StepStatus.CANCELLED


def _output(plan: Plan, steps: Mapping[str, StepResult]) -> Any:
    """Return the output of the steps that no other needs, finally steps aside."""
    last = [plan.steps[number].name for number in leaves(plan)]
    if len(last) == 1:
        return steps[last[0]].output
    return {name: steps[name].output for name in last if steps[name].status is StepStatus.COMPLETED} or None
