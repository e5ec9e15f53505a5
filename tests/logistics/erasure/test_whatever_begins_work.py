"""Whatever begins work says whose it is: schedules of workflows and functions, tasks, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from queue import SimpleQueue

import pytest

from actors.runtime.messages import Message
from logistics import (
    Erased,
    InputError,
    Job,
    JobScheduler,
    OrchestrationEngine,
    Queue,
    ScheduleManager,
    SubjectInUseError,
    TaskOrchestrator,
    Workflow,
    WorkflowManager,
)
from logistics.cli.main import main
from logistics.orchestration.upgrades import upgrade_check
from logistics.schedule.files import load_schedules
from tests.logistics.erasure import functions
from tests.logistics.erasure.functions import CANARY

WHO = "customer:4711"
NIGHTLY = "0 3 * * *"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def is_in(folder: Path, text: str) -> bool:
    return any(text.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def greeting(engine: OrchestrationEngine) -> Workflow:
    return WorkflowManager(engine).create("greeting").add_step("greet", functions.greet)


def put(engine: OrchestrationEngine, name: str = "nightly") -> ScheduleManager:
    schedules = ScheduleManager(engine=engine)
    greet = greeting(engine)
    schedules.schedule_cron(name, NIGHTLY, greet, kwargs={"name": CANARY}, subject=WHO)
    return schedules


def test_the_runs_of_a_schedule_are_of_its_subject(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        schedules = put(engine)
        ended: SimpleQueue[str] = SimpleQueue()
        engine.subscribe("run.completed", lambda event, _position: ended.put(event.run_id))
        schedules.start()
        fired = schedules.trigger("nightly")
        assert ended.get(timeout=60) == fired
        run = WorkflowManager(engine).get_run(fired)
        assert run is not None
        assert run.result(60).outputs == {"greet": f"hello {CANARY}"}
        with pytest.raises(SubjectInUseError, match="schedule:nightly"):
            engine.erase(WHO)
        erasure = engine.erase(WHO, cancel=True)
        assert erasure is not None
        assert erasure.cancelled == ("schedule:nightly",)
        assert run.result(60).outputs == {"greet": Erased(erasure.key)}
    assert not is_in(path, CANARY)
    assert not is_in(path, WHO)


def test_a_firing_that_was_not_planned_yet_is_open_work(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        fired = put(engine).trigger("nightly")
        with pytest.raises(SubjectInUseError) as refused:
            engine.erase(WHO)
        assert set(refused.value.work) == {"schedule:nightly", f"job:{fired}"}
        assert engine.erase(WHO, cancel=True) is not None
        assert WorkflowManager(engine).get_run(fired) is None
    assert not is_in(path, CANARY)


@pytest.mark.parametrize("asked", ["scheduler", "queue", "supervisor"])
def test_a_run_that_begins_while_open_work_is_looked_for_is_found(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job had ended when jobs were looked for, and it had not begun when runs were."""
    with OrchestrationEngine(":memory:") as engine:
        schedules, query = ScheduleManager(engine=engine), engine.query
        greet = WorkflowManager(engine).create("waits").add_step("greet", functions.greet, queue="nobody")
        schedules.schedule_cron("nightly", NIGHTLY, greet, kwargs={"name": CANARY}, subject=WHO)
        fired = schedules.trigger("nightly")
        schedules.cancel("nightly")
        begun: SimpleQueue[str] = SimpleQueue()
        engine.subscribe("run.created", lambda event, _position: begun.put(event.run_id))

        def meanwhile(actor: str, message: Message) -> object:
            if actor == asked and not schedules.running:
                schedules.start()
                assert begun.get(timeout=60) == fired
            return query(actor, message)

        monkeypatch.setattr(engine, "query", meanwhile)
        with pytest.raises(SubjectInUseError, match=fired):
            engine.erase(WHO)


def test_an_equal_schedule_of_the_same_subject_is_the_same_schedule(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        put(engine)
        position = engine.get_metrics()["events_total"]
        put(engine)
        assert engine.get_metrics()["events_total"] == position


def test_a_function_on_a_schedule_has_a_subject_and_a_job_says_so_itself() -> None:
    with OrchestrationEngine(":memory:") as engine:
        schedules = ScheduleManager(engine=engine)
        schedules.schedule_cron("greet", NIGHTLY, functions.greet, (CANARY,), subject=WHO, queue="mine")
        fired = schedules.trigger("greet")
        queue = Queue("mine", engine=engine)
        JobScheduler(engine=engine).process(queue)
        assert queue.result(fired) == f"hello {CANARY}"
        job = Job("greet", functions.greet, (CANARY,))
        with pytest.raises(InputError, match="subject: the Job says so itself"):
            schedules.schedule_cron("job", NIGHTLY, job, subject=WHO)
        erasure = engine.erase(WHO, cancel=True)
        assert erasure is not None
        assert queue.result(fired) == Erased(erasure.key)


def test_a_schedule_in_a_file_has_a_subject(tmp_path: Path) -> None:
    greet = {"name": "greet", "function": f"{functions.__name__}:greet", "args": [CANARY], "cron": NIGHTLY}
    file = tmp_path / "office.json"
    file.write_text(json.dumps({"name": "office", "schedules": [{**greet, "subject": WHO}]}))
    with OrchestrationEngine(":memory:") as engine:
        schedules = ScheduleManager(engine=engine)
        schedules.apply("office", load_schedules(file, engine).definitions)
        with pytest.raises(SubjectInUseError, match="schedule:greet"):
            engine.erase(WHO)


def test_a_task_is_of_the_subject_of_its_job() -> None:
    with OrchestrationEngine(":memory:") as engine, TaskOrchestrator(engine=engine) as tasks:
        task_id = tasks.submit_task(Job("greet", functions.greet, (CANARY,), subject=WHO))
        assert Queue("tasks", engine=engine).result(task_id, 60) == f"hello {CANARY}"
        erasure = engine.erase(WHO)
        assert erasure is not None
        found = tasks.get_task_result(task_id)
        assert found is not None
        assert found.result == Erased(erasure.key)


def test_an_upgrade_check_reads_what_is_sealed(path: Path) -> None:
    """It took what is sealed for one argument."""
    with OrchestrationEngine(path) as engine:
        schedules = put(engine)
        job = Job("write", functions.write, (CANARY, "Dear"), subject=WHO)
        schedules.schedule_cron("job", NIGHTLY, job)
        Queue("nobody serves it", engine=engine).enqueue(job)
        waits = WorkflowManager(engine, subject=WHO)
        waits.create("waits").add_step("greet", functions.greet, queue="nobody")
        assert waits.start("waits", name=CANARY).status == "RUNNING"
        assert upgrade_check(engine) == []
    assert main(["upgrade-check", "--store", str(path)]) == 0


def test_a_run_from_the_command_line_is_of_the_subject_that_is_named(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {"name": "greet", "function": f"{functions.__name__}:greet", "args": ["{{params.name}}"]}
    file = tmp_path / "greeting.json"
    file.write_text(json.dumps({"name": "greeting", "params": {"name": {}}, "steps": [step]}))
    said = ("--param", f"name={CANARY}", "--subject", WHO, "--store", str(path), "--json")
    assert main(["run", str(file), *said]) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["status"] == "COMPLETED"
    assert not is_in(path, CANARY)
    assert main(["erase", WHO, "--store", str(path), "--json"]) == 0
    erased = json.loads(capsys.readouterr().out)["key"]
    with OrchestrationEngine(path) as engine:
        found = WorkflowManager(engine).get_run(run["run_id"])
        assert found is not None
        assert found.result(60).outputs == {"greet": Erased(erased)}
