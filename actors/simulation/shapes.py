"""The workflows of the simulation: graphs, and steps of every kind there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.queue.specs import NOTE_SKIP, NOTE_VALUE, Input, RetryPolicy
from actors.workflow.messages import StartRun
from actors.workflow.specs import Plan, PlanStep, StepOptions, WaitPlan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from actors.queue.specs import JobSpec

CALL = b"\x92\x90\x80"
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((),),
    ((), (0,), (1,)),
    ((), (), (0, 1)),
    ((), (0,), (0,), (1, 2)),
    ((), (0,), (1,), (2,), (3,)),
)
"""What each step depends on."""
LONG = Plan(
    "long",
    (
        PlanStep("first", "m:short", CALL, (), options=StepOptions(compensate="m:short")),
        PlanStep("wait", "", CALL, (), options=StepOptions(wait=WaitPlan("time", 300_000_000))),
    ),
)
"""One that is still there when its schedule fires again, or its run is cancelled."""
CHILDREN = (
    ("child", Plan("child", (PlanStep("s0", "m:short", CALL, ()), PlanStep("s1", "m:short", CALL, (0,))))),
    (
        "patient",
        Plan(
            "patient",
            (
                PlanStep("s0", "m:short", CALL, (), options=StepOptions(compensate="m:short")),
                PlanStep("wait", "", CALL, (0,), options=StepOptions(wait=WaitPlan("time", 3_000_000))),
            ),
        ),
    ),
    ("long", LONG),
    (
        "parent",
        Plan(
            "parent",
            (
                PlanStep("child", "", CALL, (), options=StepOptions(child="child")),
                PlanStep("patient", "", CALL, (), options=StepOptions(child="patient")),
            ),
        ),
    ),
)
"""Runs that steps may be, by the ids of their plans."""
UNUSUAL = "unusual"
"""What workflows are called that have steps of other kinds."""
SIGNAL = "signal"
"""What a step is called that waits for a signal."""


def random_plan(random: Random) -> Plan:
    """Return a plan of ordinary steps, some with retries."""
    shape = random.choice(SHAPES)
    steps = (
        PlanStep(f"s{index}", "m:short", CALL, needs, retry=RetryPolicy(random.randint(0, 1), 0))
        for index, needs in enumerate(shape)
    )
    return Plan(f"w{SHAPES.index(shape)}", tuple(steps))


def unusual_plan(random: Random) -> Plan:
    """Return a plan of a step, one of some kind in its middle, and one behind that; perhaps a finally step."""
    tidy = random.random() < 0.3  # noqa: PLR2004 -- a third
    steps = (
        PlanStep("first", "m:short", CALL, (), options=StepOptions(compensate="m:short")),
        _middle(random),
        PlanStep("after", "m:short", CALL, (1,)),
        *([PlanStep("tidy", "m:short", CALL, (), options=StepOptions(last=True))] if tidy else []),
    )
    return Plan(UNUSUAL, steps)


def listed_plan(random: Random) -> Plan:
    """Return a plan of a list, and a run for each of its items that takes its time."""
    child = random.choice(("patient", "long", "long"))
    again = RetryPolicy(3, 0)
    options = StepOptions(
        mapped=True,
        child=child,
        on_failure=random.choice(("skip", "stop", "continue")),
        parallel=random.choice((0, 2, 5)),
    )
    steps = (
        PlanStep("list", "m:short", CALL, (), retry=again, options=StepOptions(compensate="m:short")),
        PlanStep("each", "", CALL, (0,), (Input("", "ref-item-step", "0"),), again, options=options),
        PlanStep("after", "m:short", CALL, (1,)),
    )
    return Plan(UNUSUAL, steps)


def _middle(random: Random) -> PlanStep:
    needs = (0,) if random.random() < 0.5 else ()  # noqa: PLR2004 -- half of them
    list_input = (Input("item", "item-step", "0"),)
    policy = random.choice(("skip", "stop", "continue"))
    child, _ = random.choice(CHILDREN)
    kinds = (
        PlanStep("list", "m:short", CALL, (0,), list_input, options=StepOptions(mapped=True, parallel=2)),
        PlanStep(
            "list",
            "m:short",
            CALL,
            (0,),
            list_input,
            options=StepOptions(mapped=True, on_failure=policy, compensate="m:short"),
        ),
        PlanStep(
            "each",
            "",
            CALL,
            (0,),
            (Input("", "ref-item-step", "0"),),
            options=StepOptions(mapped=True, child=child, on_failure=policy, parallel=random.choice((0, 2))),
        ),
        PlanStep("child", "", CALL, needs, options=StepOptions(child=child, on_failure=policy)),
        PlanStep("child", "", CALL, (), options=StepOptions(child=child, on_failure=policy)),
        PlanStep("other", "", CALL, needs, options=StepOptions(wait=WaitPlan("run", 60_000_000))),
        PlanStep("wait", "", CALL, needs, options=StepOptions(wait=WaitPlan("time", 3_000_000))),
        PlanStep(SIGNAL, "", CALL, needs, options=StepOptions(wait=WaitPlan("signal", 60_000_000))),
        PlanStep("if", "m:short", CALL, needs, options=StepOptions(when="true", on_failure=policy)),
        PlanStep("undo", "m:short", CALL, needs, options=StepOptions(compensate="m:short")),
    )
    return random.choice(kinds)


def _planned_run(random: Random) -> bytes:
    """Return the plan of a run of a schedule, as a worker makes it."""
    plan = random.choice((random_plan(random), unusual_plan(random), LONG))
    children = CHILDREN if plan.workflow == UNUSUAL else ()
    run = StartRun(
        run_id="", plan=plan, plan_id=f"p-{plan}", params=b"\x80", blocking=False, children=children
    )
    return msgspec.msgpack.encode(run)


def note_of(spec: JobSpec, random: Random, runs: Sequence[str], longest: int) -> bytes:
    """Return what a worker would tell the owner of a job that has succeeded; there are, or will be, these runs.

    `longest`: so many items a list has at most.
    """
    if spec.work is None:
        return b""
    if spec.work.gives == "run":
        return NOTE_VALUE + _planned_run(random)
    if spec.work.when and random.random() < 0.3:  # noqa: PLR2004 -- a third
        return NOTE_SKIP
    other = random.choice(runs[-5:]).encode() if runs else b""
    notes = {"count": b"%d" % random.randint(0, longest), "params": b"\x80", "text": other}
    return NOTE_VALUE + notes.get(spec.work.gives, b"") if spec.work.gives else b""
