"""What is between a run and its end: the work that it is owed, and what its steps wait for."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from actors.queue.messages import Obstacle
from actors.workflow.run import UNDO
from actors.workflow.specs import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.messages import Context, Decision
    from actors.workflow.messages import ExplainRun
    from actors.workflow.run import Run
    from actors.workflow.session_state import Sessions
    from actors.workflow.state import SupervisorState

BETWEEN = Obstacle("between_events")
"""Between two events of one decision there may be nothing: the next event says more."""
FEW = 10
"""Of many steps, and of a step's many jobs, so many are named."""


def explain_run(state: SupervisorState, message: ExplainRun, _context: Context, decision: Decision) -> None:
    """Answer what is between a run and its end."""
    run = state.runs.get(message.run_id)
    decision.answer(None if run is None else tuple(obstacles(run, state.sessions)) or (BETWEEN,))


def obstacles(run: Run, sessions: Sessions) -> Iterator[Obstacle]:
    """Yield what a live run waits for, the work that is under way included."""
    if run.extras.paused:
        yield Obstacle("run_paused", run.run_id)
    if run.extras.held:
        yield _held(run.session_id, sessions)
        return
    if run.extras.undoing >= 0:
        job = f"job:{run.job_id(run.extras.undoing, UNDO)}"
        yield Obstacle("undoing", _name(run, run.extras.undoing), (job,))
    under_way = (step for step, status in enumerate(run.steps) if status is StepStatus.RUNNING)
    for step in islice(under_way, FEW):
        yield from _working(run, step)
    for step in islice(run.extras.waits, FEW):
        yield _waiting(run, step)
    pending = [step for step, status in enumerate(run.steps) if status is StepStatus.PENDING]
    if pending:
        names = tuple(_name(run, step) for step in pending[:FEW])
        yield Obstacle("steps_pending", by=names, used=len(pending), limit=len(run.steps))


def _name(run: Run, step: int) -> str:
    return run.graph.plan.steps[step].name


def _held(session_id: str, sessions: Sessions) -> Obstacle:
    begun = sessions.begun(session_id)
    by = tuple(f"run:{run_id}" for run_id in islice(begun, FEW))
    places = sessions.views[session_id].places
    return Obstacle("session_places", session_id, by, used=len(begun), limit=places)


def _working(run: Run, step: int) -> Iterator[Obstacle]:
    jobs = tuple(f"job:{job_id}" for job_id in islice(run.owed_jobs(step), FEW))
    fan = run.extras.fans.get(step)
    if fan is None:
        yield Obstacle("step_running", _name(run, step), jobs)
        return
    yield Obstacle("items_running", _name(run, step), jobs, used=fan.next - fan.under_way, limit=fan.count)
    if fan.runs:
        runs = tuple(f"run:{run_id}" for run_id in islice(run.children(step), FEW))
        yield Obstacle("step_awaits_run", _name(run, step), runs)


def _waiting(run: Run, step: int) -> Obstacle:
    """Tell what a step waits for that is no work of its own."""
    wait = run.graph.options[step].wait
    other = run.extras.others.get(step)
    code = "run" if wait is None else wait.kind
    by = () if other is None else (f"run:{other}",)
    return Obstacle(f"step_awaits_{code}", _name(run, step), by, until_us=run.extras.waits[step])
