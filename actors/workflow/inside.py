"""The plans of runs that are inside a run: what it cannot be begun without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.workflow.specs import Plan


def plans_inside(plan: Plan, find: Callable[[str], Plan]) -> dict[str, Plan]:
    """Return the plans of the runs that a plan's steps are, and theirs, by their ids, each behind whatever has it.

    Each is asked for once, however many ways lead to it; what `find` raises is raised.
    """
    ready: dict[str, Plan] = {}
    seen: set[str] = set()
    stack = [("", plan, _children(plan))]
    while stack:
        plan_id, plan, left = stack[-1]
        child = next((each for each in left if each not in seen), None)
        if child is None:
            stack.pop()
            ready[plan_id] = plan
        else:
            seen.add(child)
            found = find(child)
            stack.append((child, found, _children(found)))
    del ready[""]
    return dict(reversed(ready.items()))


def _children(plan: Plan) -> Iterator[str]:
    return (step.options.child for step in plan.steps if step.options is not None and step.options.child)
