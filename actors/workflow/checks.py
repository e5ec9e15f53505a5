"""What keeps a plan from being one: the last line, behind what the façade names to its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.queue.specs import Input
    from actors.workflow.specs import Plan, PlanStep

INDEX_LENGTH = 9
"""Digits of a step's index."""
ON_FAILURE = ("skip", "skip_if_failed", "continue", "stop")
"""What the failure of a step may mean for others."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan that is no graph, or whose steps say what they cannot mean: `InputError`."""
    missing = [len(step.depends_on) for step in plan.steps]
    dependents: list[list[int]] = [[] for _ in plan.steps]
    for index, step in enumerate(plan.steps):
        for other in step.depends_on:
            if not 0 <= other < len(plan.steps):
                msg = f"step {step.name!r} depends on step {other}, of {len(plan.steps)}"
                raise InputError(msg)
            dependents[other].append(index)
        _check_inputs(step, step.inputs, len(plan.steps))
        _check_items(step)
        if step.options is not None:
            _check_options(step, plan)
    ready = [index for index, count in enumerate(missing) if not count]
    done = 0
    while ready:
        done += 1
        for dependent in dependents[ready.pop()]:
            missing[dependent] -= 1
            if not missing[dependent]:
                ready.append(dependent)
    if done < len(plan.steps):
        stuck = sorted(step.name for step, count in zip(plan.steps, missing, strict=True) if count)
        msg = f"the steps {stuck} depend on each other in a circle"
        raise InputError(msg)
    _check_last(plan)


def _check_inputs(step: PlanStep, inputs: Iterable[Input], count: int) -> None:
    for given in inputs:
        source = given.source
        if "step" in given.kind and not (is_index(source) and int(source) < count):
            msg = f"step {step.name!r} takes {given.parameter!r} from step {source!r}, of {count}"
            raise InputError(msg)


def _check_items(step: PlanStep) -> None:
    """Refuse a step that is mapped over no list or several, or takes an item and is not mapped."""
    lists = {
        (given.kind.removeprefix("ref-"), given.source) for given in step.inputs if "item-" in given.kind
    }
    is_mapped = step.options is not None and step.options.mapped
    if len(lists) == is_mapped:
        return
    found = ", ".join(f"{kind} {source!r}" for kind, source in sorted(lists)) or "none"
    expected = (
        "inputs that are items of one list" if is_mapped else "no items, as it is not mapped over a list"
    )
    msg = f"step {step.name!r}: expected {expected}, got {found}"
    raise InputError(msg)


def _check_options(step: PlanStep, plan: Plan) -> None:
    assert step.options is not None
    _check_inputs(step, step.options.when_inputs, len(plan.steps))
    if step.options.on_failure not in ON_FAILURE:
        expected = ", ".join(ON_FAILURE)
        msg = f"step {step.name!r}: on_failure: expected one of {expected}, got {step.options.on_failure!r}"
        raise InputError(msg)
    if step.options.mapped and step.options.child and step.options.compensate:
        msg = f"step {step.name!r}: compensate: a run for each item cannot be undone by a call, only by its own steps"
        raise InputError(msg)


def _check_last(plan: Plan) -> None:
    """Refuse a step that waits for one which is begun when all others have ended."""
    last = {index for index, step in enumerate(plan.steps) if step.options is not None and step.options.last}
    for index, step in enumerate(plan.steps) if last else ():
        late = last.intersection(step.depends_on)
        if late and index not in last:
            msg = f"step {step.name!r} depends on {plan.steps[min(late)].name!r}, which is begun after it has ended"
            raise InputError(msg)


def is_index(text: str) -> bool:
    """Whether a text is the index of a step."""
    return text.isascii() and text.isdecimal() and len(text) <= INDEX_LENGTH
