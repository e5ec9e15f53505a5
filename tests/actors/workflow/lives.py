"""Runs of random graphs, played against the rules alone, and the ten-line oracle of how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from hypothesis import strategies as st

from actors.folding import event_codec
from actors.queue.messages import CancelOwned, EnqueueJobs, JobEnded
from actors.queue.specs import NOTE_SKIP
from actors.runtime.messages import Context, Decision, Event, Message
from actors.workflow.decider import SupervisorRules
from actors.workflow.events import RunEvent
from actors.workflow.messages import StartRun
from actors.workflow.specs import Plan, PlanStep, StepOptions
from actors.workflow.state import SupervisorState

RULES = SupervisorRules()
CODEC = event_codec()
EMPTY_CALL = b"\x92\x90\x80"
OUTCOMES = ("ok", "ok", "ok", "fail", "skip")


def expected(plan: Plan, outcomes: Sequence[str]) -> tuple[dict[int, str], str]:
    """The oracle: how each step ends, and the run, if steps end in any order and nothing is stopped."""
    ends: dict[int, str] = {}
    options = [step.options or StepOptions() for step in plan.steps]
    spared: set[int] = set()
    gone: set[int] = set()
    """Steps before which one has failed that the run needs."""
    for step in sorted(range(len(plan.steps)), key=lambda step: (options[step].last, step)):
        lost = [
            other
            for other in plan.steps[step].depends_on
            if ends[other] != "COMPLETED"
            and options[other].on_failure != "continue"
            and not (options[other].on_failure == "skip_if_failed" and other in spared)
        ]
        needed = [
            other
            for other in lost
            if ends[other] == "FAILED" and options[other].required and not options[other].last
        ]
        if needed or gone.intersection(plan.steps[step].depends_on):
            gone.add(step)
        if (lost or step in gone) and not options[step].last:
            ends[step] = "SKIPPED"
        else:
            ends[step] = {"ok": "COMPLETED", "fail": "FAILED", "skip": "SKIPPED"}[outcomes[step]]
            spared |= {step} if outcomes[step] == "skip" else set()
    failed = any(end == "FAILED" and options[step].required for step, end in ends.items())
    return ends, "FAILED" if failed else "COMPLETED"


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> Plan:
    """Graphs whose steps need earlier ones; some are optional, some go on without what they need, some are last."""
    count = draw(st.integers(1, most))
    random = Random(draw(st.integers(0, 2**32)))
    return random_plan(random, count)


def random_plan(random: Random, count: int) -> Plan:
    steps: list[PlanStep] = []
    for index in range(count):
        last = index > 0 and random.random() < 0.1
        ordinary = [other for other in range(index) if last or not _is_last(steps[other])]
        needs = random.sample(ordinary, min(len(ordinary), random.choice((0, 1, 1, 2, 3))))
        options = StepOptions(
            required=random.random() < 0.7,
            on_failure=random.choice(("skip", "skip", "continue", "skip_if_failed")),
            last=last,
        )
        steps.append(PlanStep(f"s{index}", "m:f", EMPTY_CALL, tuple(needs), options=options))
    return Plan("w", tuple(steps))


def _is_last(step: PlanStep) -> bool:
    return step.options is not None and step.options.last


def context() -> Context:
    return Context(1_000, 1, 4, None, scheduling=True, known={})


class Life:
    """One run: decisions taken one by one, jobs that end in an order that a seed draws."""

    def __init__(self, plan: Plan, outcomes: Sequence[str], random: Random) -> None:
        self.plan = plan
        self.outcomes = outcomes
        self.random = random
        self.state = SupervisorState()
        self.log: list[list[Event]] = []
        """The events of each decision: what is written whole or not at all."""
        self.jobs: dict[str, int] = {}
        """Asked for and not ended, by id; the value is the step."""

    def start(self) -> None:
        self.say(StartRun(run_id="r", plan=self.plan, plan_id="p", params=b"\x80", blocking=False))

    def say(self, message: Message) -> None:
        self.take(RULES.decide(self.state, message, context()))

    def take(self, decision: Decision) -> None:
        if decision.events:
            self.log.append([event for event, _ in decision.events])
        for event, _ in decision.events:
            self.state.evolve(event)
        for _, message in decision.tells:
            if isinstance(message, EnqueueJobs):
                for spec in message.jobs:
                    self.jobs[spec.job_id] = int(spec.job_id.rpartition(".")[2].partition(":")[0])
            elif isinstance(message, CancelOwned):
                self.jobs.pop(message.job_id, None)

    def play(self) -> None:
        """Let every job that was asked for end, until none is left."""
        while self.jobs:
            self.end(self.random.choice(sorted(self.jobs)))

    def end(self, job_id: str, note: bytes = b"") -> None:
        """Let a job end as it is to."""
        outcome = self.outcomes[self.jobs.pop(job_id)]
        self.say(
            JobEnded(
                job_id=job_id,
                status="FAILED" if outcome == "fail" else "COMPLETED",
                error="planned" if outcome == "fail" else "",
                attempts=1,
                ended_us=5,
                note=NOTE_SKIP if outcome == "skip" else note,
            )
        )

    def crashed_after(self, decisions: int) -> Life:
        """Return the life that goes on after a crash that left so many decisions, and has said what it owes."""
        again = Life(self.plan, self.outcomes, self.random)
        for events in self.log[:decisions]:
            again.log.append(events)
            for event in events:
                again.state.evolve(event)
        again.state = SupervisorState.restore(again.state.dump())
        again.take(RULES.pending(again.state, context()))
        return again

    def ends(self) -> tuple[dict[int, str], str]:
        """How the steps and the run ended, as the log says it."""
        steps: dict[int, str] = {}
        run = "open"
        names: Mapping[str, str] = {
            "StepCompleted": "COMPLETED",
            "StepFailed": "FAILED",
            "StepSkipped": "SKIPPED",
            "StepCancelled": "CANCELLED",
        }
        for event in (event for events in self.log for event in events):
            kind = type(event).__name__
            if kind in names and isinstance(event, RunEvent):
                assert event.step not in steps, f"step {event.step} has ended twice"  # type: ignore[attr-defined]
                steps[event.step] = names[kind]  # type: ignore[attr-defined]
            elif event.final:
                assert run == "open"
                run = kind.removeprefix("Run").upper()
        return steps, run
