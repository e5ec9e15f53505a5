"""What a schedule fires: a function or a job, to be called, or a workflow, of which a run is begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from actors.queue.specs import WORKFLOW
from actors.runtime.attempt import Firing
from actors.runtime.errors import InputError
from actors.runtime.values import encode_call
from actors.schedule.messages import JobTemplate
from actors.workflow.messages import DefineWorkflow
from logistics.inputs import check_name, check_named
from logistics.orchestration.decorators import MARK
from logistics.orchestration.launching import check_run, with_times
from logistics.orchestration.running import known_workflow
from logistics.orchestration.workflow import Workflow, announce, store_of
from logistics.task.job import Job
from logistics.task.specs import arguments_of

if TYPE_CHECKING:
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.plan import Prepared

Target: TypeAlias = Callable[..., Any] | Workflow | Job

OF_JOBS = ("queue", "priority", "max_retries", "retry_delay")
"""Options that only a job has: the steps of a workflow have their own."""


class Call(NamedTuple):
    """What a schedule calls, or runs."""

    func: Target
    args: Sequence[Any]
    kwargs: Mapping[str, Any] | None


def check_target(name: str, call: Call, options: Iterable[str]) -> None:
    """Refuse what is no workflow yet, and what does not go with one."""
    if hasattr(call.func, MARK):
        msg = (
            f"schedule {name!r}: expected a Workflow; WorkflowManager().define(…) makes one of {call.func!r}"
        )
        raise InputError(msg)
    if isinstance(call.func, Job):
        _check_job(name, call, options)
    if not isinstance(call.func, Workflow):
        _check_texts(name, call)
        return
    wrong = [option for option in OF_JOBS if option in options]
    if wrong:
        msg = f"schedule {name!r}: {', '.join(wrong)}: the steps of a workflow have their own"
        raise InputError(msg)
    check_named("kwargs", call.kwargs)
    if call.args:
        msg = f"schedule {name!r}: a run takes its parameters by name: expected kwargs, got {call.args!r}"
        raise InputError(msg)


def _check_texts(name: str, call: Call) -> None:
    """Refuse `{{scheduled_date}}` and its like in arguments of a function, which would get the braces."""
    said = call.func if isinstance(call.func, Job) else call
    args = list(said.args) if isinstance(said.args, list | tuple) else said.args
    given = {"args": args, "kwargs": said.kwargs}
    if with_times(given, Firing(0, 0), "UTC") != given:
        msg = (
            f"schedule {name!r}: times are put into texts for a Workflow only; a function has a parameter ctx, and "
            f"ctx.scheduled_at is the time, in UTC: got {given!r}"
        )
        raise InputError(msg)


def _check_job(name: str, call: Call, options: Iterable[str]) -> None:
    """Refuse what a `Job` says itself, and what no job has that comes again and again."""
    job = call.func
    assert isinstance(job, Job)
    said = [option for option in (*OF_JOBS[1:], "subject") if option in options]
    if said or call.args or call.kwargs:
        msg = f"schedule {name!r}: {', '.join(said) or 'args, kwargs'}: the Job says so itself"
        raise InputError(msg)
    once = {
        "job_id": job.job_id,
        "unique_key": job.unique_key,
        "on_success": job.on_success,
        "on_failure": job.on_failure,
        "expires (as a datetime)": isinstance(job.expires, datetime) or None,
    }
    wrong = [what for what, value in once.items() if value is not None]
    if wrong:
        msg = f"schedule {name!r}: {', '.join(wrong)}: a job that comes again and again cannot have that"
        raise InputError(msg)


def job_template(engine: OrchestrationEngine, job: Job, queue: str | None) -> JobTemplate:
    """Return a target whose firings are this job."""
    return JobTemplate(
        engine.register(job.func),
        arguments_of(engine, job),
        "" if queue is None else check_name("queue", queue),
        job.priority,
        job.retry_policy,
        "",
        job.terms,
        job.life(engine.register),
    )


def run_template(
    engine: OrchestrationEngine,
    workflow: Workflow,
    kwargs: Mapping[str, Any] | None,
    zone: str,
    *,
    subject: str | None,
) -> JobTemplate:
    """Return a target whose firings are runs of a workflow; refuses parameters that could not begin one now."""
    if store_of(workflow) is not engine.store:
        msg = f"workflow {workflow.name!r} belongs to another store than the schedule"
        raise InputError(msg)
    params = dict(sorted((kwargs or {}).items()))
    payload = encode_call((zone,), params, limit=engine.max_payload)
    now_us = engine.store.runtime.clock.now_us()
    check_run(workflow.prepared(), params, zone, now_us, lambda other: known_workflow(engine, other))
    if subject is not None:
        vault = engine.store.runtime.vault
        payload = vault.seal(payload, vault.key_for(check_name("subject", subject)))
    return JobTemplate(f"{WORKFLOW}{workflow.name}", payload, workflow=workflow.name)


def save_workflows(engine: OrchestrationEngine, calls: Iterable[Call]) -> None:
    """Put workflows that are to be fired on record, and those that their steps are: runs are planned from there."""
    found = {call.func.name: call.func.prepared() for call in calls if isinstance(call.func, Workflow)}
    left = list(found.values())
    while left:
        prepared = left.pop()
        announce(engine.store, prepared.functions)
        definition = prepared.definition
        engine.ask("supervisor", DefineWorkflow(name=definition.name, definition=prepared.encoded))
        children = _children(engine, prepared)
        left += [other for other in children if found.setdefault(other.definition.name, other) is other]


def _children(engine: OrchestrationEngine, prepared: Prepared) -> list[Prepared]:
    names = dict.fromkeys(step.workflow for step in prepared.definition.steps if step.workflow)
    return [child for name in names if (child := known_workflow(engine, name)) is not None]
