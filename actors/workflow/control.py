"""What is said to runs under way: cancelling, pausing, resuming, signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import InputError, UnknownIdError
from actors.runtime.messages import Decision
from actors.workflow.endings import ending_of
from actors.workflow.events import RunPaused, RunResumed, SignalReceived
from actors.workflow.owned import tell_owner
from actors.workflow.progress import Advance
from actors.workflow.run import digest
from actors.workflow.specs import RunStatus, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.runtime.messages import Context
    from actors.workflow.messages import CancelOwnedRun, CancelRun, PauseRun, ResumeRun, SignalRun
    from actors.workflow.run import Run
    from actors.workflow.state import SupervisorState

ENDED = (StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED)
"""How a step has ended."""


def advanced(state: SupervisorState, run_id: str, context: Context) -> tuple[Decision, Advance]:
    """Return a decision about a run, and what looks ahead of it."""
    decision = Decision()
    return decision, Advance(state, state.runs[run_id], context, decision)


def cancel(state: SupervisorState, message: CancelRun, context: Context, decision: Decision) -> None:
    """Cancel a run."""
    run = state.runs.get(message.run_id)
    decision.answer(run is not None)
    if message.gently:
        cancel_all(state, [message.run_id], context, decision)
    elif run is not None:
        advance = Advance(state, run, context, decision)
        advance.cancel()
        cancel_all(state, advance.orphans, context, decision)


def cancel_owned(
    state: SupervisorState, message: CancelOwnedRun, context: Context, decision: Decision
) -> None:
    """Cancel a run unless it is ending anyway: what is done at the end is not to be cut off by a repetition."""
    run = state.runs.get(message.run_id)
    if run is None or run.extras.owner != message.owner:
        status = ending_of(state, message.run_id, context) or RunStatus.CANCELLED
        tell_owner(message.run_id, status, context.now_us, decision)
    else:
        cancel_all(state, [run.run_id], context, decision)


def cancel_all(
    state: SupervisorState, run_ids: Iterable[str], context: Context, decision: Decision, why: str = ""
) -> None:
    """Cancel runs that are not ending anyway and, without recursion, the runs that their steps are."""
    stack = list(run_ids)
    while stack:
        run = state.runs.get(stack.pop())
        if run is not None and not run.ending:
            advance = Advance(state, run, context, decision)
            advance.cancel(why)
            stack += advance.orphans


def _live(state: SupervisorState, run_id: str) -> Run:
    run = state.runs.get(run_id)
    if run is None:
        msg = f"no run {run_id!r} is live: it has ended, or is not on record"
        raise UnknownIdError(msg)
    return run


def _family(state: SupervisorState, run: Run) -> Iterator[Run]:
    """Yield a run and, without recursion, the live runs that its steps are, and theirs."""
    stack = [run]
    while stack:
        run = stack.pop()
        yield run
        others = (other for step in run.graph.options for other in run.children(step))
        stack += (state.runs[other] for other in others if other in state.runs)


def pause(state: SupervisorState, message: PauseRun, context: Context, decision: Decision) -> None:
    """Have a run, and the runs that its steps are, begin no more steps."""
    run = _live(state, message.run_id)
    if run.ending:
        msg = (
            f"run {message.run_id!r} is ending ({run.ending}): what is left cannot be paused, only cancelled"
        )
        raise InputError(msg)
    for each in _family(state, run):
        if not each.extras.paused and not each.ending:
            decision.emit(RunPaused(each.run_id, context.now_us))


def resume(state: SupervisorState, message: ResumeRun, context: Context, decision: Decision) -> None:
    """Have a run, and the runs that its steps are, go on."""
    for each in _family(state, _live(state, message.run_id)):
        if each.extras.paused:
            decision.emit(RunResumed(each.run_id, context.now_us))
            Advance(state, each, context, decision).resume()


def signal(state: SupervisorState, message: SignalRun, context: Context, decision: Decision) -> None:
    """Send a value to a step, once."""
    run = _live(state, message.run_id)
    named = (index for index, step in enumerate(run.graph.plan.steps) if step.name == message.step)
    step = next(named, -1)
    options = run.graph.options.get(step)
    if options is None or options.wait is None or options.wait.kind != "signal":
        msg = (
            f"run {message.run_id!r} of {run.workflow!r} has no step {message.step!r} that waits for a signal"
        )
        raise UnknownIdError(msg)
    before = run.extras.signals.get(step)
    if before is not None or run.steps[step] in ENDED:
        if before != digest(message.value):
            how = "got another value already" if before is not None else f"is {run.steps[step]}"
            msg = f"step {message.step!r} of run {message.run_id!r} {how}"
            raise InputError(msg)
        return
    decision.emit(SignalReceived(run.run_id, step, message.value, context.now_us), f"run:{run.run_id}")
    if run.steps[step] is StepStatus.WAITING:
        advance = Advance(state, run, context, decision)
        advance.completed(step, 0, context.now_us)
        advance.conclude()
