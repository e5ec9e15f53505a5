"""Whether the fields of a command that a caller has written say what the classes would: its names, ids, jobs, steps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from actors.queue.events import JobEnqueued
from actors.queue.messages import (
    AddResource,
    Allocate,
    ClearQueue,
    ConfigureQueue,
    DrainQueue,
    EnqueueJobs,
    MoveJobs,
    PauseQueue,
    ResumeQueue,
)
from actors.queue.specs import FIRINGS, STEPS, WORKFLOW, JobSpec, Scope
from actors.runtime.errors import InputError
from actors.runtime.functions import FunctionRegistry
from actors.schedule.messages import ApplySchedules, PutSchedule, TriggerSchedule
from actors.workflow.condition import parse
from actors.workflow.messages import CreateProject, CreateSession, DefineWorkflow, StartRun, UpdateProject
from logistics.inputs import (
    MAX_PRIORITY,
    check_component,
    check_id,
    check_int,
    check_job_id,
    check_name,
    check_positive,
    check_text,
)
from logistics.orchestration.schema import field_types
from logistics.task.options import SHAPES
from logistics.task.record import read_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.specs import Backoff, Terms
    from actors.runtime.messages import Message
    from actors.schedule.messages import JobTemplate
    from actors.workflow.specs import Plan, PlanStep, WaitPlan

WAITS = ("time", "signal", "run")


def check_fields(command: Message) -> None:
    """Refuse what nothing could be asked for by, and what lists, and the engine itself, could not make sense of.

    `InputError` says where it is.
    """
    match command:
        case PutSchedule():
            check_name("name", command.name)
            check_id("schedule_id", command.schedule_id)
            with _at("target"):
                _check_target(command.name, command.target)
        case ApplySchedules():
            _check_optional("group", command.group)
            for number, put in enumerate(command.schedules):
                with _at(f"schedules[{number}]"):
                    check_fields(put)
        case TriggerSchedule():
            check_id("trigger_id", command.trigger_id)
        case _:
            _check_of_supervisor(command)
            _check_of_queue(command)


def _check_of_supervisor(command: Message) -> None:
    match command:
        case StartRun():
            _check_start(command)
        case CreateSession():
            check_id("session_id", command.session_id)
        case CreateProject():
            check_component("name", command.name)
            check_name("kind", command.kind)
            check_text("description", command.description)
        case UpdateProject():
            check_name("status", command.status)
        case DefineWorkflow():
            check_name("name", command.name)


def _check_of_queue(command: Message) -> None:
    match command:
        case EnqueueJobs():
            for number, job in enumerate(command.jobs):
                with _at(f"jobs[{number}]"):
                    _check_job(job)
        case ConfigureQueue() | PauseQueue() | ResumeQueue() | DrainQueue() | ClearQueue():
            if command.queue not in (STEPS, FIRINGS):
                check_name("queue", command.queue)
        case MoveJobs():
            check_name("queue", command.queue)
        case AddResource():
            check_name("name", command.name)
            check_name("kind", command.kind)
        case Allocate():
            check_id("allocation_id", command.allocation_id)
            check_name("requester", command.requester)


# -- jobs, and what becomes one --------------------------------------------------------------------------


def _check_job(spec: JobSpec) -> None:
    check_job_id("job_id", spec.job_id)
    check_name("queue", spec.queue)
    check_name("name", spec.name)
    for what, value in (("owner", spec.owner), ("work", spec.work)):
        if value:
            msg = f"{what}: jobs that have one are the engine's own, got {value!r}"
            raise InputError(msg)
    for given in spec.inputs:
        if given.kind != "ctx" and (given.kind != "step" or given.source not in spec.after):
            msg = f"inputs: expected 'ctx', or results of jobs named in after (kind 'step'), got {given!r}"
            raise InputError(msg)
    _check_call(spec)


def _check_target(name: str, target: JobTemplate) -> None:
    _check_optional("queue", target.queue)
    _check_optional("workflow", target.workflow)
    _check_call(
        JobSpec(
            "firing",
            "queue",
            name,
            target.function or target.workflow,
            b"",
            target.priority,
            target.retry,
            terms=target.terms,
            life=target.life,
        )
    )


def _check_call(spec: JobSpec) -> None:
    """Refuse what a job that is read back could not be."""
    check_name("function", spec.function)
    if spec.function.startswith(WORKFLOW):
        msg = f"function: names that begin with {WORKFLOW!r} are the engine's own, got {spec.function!r}"
        raise InputError(msg)
    if spec.terms is not None:
        _check_terms(spec.terms)
    bare = msgspec.structs.replace(spec, payload=b"")  # it is looked at where bytes are
    read_job([JobEnqueued(spec=bare, digest=b"", at_us=0)], FunctionRegistry())


def _check_terms(terms: Terms) -> None:
    _check_backoff(terms.backoff)
    if terms.unique is not None and (terms.unique.scope is Scope.PERIOD) is not (terms.unique.period_us > 0):
        msg = f"unique: expected a period_us of scope {Scope.PERIOD.value!r} and of no other, got {terms.unique!r}"
        raise InputError(msg)


def _check_backoff(backoff: Backoff | None) -> None:
    if backoff is not None:
        with _at("backoff"):
            _check_one_of("shape", backoff.shape, (*SHAPES, "list"))
            if (backoff.shape == "list") is not bool(backoff.delays):
                msg = f"expected delays of shape 'list' and of no other, got {backoff!r}"
                raise InputError(msg)


# -- runs ------------------------------------------------------------------------------------------------


def _check_start(command: StartRun) -> None:
    check_id("run_id", command.run_id)
    if command.owner:
        msg = f"owner: runs that have one are the engine's own, got {command.owner!r}"
        raise InputError(msg)
    check_id("plan_id", command.plan_id)
    with _at("plan"):
        _check_plan(command.plan)
    for number, (plan_id, plan) in enumerate(command.children):
        with _at(f"children[{number}]"):
            check_id("plan_id", plan_id)
            _check_plan(plan)


def _check_plan(plan: Plan) -> None:
    check_name("workflow", plan.workflow)
    names: set[str] = set()
    for number, step in enumerate(plan.steps):
        with _at(f"steps[{number}]"):
            check_name("name", step.name)
            if step.name in names:
                msg = f"name: {step.name!r} is that of another step, too"
                raise InputError(msg)
            names.add(step.name)
            _check_step(step)


def _check_step(step: PlanStep) -> None:
    _check_optional("queue", step.queue)
    check_int("priority", step.priority, least=-MAX_PRIORITY, most=MAX_PRIORITY)
    options = step.options
    if options is None:
        return
    if options.wait is not None:
        _check_wait(options.wait)
    if options.when:
        parse(options.when)
    for name, amount in options.resources:
        check_positive(f"resources: {name!r}", amount)
    _check_backoff(options.backoff)
    if options.life is not None:
        _check_call(JobSpec("step", "queue", step.name, "step", b"", life=options.life))


def _check_wait(wait: WaitPlan) -> None:
    with _at("wait"):
        _check_one_of("kind", wait.kind, WAITS)
        field_types(None if wait.schema is None else dict(wait.schema))


# -- words -----------------------------------------------------------------------------------------------


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Say where something is that is refused."""
    try:
        yield
    except InputError as error:
        msg = f"{where}.{error}"
        raise InputError(msg) from error


def _check_optional(what: str, name: str) -> None:
    if name:
        check_name(what, name)


def _check_one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        msg = f"{what}: expected one of {', '.join(known)}, got {value!r}"
        raise InputError(msg)
