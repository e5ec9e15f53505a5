"""Commands that a caller has written by hand: what their bytes have to be, and that they may be repeated."""

from __future__ import annotations

import queue as queues
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.runtime.attempt import AttemptContext
from logistics.audit.past import RecordedEvent
from logistics.errors import ConflictingIdError, CronError, PayloadError, UnknownIdError
from logistics.messages import (
    AddResource,
    Allocate,
    ApplySchedules,
    Backoff,
    CancelJob,
    CloseSession,
    ConfigureQueue,
    CreateProject,
    CreateSession,
    CronSpec,
    DefineWorkflow,
    EnqueueJobs,
    GetJob,
    Input,
    JobLife,
    JobSpec,
    JobTemplate,
    LeaseJob,
    Message,
    MoveJobs,
    PauseQueue,
    PauseRun,
    PauseSchedule,
    Plan,
    PlanStep,
    PutSchedule,
    QueueSettings,
    Release,
    RemoveSchedule,
    ResumeQueue,
    ResumeSchedule,
    RetryPolicy,
    Scope,
    SettleLease,
    SignalRun,
    StartRun,
    StepOptions,
    StepWork,
    Terms,
    TriggerSchedule,
    Unique,
    UpdateProject,
    WaitPlan,
    decode_call,
    decode_value,
    encode_call,
    encode_result,
    function_ref,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.manager import ScheduleManager
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import add

JUNK = b"\xc1junk"


def attempt(ctx: AttemptContext) -> int:
    return ctx.attempt


def spec(payload: bytes, job_id: str = "mine") -> JobSpec:
    return JobSpec(job_id, "work", "sum", function_ref(add), payload, retry=RetryPolicy(max_retries=0))


def put(payload: bytes) -> PutSchedule:
    return PutSchedule("s", "s-1", CronSpec("0 * * * *", "UTC"), JobTemplate(function_ref(add), payload))


def start(params: bytes, payload: bytes = b"") -> StartRun:
    return StartRun("r", Plan("w", (PlanStep("a", "gone:gone", payload, ()),)), "p", params, blocking=False)


@pytest.mark.parametrize(
    ("command", "where"),
    [
        (EnqueueJobs((spec(b"", "other"), spec(JUNK))), r"jobs\[1\]\.payload"),
        (EnqueueJobs((spec(encode_result("no call")),)), r"jobs\[0\]\.payload"),
        (put(JUNK), r"target\.payload"),
        (ApplySchedules((put(JUNK),)), r"schedules\[0\]\.target\.payload"),
        (start(JUNK), "params"),
        (start(encode_result([1])), "params"),
        (start(encode_result({}), JUNK), r"plan\.steps\[0\]\.payload"),
        (
            msgspec.structs.replace(start(encode_result({})), children=(("q", start(b"", JUNK).plan),)),
            "children",
        ),
        (DefineWorkflow("w", JUNK), "definition"),
        (CreateSession("s", JUNK), "data"),
        (CreateSession("s", encode_result({"session_id": "t"})), "data: expected what describes session 's'"),
        (CreateSession("s", encode_result({"session_id": "s", "colour": 1})), "data: .* no option 'colour'"),
        (SignalRun("r", "s", JUNK), "value"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Message) else "",
)
def test_bytes_that_nobody_could_read_are_refused_and_change_nothing(
    engine: OrchestrationEngine, command: Message, where: str
) -> None:
    before = engine.get_metrics()["events_total"]
    with refused(f"^{type(command).__name__}: {where}"):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before


def test_a_result_that_nobody_could_read_is_refused_and_the_job_can_still_be_ended(
    engine: OrchestrationEngine, queue: Queue
) -> None:
    engine.send(EnqueueJobs((spec(encode_call([1, 2], {})),)))
    key = engine.send(LeaseJob("work", 60_000_000))
    for junk in (JUNK, b""):
        with refused("^SettleLease: result: "):
            engine.send(SettleLease(key, "ok", junk))
    assert engine.send(SettleLease(key, "ok", encode_result({"sum": 3}))) is True
    assert queue.result("mine") == {"sum": 3}


def test_a_definition_of_another_name_is_refused(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    command = workflows.create("one").add_step("sum", add).define_command()
    with refused("^DefineWorkflow: definition: expected the definition of 'two', got that of 'one'$"):
        engine.send(msgspec.structs.replace(command, name="two"))
    assert engine.send(command) is None
    assert workflows.list_workflows() == ["one"]


def test_bytes_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path, max_payload=100) as engine:
        with pytest.raises(
            PayloadError, match=r"jobs\[0\]\.payload takes \d+ bytes, the limit is 100"
        ) as error:
            engine.send(EnqueueJobs((spec(encode_call(["x" * 100], {})),)))
        assert (error.value.path, error.value.limit) == ("jobs[0].payload", 100)


def test_a_job_written_by_hand_runs_and_no_bytes_are_no_arguments(
    engine: OrchestrationEngine, queue: Queue
) -> None:
    inputs = (Input("ctx", "ctx", ""),)
    wants_ctx = msgspec.structs.replace(spec(b"", "ctx"), function=function_ref(attempt), inputs=inputs)
    assert engine.send(EnqueueJobs((wants_ctx,))) == ("ctx",)
    jobs = (spec(encode_call([1], {"b": 2}), "sum"), spec(b"", "none"))
    assert engine.send(EnqueueJobs(jobs)) == ("sum", "none")
    assert engine.send(EnqueueJobs(jobs)) == ("sum", "none"), "repeating it is safe"
    assert JobScheduler(engine=engine).process(queue).completed == 3
    assert queue.result("ctx") == 1
    assert queue.result("sum") == 3
    assert queue.result("none") == 0
    job = queue.get_job("sum")
    assert job is not None
    assert (job.args, job.kwargs) == ((1,), {"b": 2})


def test_what_comes_of_a_command_names_it_as_its_cause(engine: OrchestrationEngine) -> None:
    engine.send(put(encode_call([1, 2], {})), command_id="ada:1")
    engine.send(TriggerSchedule("s", "t-1"), command_id="ada:2")
    engine.send(EnqueueJobs((spec(b""),)))
    heard: queues.Queue[RecordedEvent] = queues.Queue()
    engine.listen("*", heard.put, after=0)
    caused = {"": ""}
    while "job.enqueued" not in caused or "schedule.triggered" not in caused:
        event = heard.get(timeout=30)
        caused[event.tag] = event.cause
    assert caused["schedule.put"] == "command:ada:1"
    assert caused["schedule.triggered"] == "command:ada:2"
    with refused("^command_id: "):
        engine.send(GetJob("mine"), command_id="not an id")


def test_a_run_is_begun_once_under_an_id_of_ones_own(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    workflows.create("sum").add_step("sum", add)
    command = workflows.start_command("sum", "order-7", a=1, b=2)
    assert workflows.get_run("order-7") is None, "nothing was sent"
    assert engine.send(command) == "order-7"
    run = workflows.get_run("order-7")
    assert run is not None
    assert run.result(10).output == 3
    assert engine.send(workflows.start_command("sum", "order-7", b=2, a=1)) == "order-7"
    with pytest.raises(ValueError, match="order-7"):
        engine.send(workflows.start_command("sum", "order-7", a=1, b=3))
    assert len(list(workflows.list_runs())) == 1
    other = engine.send(workflows.start_command("sum", a=0, b=0))
    assert other != "order-7"


def test_a_command_that_cannot_be_is_refused_where_it_is_made(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    workflows.create("sum").add_step("sum", add)
    with refused("^run_id: "):
        workflows.start_command("sum", "no id", a=1, b=2)
    with pytest.raises(ValueError, match="'c'"):
        workflows.start_command("sum", c=1)


def test_what_was_encoded_is_what_is_decoded() -> None:
    assert decode_call(encode_call([1, {"a": [2]}], {"b": None})) == ((1, {"a": [2]}), {"b": None})
    assert decode_value(encode_result({"a": (1, 2)})) == {"a": [1, 2]}
    with pytest.raises(PayloadError):
        encode_call([object()], {})


def test_a_schedule_written_by_hand_is_one_like_others(engine: OrchestrationEngine) -> None:
    engine.send(put(encode_call([1, 2], {})))
    manager = ScheduleManager(engine=engine)
    task = manager.get("s")
    assert task is not None
    assert (task.kind, task.expression, task.timezone) == ("cron", "0 * * * *", "UTC")
    with pytest.raises(CronError):
        engine.send(msgspec.structs.replace(put(b""), schedule_id="s-2", spec=CronSpec("0 0 30 2 *", "UTC")))


def test_what_the_guide_says_about_saying_it_again(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    workflow = workflows.create("wait").add_wait("approval").add_step("sum", add)
    session = encode_result({"session_id": "s-1"})
    once: dict[Message, Any] = {
        EnqueueJobs((spec(b""),)): ("mine",),
        put(b""): "s-1",
        ApplySchedules((put(b""),)): None,
        TriggerSchedule("s", "t-1"): "t-1",
        workflow.define_command(): None,
        workflows.start_command("wait", "run"): "run",
        AddResource("gpu", "card", 2.0): None,
        Allocate("a-1", "me", (("gpu", 1.0),)): True,
        CreateSession("s-1", session): "s-1",
        ConfigureQueue("work", QueueSettings(concurrency=3)): None,
        PauseQueue("work"): None,
        PauseSchedule("s"): None,
        PauseRun("run"): None,
        SignalRun("run", "approval", encode_result(1)): None,
        ResumeQueue("work"): None,
        ResumeSchedule("s"): None,
    }
    for command, answer in once.items():
        first = engine.send(command)
        before = engine.get_metrics()["events_total"]
        again = engine.send(command)
        assert engine.get_metrics()["events_total"] == before, command
        if answer is not None:
            assert first == again == answer
    for gone in (CancelJob("mine"), RemoveSchedule("s"), CloseSession("s-1"), Release("a-1")):
        assert engine.send(gone)
        assert engine.send(gone) is False
    others: list[Message] = [
        EnqueueJobs((spec(encode_call([1], {})),)),
        workflows.start_command("wait", "mine"),
        CreateSession("s-1", encode_result({"session_id": "s-1", "name": "other"})),
        Allocate("a-2", "me", (("gpu", 1.0),)),
    ]
    with pytest.raises(ConflictingIdError):
        engine.send(others[0])
    assert engine.send(others[1]) == "mine", "runs and jobs have ids of their own"
    with pytest.raises(ConflictingIdError):
        engine.send(others[2])
    assert engine.send(others[3]) is True
    with pytest.raises(ConflictingIdError):
        engine.send(Allocate("a-2", "me", (("gpu", 2.0),)))


def job(**changed: Any) -> EnqueueJobs:
    return EnqueueJobs((msgspec.structs.replace(spec(b""), **changed),))


def target(**changed: Any) -> PutSchedule:
    return msgspec.structs.replace(put(b""), target=JobTemplate(function_ref(add), b"", **changed))


def step(name: str = "a", **changed: Any) -> StartRun:
    """A run of two steps, the second one as it is told."""
    second = msgspec.structs.replace(PlanStep(name, "gone:gone", b"", ()), **changed)
    return StartRun(
        "r", Plan("w", (PlanStep("first", "gone:gone", b"", ()), second)), "p", b"\x80", blocking=False
    )


def option(**changed: Any) -> StartRun:
    return step(options=StepOptions(**changed))


ITEMS = (Input("item", "item-param", "x"), Input("other", "ref-item-param", "y"))
WRITTEN: list[tuple[Message, str]] = [
    (
        job(job_id=f"{'0' * 24}.1:2"),
        r"^jobs\[0\]\.job_id: '0{24}\.1:2' is what the engine calls a job of a run; ",
    ),
    (job(name=""), r"^jobs\[0\]\.name: "),
    (job(function=""), r"^jobs\[0\]\.function: "),
    (job(function="workflow:w"), "the engine's own"),
    (job(owner="run:r"), r"^jobs\[0\]\.owner: .* the engine's own"),
    (job(work=StepWork(gives="run")), r"^jobs\[0\]\.work: .* the engine's own"),
    (job(inputs=(Input("x", "step", "other"),)), r"^jobs\[0\]\.inputs: "),
    (job(terms=Terms(key="two\nlines")), "concurrency_key: "),
    (job(terms=Terms(group="two\nlines")), "group: "),
    (job(terms=Terms(unique=Unique("two\nlines"))), "unique_key: "),
    (job(terms=Terms(unique=Unique("k", Scope.PERIOD))), "period_us"),
    (job(terms=Terms(backoff=Backoff("weird"))), r"backoff\.shape: expected one of .* got 'weird'$"),
    (job(terms=Terms(backoff=Backoff("list"))), "delays of shape 'list'"),
    (job(life=JobLife(executor="gpu")), "executor: "),
    (job(life=JobLife(retry_on=("",))), "retry_on: "),
    (MoveJobs(("a",), "two\nlines"), "^queue: "),
    (ConfigureQueue("", QueueSettings()), "^queue: "),
    (PauseQueue("two\nlines"), "^queue: "),
    (AddResource("gpu", "", 1.0), "^kind: "),
    (target(queue="@x"), r"^target\.queue: "),
    (target(priority=2**40), r"^target\.priority: "),
    (target(life=JobLife(executor="gpu")), r"^target\.executor: "),
    (ApplySchedules((put(b""),), group="two\nlines"), "^group: "),
    (ApplySchedules((put(b""), target(queue="@x"))), r"^schedules\[1\]\.target\.queue: "),
    (TriggerSchedule("s", "no id"), "^trigger_id: "),
    (step("first"), r"^plan\.steps\[1\]\.name: 'first' is that of another"),
    (step(""), r"^plan\.steps\[1\]\.name: "),
    (step(queue="@x"), r"^plan\.steps\[1\]\.queue: "),
    (step(priority=2**40), r"^plan\.steps\[1\]\.priority: "),
    (option(wait=WaitPlan("weird")), r"^plan\.steps\[1\]\.wait\.kind: "),
    (option(wait=WaitPlan("signal", schema=(("a", "weird"),))), r"steps\[1\]\.wait\.schema: "),
    (option(when="1 +"), "condition"),
    (option(resources=(("gpu", -1.0),)), "resources: 'gpu'"),
    (option(backoff=Backoff("weird")), r"steps\[1\]\.backoff\.shape: "),
    (option(life=JobLife(executor="gpu")), r"steps\[1\]\.executor: "),
    (option(mapped=True), r"^step 'a': expected inputs that are items of one list, got none"),
    (
        step(inputs=ITEMS[:1]),
        "^step 'a': expected no items, as it is not mapped over a list, got item-param 'x'",
    ),
    (
        step(inputs=ITEMS, options=StepOptions(mapped=True)),
        "items of one list, got item-param 'x', item-param 'y'$",
    ),
    (
        step(inputs=ITEMS[:1], options=StepOptions(mapped=True, child="c", compensate="gone:gone")),
        "^step 'a': compensate: a run for each item cannot be undone by a call",
    ),
    (msgspec.structs.replace(step(), owner="schedule:s"), "^owner: "),
    (msgspec.structs.replace(step(), plan_id=""), "^plan_id: "),
    (msgspec.structs.replace(step(), children=(("", start(b"").plan),)), r"^children\[0\]\.plan_id: "),
    (msgspec.structs.replace(step(), plan=Plan("two\nlines", ())), r"^plan\.workflow: "),
    (CreateProject("p", "", "", "/nowhere/p"), "^kind: "),
    (CreateProject("p", "k", "\x00", "/nowhere/p"), "^description: "),
    (UpdateProject("p", ""), "^status: "),
    *((CreateProject("p", "k", "", folder), "^folder: ") for folder in ("", "p", "rel/p", "/etc", "/etc/..")),
    (CreateProject("etc", "k", "", "/etc"), "is there already and is not this project's"),
    (CreateProject("p", "k", "", "/nowhere/../p"), "which is refused"),
]


@pytest.mark.parametrize(
    ("command", "said"), WRITTEN, ids=lambda value: type(value).__name__ if isinstance(value, Message) else ""
)
def test_what_no_class_would_say_is_refused_with_its_place_and_changes_nothing(
    engine: OrchestrationEngine, command: Message, said: str
) -> None:
    before = engine.get_metrics()["events_total"]
    with refused(said):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (job(terms=Terms(project="nobody's")), '^no project "nobody\'s" on record'),
        (msgspec.structs.replace(step(), origin="nobody"), "^origin: no run 'nobody' on record"),
    ],
    ids=["project", "origin"],
)
def test_what_leads_to_what_is_not_on_record_is_refused_and_changes_nothing(
    engine: OrchestrationEngine, command: Message, said: str
) -> None:
    before = engine.get_metrics()["events_total"]
    with pytest.raises(UnknownIdError, match=said):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before


def test_a_signal_by_hand_is_held_against_what_its_step_waits_for(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    workflows.create("w").add_wait("approval", schema={"by": "str", "note": "str?"})
    run = workflows.start("w")
    for value in ({"by": 7}, {}, "ada", {"by": "ada", "colour": "red"}):
        with refused("^payload: "):
            engine.send(SignalRun(run.run_id, "approval", encode_result(value)))
    assert run.status == "WAITING"
    engine.send(SignalRun(run.run_id, "approval", encode_result({"by": "ada"})))
    assert run.result(10).output == {"by": "ada"}
    with pytest.raises(LookupError):
        engine.send(SignalRun("nobody", "approval", encode_result(1)))


def test_a_signal_by_hand_about_somebody_is_refused_as_it_would_not_be_sealed(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path) as engine:
        workflows = WorkflowManager(engine, subject="ada")
        workflows.create("w").add_wait("approval")
        run = workflows.start("w")
        with refused("run.signal seals it"):
            engine.send(SignalRun(run.run_id, "approval", encode_result("secret")))
        run.signal("approval", "secret")
        assert run.result(10).output == "secret"


def test_a_project_by_hand_is_one_like_others_and_may_be_made_again(
    engine: OrchestrationEngine, tmp_path: Path
) -> None:
    folder = tmp_path.resolve() / "books"
    create = CreateProject("books", "custom", "", str(folder))
    first = engine.send(create)
    assert engine.send(create) == first
    project = ProjectManager(tmp_path, engine=engine).create_project("books")
    assert (project.folder, project.type) == (folder, "custom")
    assert folder.is_dir()
    assert engine.send(create) == first, "the folder is this project's"


def test_the_queues_of_the_engine_are_paused_by_hand(engine: OrchestrationEngine) -> None:
    workflows = WorkflowManager(engine)
    workflows.create("sum").add_step("sum", add)
    engine.send(PauseQueue("@steps"))
    run = workflows.start("sum", a=1, b=2)
    engine.send(ResumeQueue("@steps"))
    assert run.result(10).output == 3


@pytest.mark.parametrize(
    "command",
    [
        EnqueueJobs((spec(b"", "no id"),)),
        EnqueueJobs((msgspec.structs.replace(spec(b""), queue="@steps"),)),
        msgspec.structs.replace(start(b"\x80"), run_id=""),
        msgspec.structs.replace(put(b""), name="two\nlines"),
        ApplySchedules((put(b""), msgspec.structs.replace(put(b""), name=""))),
        AddResource("", "card", 1.0),
        CreateProject("@", "k", "", "/tmp"),
        CreateProject("../p", "k", "", "/tmp"),
        CreateSession("no id", b""),
    ],
    ids=lambda command: type(command).__name__,
)
def test_names_by_which_nothing_could_be_asked_for_are_refused(
    engine: OrchestrationEngine, command: Message
) -> None:
    before = engine.get_metrics()["events_total"]
    with refused("expected 1 to 200|one path component|the engine's own"):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before


def test_the_id_of_another_plan_is_refused(engine: OrchestrationEngine) -> None:
    engine.send(start(b"\x80"))
    other = Plan("w", (PlanStep("b", "gone:gone", b"", ()),))
    with pytest.raises(ConflictingIdError, match="plan id 'p' is on record for another plan"):
        engine.send(msgspec.structs.replace(start(b"\x80"), run_id="r2", plan=other))
    assert engine.send(msgspec.structs.replace(start(b"\x80"), run_id="r3")) == "r3"
