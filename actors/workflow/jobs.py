"""The jobs that a run asks of the queue: the same ones however often they are asked for (R9)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from actors.queue.specs import SHARE, STEPS, JobSpec, RetryPolicy, StepWork, Terms
from actors.runtime.seals import key_in
from actors.workflow.run import UNDO
from actors.workflow.specs import LOST, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.specs import Input
    from actors.workflow.run import Run
    from actors.workflow.specs import PlanStep, StepOptions

UNDO_RETRIES = 10
"""How often a compensation is tried again, at least."""
NO_ARGUMENTS = b"\x92\x90\x80"
"""A call without any, as bytes."""


def task_share(session_id: str) -> str:
    """Return the name of the resource that the calls of a session share."""
    return f"{SHARE}{session_id}"


SINGLE = MappingProxyType({"list": "step", "runs": "run"})
"""Of which kind one of several sources is."""


class Ahead:
    """What a decision has done to a run, ahead of its state."""

    __slots__ = ("doubts", "ended", "others")

    def __init__(self) -> None:
        self.doubts: dict[int, bool] = {}
        """Steps that were cancelled, and whether their calls may have succeeded before."""
        self.ended: dict[int, StepStatus] = {}
        self.others: dict[int, str] = {}
        """Steps that waited for other runs, and which."""


def owed_jobs(run: Run) -> Iterator[JobSpec]:
    """Yield every job of a run whose outcome the queue owes."""
    for step, status in enumerate(run.steps):
        if status is StepStatus.RUNNING:
            fan = run.extras.fans.get(step)
            if fan is None:
                yield step_job(run, step)
            else:
                for item in fan.flying:
                    yield item_job(run, step, item)
    if run.extras.undoing >= 0:
        yield undo_job(run, run.extras.undoing)


def step_job(run: Run, index: int, ahead: Ahead | None = None) -> JobSpec:
    """Return the job that a step begins with: most often its call, else what has to be found out first."""
    step = run.graph.plan.steps[index]
    options = step.options
    if options is None:
        return _job(run, index, step, inputs=_inputs(run, step.inputs, ahead))
    work = StepWork(
        options.when,
        options.when_function,
        _inputs(run, options.when_inputs, ahead),
        gives=_gives(options),
        cache_us=0 if options.mapped else options.cache_us,
        cache_key=options.cache_key,
    )
    inputs = step.inputs
    payload = step.payload
    if options.mapped:
        inputs = tuple(_whole(given) for given in inputs if "item-" in given.kind)
        payload = NO_ARGUMENTS
    return _job(
        run,
        index,
        step,
        payload=payload,
        inputs=_inputs(run, inputs, ahead),
        work=None if work == NO_WORK else work,
    )


NO_WORK = StepWork()


def _gives(options: StepOptions) -> str:
    if options.mapped:
        return "count"
    if options.child:
        return "params"
    if options.wait is not None:
        return "text" if options.wait.kind == "run" else "nothing"
    return ""


def item_job(run: Run, index: int, item: int, ahead: Ahead | None = None) -> JobSpec:
    """Return the job of one item of a step that is mapped over a list."""
    step = run.graph.plan.steps[index]
    options = step.options
    assert options is not None
    inputs = tuple(_item(run, given, item) if "item-" in given.kind else given for given in step.inputs)
    gives = "params" if options.child else ""
    work = StepWork(item=item, gives=gives, cache_us=options.cache_us, cache_key=options.cache_key)
    return _job(run, index, step, part=str(item), inputs=_inputs(run, inputs, ahead), work=work)


def undo_job(run: Run, index: int, ahead: Ahead | None = None) -> JobSpec:
    """Return the job that compensates a step."""
    step = run.graph.plan.steps[index]
    options = run.graph.options[index]
    retry = RetryPolicy(max(step.retry.max_retries, UNDO_RETRIES), step.retry.base_us, step.retry.cap_us)
    step = msgspec.structs.replace(step, function=options.compensate, retry=retry)
    inputs = options.compensate_inputs
    if _status(run, index, ahead) in LOST:
        fan = run.extras.fans.get(index)
        kind, source = (
            ("step", run.job_id(index)) if fan is None else ("done", f"{fan.next}/{run.job_id(index)}:")
        )
        inputs = tuple(
            _done(given, kind, source) if given.source == str(index) else given for given in inputs
        )
    return _job(run, index, step, part=UNDO, payload=NO_ARGUMENTS, inputs=_inputs(run, inputs, ahead))


def _job(
    run: Run,
    index: int,
    step: PlanStep,
    *,
    inputs: tuple[Input, ...],
    part: str = "",
    payload: bytes | None = None,
    work: StepWork | None = None,
) -> JobSpec:
    options = step.options
    resources: tuple[tuple[str, float], ...] = ()
    life = backoff = None
    if options is not None and part != UNDO and (part or not options.mapped):  # a call of its own function
        resources, backoff, life = options.resources, options.backoff, options.life
    if run.extras.limited:
        resources = (*resources, (task_share(run.session_id), 1.0))
    if key := key_in(run.params):
        work = msgspec.structs.replace(work or NO_WORK, key=key)
    return JobSpec(
        job_id=run.job_id(index, part),
        queue=step.queue or STEPS,
        name=f"{run.workflow}.{step.name}{part and f'[{part}]'}",
        function=step.function,
        payload=step.payload if payload is None else payload,
        priority=step.priority,
        retry=step.retry,
        owner=f"run:{run.run_id}",
        inputs=inputs,
        work=work,
        terms=Terms(resources=resources, backoff=backoff) if resources or backoff else None,
        life=life,
    )


def _inputs(run: Run, inputs: tuple[Input, ...], ahead: Ahead | None) -> tuple[Input, ...]:
    if not inputs:
        return inputs
    return tuple([_found(run, given, ahead) if "step" in given.kind else given for given in inputs])


def _found(run: Run, given: Input, ahead: Ahead | None) -> Input:
    """Say where the output of a step is that has ended."""
    if not given.source.isdecimal():
        return given  # an item of a list that is the outputs of jobs: it was found before
    step = int(given.source)
    if _status(run, step, ahead) in LOST:
        kind, source = "none", ""
    elif ahead is not None and step in ahead.others:
        kind, source = "run", ahead.others[step]
    else:
        kind, source = run.output(step)
    return msgspec.structs.replace(given, kind=given.kind.replace("step", kind), source=source)


def _status(run: Run, step: int, ahead: Ahead | None) -> StepStatus:
    return run.steps[step] if ahead is None else ahead.ended.get(step, run.steps[step])


def _done(given: Input, kind: str, source: str) -> Input:
    """In place of the output of a step that has none: what came of those of its calls that have succeeded."""
    if "step" not in given.kind:
        return given
    return msgspec.structs.replace(given, kind=given.kind.replace("step", kind), source=source)


def _whole(given: Input) -> Input:
    return msgspec.structs.replace(given, kind=given.kind.removeprefix("ref-").removeprefix("item-"))


def _item(run: Run, given: Input, item: int) -> Input:
    """Say where an item is: in a list, or the result of a job, or the output of a run, of its own."""
    if given.kind.endswith("item-step"):
        kind, source = run.output(int(given.source))
        if kind in SINGLE:
            kind = given.kind.replace("item-step", SINGLE[kind])
            return msgspec.structs.replace(given, kind=kind, source=f"{source.partition('/')[2]}{item}")
    return given
