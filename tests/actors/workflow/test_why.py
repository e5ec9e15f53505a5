"""What is between a run and its end: exactly the work that it is owed, and what its steps wait for."""

from __future__ import annotations

from random import Random

import pytest

from actors.queue.messages import Obstacle
from actors.workflow.messages import ExplainRun, PauseRun, SignalRun
from actors.workflow.specs import Plan as Plan_
from actors.workflow.specs import PlanStep, StepOptions, WaitPlan
from tests.actors.workflow.lives import EMPTY_CALL, OUTCOMES, RULES, Life, context, random_plan
from tests.support.scale import scaled


def why(life: Life, run_id: str = "r") -> tuple[Obstacle, ...] | None:
    found: tuple[Obstacle, ...] | None = RULES.decide(life.state, ExplainRun(run_id), context()).reply
    return found


@pytest.mark.parametrize("seed", range(scaled("run_reasons", 60)))
def test_a_live_run_names_the_jobs_that_it_is_owed_at_every_moment_and_none_once_it_has_ended(
    seed: int,
) -> None:
    random = Random(seed)
    life = Life(random_plan(random, 9), random.choices(OUTCOMES, k=9), random)
    life.start()
    while life.jobs:
        found = why(life)
        assert found
        named = {job for each in found if each.code == "step_running" for job in each.by}
        assert named == {f"job:{job_id}" for job_id in life.jobs}
        life.end(random.choice(sorted(life.jobs)))
    assert why(life) is None


def life_of(*options: StepOptions | None) -> Life:
    steps = tuple(
        PlanStep(f"s{n}", "m:f", EMPTY_CALL, (n - 1,) if n else (), options=each)
        for n, each in enumerate(options)
    )
    life = Life(Plan_("w", steps), ["ok"] * len(steps), Random(0))
    life.start()
    return life


def test_a_step_that_waits_says_for_what() -> None:
    life = life_of(StepOptions(wait=WaitPlan("signal", 50)), None)
    rest = Obstacle("steps_pending", by=("s1",), used=1, limit=2)
    assert why(life) == (Obstacle("step_awaits_signal", "s0", until_us=1_050), rest)
    life.say(SignalRun(run_id="r", step="s0", value=b"\xc0"))
    assert why(life) == (Obstacle("step_running", "s1", ("job:r.1",)),)
    life = life_of(StepOptions(wait=WaitPlan("time", 50)))
    assert why(life) == (Obstacle("step_awaits_time", "s0", until_us=1_050),)


def test_a_paused_run_says_so_first() -> None:
    life = life_of(None, None)
    life.say(PauseRun(run_id="r"))
    life.end("r.0")
    assert why(life) == (
        Obstacle("run_paused", "r"),
        Obstacle("steps_pending", by=("s1",), used=1, limit=2),
    )
    assert why(life, "nobody") is None
