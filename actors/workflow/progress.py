"""How a run gets on: what the end of a step lets go, what it stops, and when the run is over."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from actors.queue.messages import STEPS, CancelOwned, EnqueueJobs, JobSpec, StepWork
from actors.workflow.messages import (
    RunCancelled,
    RunCompleted,
    RunEnding,
    RunFailed,
    RunStatus,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.queue.messages import Input
    from actors.runtime.messages import Context, Decision
    from actors.workflow.state import Run

CANCELLED = "it was cancelled"
"""The error of a cancelled run."""
OPEN = (StepStatus.PENDING, StepStatus.RUNNING)
LOST = (StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED)
"""Steps that have ended so have no output."""
NOTHING: Mapping[int, StepStatus] = MappingProxyType({})


def step_job(run: Run, index: int, ended: Mapping[int, StepStatus] = NOTHING) -> JobSpec:
    """Return the job of a step: the same one however often it is asked for (R9).

    `ended` has the steps whose end was decided just now, and is not in the state yet.
    """
    step = run.graph.plan.steps[index]
    options = step.options
    work = None
    if options is not None and (options.when or options.when_function):
        when_inputs = _inputs(run, options.when_inputs, ended)
        work = StepWork(options.when, options.when_function, when_inputs)
    return JobSpec(
        job_id=run.job_id(index),
        queue=step.queue or STEPS,
        name=f"{run.workflow}.{step.name}",
        function=step.function,
        payload=step.payload,
        priority=step.priority,
        retry=step.retry,
        owner=f"run:{run.run_id}",
        inputs=_inputs(run, step.inputs, ended),
        work=work,
    )


def _inputs(run: Run, inputs: tuple[Input, ...], ended: Mapping[int, StepStatus]) -> tuple[Input, ...]:
    return tuple(_from_job(run, given, ended) if "step" in given.kind else given for given in inputs)


def _from_job(run: Run, given: Input, ended: Mapping[int, StepStatus]) -> Input:
    """Say where the output of a step is that has ended."""
    step = int(given.source)
    if ended.get(step, run.steps[step]) in LOST:
        kind = given.kind.replace("step", "none")
        return msgspec.structs.replace(given, kind=kind, source="")
    return msgspec.structs.replace(given, source=run.job_id(step))


class Advance:
    """One decision about a run: it looks ahead of the state, which the decision's events have not changed yet."""

    def __init__(self, run: Run, context: Context, decision: Decision) -> None:
        self._run = run
        self._now_us = context.now_us
        self._epoch = context.epoch
        self._decision = decision
        self._left = run.left
        self._error = run.error
        self._ending = run.ending
        self._missing: dict[int, int] = {}
        self._ended: dict[int, StepStatus] = {}
        self._ready: list[int] = []

    # -- steps that end --------------------------------------------------------------------------------------

    def completed(self, step: int, attempts: int, at_us: int) -> None:
        """A step has succeeded."""
        self._decision.emit(StepCompleted(self._run.run_id, step, attempts, at_us))
        self._end(step, StepStatus.COMPLETED)

    def failed(self, step: int, attempts: int, error: str, at_us: int) -> None:
        """A step has failed for good; what needs it is skipped unless its author said otherwise."""
        run = self._run
        self._decision.emit(StepFailed(run.run_id, step, attempts, error, at_us))
        options = run.graph.options.get(step)
        if options is None or options.required:
            self._error = self._error or run.failure(step, error)
        self._end(step, StepStatus.FAILED)
        if options is not None and options.on_failure == "stop":
            self._stop(step)

    def skipped(self, step: int, because: int) -> None:
        """A step will not run."""
        self._decision.emit(StepSkipped(self._run.run_id, step, because, self._now_us))
        self._end(step, StepStatus.SKIPPED)

    def _end(self, step: int, status: StepStatus) -> None:
        """Let go, or skip, without recursion, what waited for a step."""
        run, graph = self._run, self._run.graph
        stack = [(step, status)]
        while stack:
            because, status = stack.pop()
            self._ended[because] = status
            self._left -= 1
            passes = graph.passes(because, status)
            for other in graph.dependents[because]:
                if passes:
                    missing = self._missing.get(other, run.missing[other]) - 1
                    self._missing[other] = missing
                    if not missing:
                        self._ready.append(other)
                elif self._is_open(other):
                    self._decision.emit(StepSkipped(run.run_id, other, because, self._now_us))
                    stack.append((other, StepStatus.SKIPPED))

    def _is_open(self, step: int) -> bool:
        return self._run.steps[step] in OPEN and step not in self._ended

    def _stop(self, because: int) -> None:
        """End whatever has not ended, on account of a step that failed."""
        for step in self._open():
            if self._run.steps[step] is StepStatus.PENDING:
                self._decision.emit(StepSkipped(self._run.run_id, step, because, self._now_us))
            else:
                self._cancel(step)
        self._left = 0
        self._ready.clear()

    def _open(self) -> Iterable[int]:
        """Return the steps of the present phase that have not ended."""
        graph = self._run.graph
        steps = graph.last if self._ending else graph.ordinary
        return [step for step in steps if self._is_open(step)]

    def _cancel(self, step: int) -> None:
        run = self._run
        self._decision.emit(StepCancelled(run.run_id, step, self._now_us))
        if run.steps[step] is StepStatus.RUNNING:
            owner = f"run:{run.run_id}"
            self._decision.tell("queue", CancelOwned(job_id=run.job_id(step), owner=owner))

    # -- the run itself --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Schedule the steps that need nothing."""
        graph = self._run.graph
        self._ready += [step for step in graph.ordinary if not graph.missing[step]]
        self.conclude()

    def cancel(self) -> None:
        """End everything; what is to be done at the end is still done, unless that is what is cancelled."""
        for step in self._open():
            self._cancel(step)
        self._left = 0
        if self._ending:
            self._over(RunStatus.CANCELLED)
        else:
            self._close(RunStatus.CANCELLED, CANCELLED)

    def conclude(self) -> None:
        """Schedule what is ready, or close the run if nothing is left."""
        self._schedule(self._ready)
        if self._left:
            return
        if not self._ending:
            self._close(RunStatus.FAILED if self._error else RunStatus.COMPLETED, self._error)
        elif self._ending == RunStatus.COMPLETED and self._error:
            self._over(RunStatus.FAILED)
        else:
            self._over(RunStatus(self._ending))

    def _schedule(self, steps: Iterable[int]) -> None:
        specs = []
        for step in steps:
            self._decision.emit(StepScheduled(self._run.run_id, step, self._now_us))
            specs.append(step_job(self._run, step, self._ended))
        if specs:
            self._decision.tell("queue", EnqueueJobs(jobs=tuple(specs), fresh=True))

    def _close(self, status: RunStatus, error: str) -> None:
        """Begin with what is done whatever happened; if there is nothing, the run is over."""
        graph = self._run.graph
        if not graph.last:
            self._over(status)
            return
        self._decision.emit(RunEnding(self._run.run_id, status, error, self._now_us))
        for step in self._run.graph.ordinary:  # of a cancelled run: what is not in the state yet
            if self._run.steps[step] in OPEN:
                self._ended.setdefault(step, StepStatus.CANCELLED)
        self._schedule(step for step in graph.last if not graph.missing[step])

    def _over(self, status: RunStatus) -> None:
        run_id, now_us = self._run.run_id, self._now_us
        if status is RunStatus.COMPLETED:
            self._decision.emit(RunCompleted(run_id, self._epoch, now_us))
        elif status is RunStatus.FAILED:
            self._decision.emit(RunFailed(run_id, self._epoch, self._error, now_us))
        else:
            self._decision.emit(RunCancelled(run_id, self._epoch, now_us))
