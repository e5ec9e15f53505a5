"""Whether what is under way still fits the code of today: asked before anything of it goes on."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.queue.events import JobEnqueued
from actors.queue.messages import ListJobs, ListQueues
from actors.queue.specs import WORKFLOW
from actors.runtime.binding import CONTEXT_PARAMETER
from actors.runtime.errors import ErasedError, PayloadError, UnresolvedFunctionError
from actors.runtime.values import decode_call
from actors.schedule.messages import GetSchedules
from actors.workflow.messages import GetRuns
from actors.workflow.specs import StepStatus
from eventstore.errors import LogisticsError
from logistics.errors import BindingError, GraphError
from logistics.orchestration.launching import check_run
from logistics.orchestration.reading import first
from logistics.orchestration.result import RunRecord
from logistics.orchestration.running import known_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.specs import Input
    from actors.schedule.messages import ScheduleView
    from actors.workflow.specs import PlanStep
    from logistics.orchestration.engine import OrchestrationEngine

OPEN = (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING, StepStatus.RETRYING)


@dataclass(frozen=True)
class UpgradeFinding:
    """Something that does not fit, or that differs."""

    kind: str
    """`run`, `job` or `schedule`."""
    id: str
    """The run's or the job's id, or the schedule's name."""
    name: str
    """The workflow's, the job's, or the schedule's."""
    step: str | None
    function: str | None
    problem: str
    blocking: bool
    """Whether it will not go on as things are: it waits, or fails. Otherwise a newer definition does not touch it."""


def upgrade_check(engine: OrchestrationEngine) -> list[UpgradeFinding]:
    """Return what does not fit of every open run, every job that waits and every schedule; nothing is changed."""
    found: list[UpgradeFinding] = []
    for run_id in engine.ask("supervisor", GetRuns()):
        found += _of_run(engine, run_id)
    for queue in sorted(engine.ask("queue", ListQueues())):
        for job_id in engine.ask("queue", ListJobs(queue=queue)):
            found += _of_job(engine, job_id)
    for view in engine.ask("scheduler", GetSchedules()):
        function = view.target.function
        is_run = bool(view.target.workflow)
        problem = _no_run(engine, view) if is_run else _misfit(engine, function, view.target.payload, ())
        if problem:
            called = None if is_run else function
            found.append(
                UpgradeFinding("schedule", view.name, view.name, None, called, problem, blocking=True)
            )
    return found


def _no_run(engine: OrchestrationEngine, view: ScheduleView) -> str:
    """Return why a firing would be parked today instead of being a run; empty if it would not."""
    name = view.target.workflow
    prepared = known_workflow(engine, name)
    if prepared is None:
        return f"there is no workflow {name!r} on record: its firings wait until it is defined"
    now_us = engine.store.runtime.clock.now_us()
    try:
        _, params = decode_call(engine.store.runtime.vault.open(view.target.payload))
        check_run(prepared, params, view.spec.timezone, now_us, lambda other: known_workflow(engine, other))
    except LogisticsError as error:
        return f"a run begun today would be refused: {error}; its firings wait until it is defined anew"
    return ""


def _of_run(engine: OrchestrationEngine, run_id: str) -> Iterator[UpgradeFinding]:
    record = RunRecord(engine, run_id)
    name = record.created.workflow
    steps = record.steps()
    for step in record.plan.steps:
        if steps[step.name].status in OPEN:
            for function, problem in _of_step(engine, step):
                yield UpgradeFinding("run", run_id, name, step.name, function, problem, blocking=True)
    prepared = known_workflow(engine, name)
    if prepared is None:
        return
    try:
        today = prepared.plan(record.params, lambda other: known_workflow(engine, other))
    except (BindingError, GraphError) as error:
        problem = f"a run begun today would be refused: {error}"
    else:
        if today.plan_id == record.created.plan_id:
            return
        problem = (
            "its workflow is defined otherwise today; the run goes on with the definition that it began with"
        )
    yield UpgradeFinding("run", run_id, name, None, None, problem, blocking=False)


def _of_job(engine: OrchestrationEngine, job_id: str) -> Iterator[UpgradeFinding]:
    """Yield what does not fit of a job; those of steps, and those that plan runs, are named with what they are of."""
    enqueued = first(engine, f"job:{job_id}")
    spec = enqueued.spec if isinstance(enqueued, JobEnqueued) else None
    if spec is not None and not spec.owner.startswith("run:") and not spec.function.startswith(WORKFLOW):
        problem = _misfit(engine, spec.function, spec.payload, spec.inputs)
        if problem:
            yield UpgradeFinding("job", job_id, spec.name, None, spec.function, problem, blocking=True)


def _of_step(engine: OrchestrationEngine, step: PlanStep) -> Iterator[tuple[str, str]]:
    options = step.options
    calls: list[tuple[str, bytes, tuple[Input, ...]]] = [(step.function, step.payload, step.inputs)]
    if options is not None:
        calls += [
            (options.when_function, NO_ARGUMENTS, options.when_inputs),
            (options.compensate, NO_ARGUMENTS, options.compensate_inputs),
        ]
    for function, payload, inputs in calls:
        problem = _misfit(engine, function, payload, inputs) if function else ""
        if problem:
            yield function, problem


NO_ARGUMENTS = b"\x92\x90\x80"


def _misfit(engine: OrchestrationEngine, ref: str, payload: bytes, inputs: tuple[Input, ...]) -> str:
    """Return why a call cannot be made today; empty if it can."""
    try:
        function = engine.functions.resolve(ref)
        args, kwargs = decode_call(engine.store.runtime.vault.open(payload))
        signature = inspect.signature(function)
    except UnresolvedFunctionError as error:
        return f"{error}; it waits until the function is back, under its name"
    except (PayloadError, ErasedError, TypeError, ValueError) as error:
        return str(error)
    given: dict[str, Any] = dict(kwargs)
    places = list(args)
    for each in inputs:
        if each.positional:
            places.append(None)
        elif not each.kind.startswith("ref"):
            given[each.parameter] = None
    if not inputs and CONTEXT_PARAMETER in signature.parameters and len(args) == 0:
        given.setdefault(CONTEXT_PARAMETER, None)
    try:
        signature.bind(*places, **given)
    except TypeError as error:
        return f"its parameters have changed: {error}; the call would fail"
    return ""
