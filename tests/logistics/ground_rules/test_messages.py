"""What commands are answered, and what is refused of them."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest

import logistics
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    EnqueueJobs,
    GetJob,
    JobEnded,
    LeaseJob,
    RetryJob,
    SettleLease,
)
from actors.queue.specs import JobSpec, RetryPolicy
from actors.runtime.effects import AttemptKey
from actors.runtime.messages import Message, Nudge
from actors.runtime.reply import Reply
from actors.workflow.messages import StartRun
from actors.workflow.specs import Plan, PlanStep
from logistics.messages import COMMANDS
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import add


def test_a_command_is_answered_durably(engine: OrchestrationEngine) -> None:
    spec = JobSpec("mine", "work", "job", "app:gone", b"")
    assert engine.send(EnqueueJobs(jobs=(spec,))) == ("mine",)
    assert engine.send(GetJob("mine")).status == "PENDING"
    assert engine.send(CancelJob("mine")) is True
    assert engine.send(CancelJob("mine")) is False


@pytest.mark.parametrize("thing", ["text", None, 7, GetJob, Nudge(), JobEnded("j", "COMPLETED", "", 1, 0)])
def test_what_is_no_command_is_refused(engine: OrchestrationEngine, thing: Any) -> None:
    with refused("^expected a command of logistics.messages, got "):
        engine.send(thing)


def spec(**wrong: Any) -> JobSpec:
    return JobSpec(**{"job_id": "j", "queue": "q", "name": "n", "function": "f:f", "payload": b""} | wrong)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (GetJob(7), r"^GetJob: Expected `str`, got `int` - at `\$.job_id`"),  # type: ignore[arg-type]
        (GetJob(None), "^GetJob: Expected `str`, got `None`"),  # type: ignore[arg-type]
        (GetJob(1j), "^GetJob: "),  # type: ignore[arg-type]
        (GetJob("\ud800"), "^GetJob: "),
        (EnqueueJobs("jobs"), "^EnqueueJobs: Expected `array`, got `str`"),  # type: ignore[arg-type]
        (EnqueueJobs((1,)), "^EnqueueJobs: Expected `array`, got `int`"),  # type: ignore[arg-type]
        (EnqueueJobs((spec(priority=1.5),)), "^EnqueueJobs: Expected `int`, got `float`"),
        (EnqueueJobs((spec(priority=2**63),)), "^EnqueueJobs: Expected `int` <= 2147483648"),
        (EnqueueJobs((spec(due_us=-1),)), "^EnqueueJobs: Expected `int` >= 0"),
        (EnqueueJobs((spec(due_us=2**63),)), "^EnqueueJobs: Expected `int` <= "),
        (EnqueueJobs((spec(due_us=2**80),)), "^EnqueueJobs: "),
        (EnqueueJobs((spec(queue=""),)), "^EnqueueJobs: Expected `str` of length >= 1"),
        (EnqueueJobs((spec(job_id="x" * 1_000),)), "^EnqueueJobs: Expected `str` of length <= "),
        (EnqueueJobs((spec(retry=RetryPolicy(-1)),)), "^EnqueueJobs: Expected `int` >= 0"),
        (EnqueueJobs((spec(retry=RetryPolicy(1, 2**63)),)), "^EnqueueJobs: Expected `int` <= "),
        (EnqueueJobs((spec(retry=RetryPolicy(1, 1, 2**64 - 1)),)), "^EnqueueJobs: Expected `int` <= "),
        (LeaseJob("q", 0), "^LeaseJob: Expected `int` >= 1"),
        (LeaseJob("q", 2**64 - 1), "^LeaseJob: Expected `int` <= "),
        (LeaseJob("q", True), "^LeaseJob: Expected `int`, got `bool`"),
        (Allocate("a", "me", (("gpu", "1"),)), "^Allocate: Expected `float`, got `str`"),  # type: ignore[arg-type]
        (Allocate("a", "me", (("gpu", -1.0),)), "expected a number above 0, got -1.0"),
        (AddResource("gpu", "card", math.nan), "expected a number above 0, got nan"),
        (SettleLease(AttemptKey("j", 1, 1), "maybe"), "^outcome: expected 'ok' or 'error', got 'maybe'"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_command_with_wrong_fields_is_refused_and_changes_nothing(
    engine: OrchestrationEngine, command: Message, text: str
) -> None:
    before = engine.get_metrics()["events_total"]
    with refused(text):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before
    assert engine.health_check()["healthy"] is True


def test_every_command_has_an_actor_that_knows_it(engine: OrchestrationEngine) -> None:
    for kind, actor in COMMANDS.items():
        rules = {each.rules.name: each.rules for each in engine.store.runtime._actor_types}
        assert actor in rules, kind


def test_a_job_that_claims_an_owner_harms_nobody(engine: OrchestrationEngine, queue: Queue) -> None:
    runtime = engine.store.runtime
    plan = Plan("w", (PlanStep("s", "gone:gone", b"", ()),))
    engine.send(StartRun("real", plan, "p", b"\x80", blocking=False))
    for number, owner in enumerate(["run:x", "run:real", "schedule:x", "nobody"]):
        for job_id in (f"j{number}", f"x.{number}y", f"real.{90 + number}", f"real.٣{number}"):
            engine.ask("queue", EnqueueJobs((spec(job_id=job_id, owner=owner),)))
            assert engine.send(CancelJob(job_id)) is True
    queue.enqueue(Job("sum", add))
    assert JobScheduler().process(queue).completed == 1
    assert runtime.journal.generation == 0, "no actor had to be rebuilt"


def test_a_plan_that_names_what_is_not_there_is_refused(engine: OrchestrationEngine) -> None:
    first = PlanStep("a", "gone:gone", b"", ())
    for source in ("7", "-1", "x", ""):
        inputs = (logistics.messages.Input("value", "step", source),)
        plan = Plan("w", (first, PlanStep("b", "gone:gone", b"", (0,), inputs)))
        with refused(f"^step 'b' takes 'value' from step {source!r}, of 2$"):
            engine.send(StartRun("r", plan, "p", b"\x80", blocking=False))


def test_what_was_refused_is_not_kept(engine: OrchestrationEngine) -> None:
    def replies() -> int:
        gc.collect()
        return sum(type(each) is Reply for each in gc.get_objects())

    def refuse(times: int) -> None:
        for _ in range(times):
            with pytest.raises(LookupError):
                engine.send(RetryJob("unknown"))

    refuse(1)
    before = replies()
    refuse(20)
    assert replies() <= before + 2  # the last ones may still be in the hands of the threads
