"""Running a run again from some step on: a new run that keeps the outputs before it, and names its origin."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.runtime.errors import InputError, UnknownIdError
from actors.workflow.events import RunCreated, StepSkipped, UndoScheduled
from actors.workflow.inside import plans_inside
from actors.workflow.messages import StartRun
from actors.workflow.past import run_of
from actors.workflow.specs import Kept, RunStatus, SessionStatus, StepStatus
from logistics.ids import new_id
from logistics.orchestration.reading import first
from logistics.orchestration.result import RunRecord, plan_on_record
from logistics.orchestration.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.workflow.run import Run
    from logistics.orchestration.engine import OrchestrationEngine


def fork(engine: OrchestrationEngine, run_id: str, step: str | None) -> str:
    """Begin a run that does again what an ended one did from `step` on; return its id.

    None: from whatever did not succeed. `InputError` if the run has not ended, or nothing is left to be done
    again; `UnknownIdError` if it has no such step. The new run is of the same project, and of the same session as
    long as that is open.
    """
    record = RunRecord(engine, run_id)
    if record.end is None:
        msg = f"run {run_id} has not ended; cancel it, or wait for its end"
        raise InputError(msg)
    plan = record.plan
    begin = _begin(record, step)
    run = run_of(plan, record.events)
    kept = tuple(_kept(run, number) for number in _unchanged(record, run, begin))
    command = StartRun(
        run_id=new_id(),
        plan=plan,
        plan_id=record.created.plan_id,
        params=_created(engine, run_id).params,
        blocking=False,
        session_id=_open_session(engine, record.created.session_id),
        project=record.created.project,
        children=tuple(plans_inside(plan, partial(plan_on_record, engine)).items()),
        origin=run_id,
        kept=kept,
    )
    return str(engine.ask("supervisor", command))


def _open_session(engine: OrchestrationEngine, session_id: str) -> str:
    session = get_session(engine, session_id) if session_id else None
    return session_id if session is not None and session.status is SessionStatus.ACTIVE else ""


def _created(engine: OrchestrationEngine, run_id: str) -> RunCreated:
    """Return how a run began, as it is on record: what is sealed stays so."""
    created = first(engine, f"run:{run_id}")
    assert isinstance(created, RunCreated)
    return created


def _begin(record: RunRecord, step: str | None) -> int:
    """Return the step to begin with, -1 for those that did not succeed."""
    if step is None:
        if record.status is RunStatus.COMPLETED:
            msg = f"run {record.created.run_id} has succeeded; name the step to begin with"
            raise InputError(msg)
        return -1
    names = [each.name for each in record.plan.steps]
    if step not in names:
        msg = f"run {record.created.run_id} of {record.created.workflow!r} has no step {step!r}"
        raise UnknownIdError(msg)
    return names.index(step)


def _unchanged(record: RunRecord, run: Run, begin: int) -> Iterable[int]:
    """Yield the steps whose outputs are kept: nothing that they depend on is done again."""
    undone = {event.step for event in record.events if isinstance(event, UndoScheduled)}
    by_condition = {
        event.step
        for event in record.events
        if isinstance(event, StepSkipped) and event.because == event.step
    }
    missing = list(run.graph.missing)
    same = [step for step in run.graph.ordinary if not missing[step]]
    for step in same:  # grows by what depends on nothing else
        if step == begin or step in undone:
            continue
        if run.steps[step] is StepStatus.COMPLETED:
            yield step
        elif step not in by_condition:
            continue
        for other in run.graph.dependents[step]:
            missing[other] -= 1
            if not missing[other]:
                same.append(other)


def _kept(run: Run, step: int) -> Kept:
    kind, source = run.output(step)
    if kind in ("list", "runs"):
        count, _, prefix = source.partition("/")
        return Kept(step, prefix.removesuffix(":"), int(count))
    return Kept(step, source or run.job_id(step))
