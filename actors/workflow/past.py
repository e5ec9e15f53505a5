"""A run as its own events tell it: for those who look at it from outside, while it is live and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.workflow.events import PlanRecorded, RunCreated
from actors.workflow.state import SupervisorState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.messages import Event
    from actors.workflow.run import Run
    from actors.workflow.specs import Plan


def run_of(plan: Plan, events: Iterable[Event]) -> Run:
    """Return a run after these events of it, the first of them its creation, as it was before its end."""
    state = SupervisorState()
    run_id = ""
    for event in events:
        if isinstance(event, RunCreated):
            run_id = event.run_id
            state.evolve(PlanRecorded(event.plan_id, plan))
            state.evolve(msgspec.structs.replace(event, session_id="", project="", blocking=False))
        elif event.final:
            break
        else:
            state.evolve(event)
    return state.runs[run_id]


def leaves(plan: Plan) -> tuple[int, ...]:
    """Return the steps that no other needs, finally steps aside: their outputs are the run's."""
    ordinary = [
        number for number, step in enumerate(plan.steps) if step.options is None or not step.options.last
    ]
    needed = {other for number in ordinary for other in plan.steps[number].depends_on}
    return tuple(number for number in ordinary if number not in needed)
