"""What something led to: all that the engine made of it, and nothing that somebody else said meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.queue.messages import CancelJob
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.audit import functions


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stories") / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue_many([Job("a", functions.one, job_id="a"), Job("b", functions.one, job_id="b")])
        engine.send(CancelJob(job_id="b"), command_id="stop-b")
        JobScheduler(engine=engine).process(queue)
        manager = WorkflowManager(engine)
        manager.create("inner").add_step("deep", functions.one)
        manager.create("outer").add_workflow("inner", "inner")
        manager.run("outer")
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
        ScheduleManager(engine=engine).trigger("nightly")
    return path


def led_to(store: Path, *roots: str, after: int = 0) -> list[tuple[str, str]]:
    with StoreReader(store) as reader:
        return [(each.tag, each.entity.partition(":")[0]) for each in reader.led_to(roots, after=after)]


def cause_of(store: Path, tag: str) -> str:
    """The command that led to the first event of a kind."""
    with StoreReader(store) as reader:
        return next(each.cause for each in reader.events(tag))


def test_a_command_led_to_all_that_became_of_what_it_began_but_not_to_what_another_one_did(
    store: Path,
) -> None:
    enqueue = cause_of(store, "job.enqueued")
    assert [tag for tag, _ in led_to(store, enqueue)] == [
        "job.enqueued",
        "job.enqueued",
        "job.started",
        "job.completed",
    ]
    assert led_to(store, "command:stop-b") == [("job.cancelled", "job")]


def test_a_run_led_to_the_runs_that_its_steps_are_and_to_their_jobs(store: Path) -> None:
    told = led_to(store, cause_of(store, "run.created"))
    assert told.count(("run.created", "run")) == told.count(("run.completed", "run")) == 2
    assert told.count(("job.completed", "job")) == 2
    assert told[-1] == ("run.completed", "run")


def test_a_schedule_led_to_the_jobs_of_its_firings(store: Path) -> None:
    assert ("job.enqueued", "job") in led_to(store, "schedule:nightly")
    assert ("job.enqueued", "job") in led_to(store, cause_of(store, "schedule.triggered"))


def test_what_comes_before_a_position_is_left_out_and_still_known(store: Path) -> None:
    enqueue = cause_of(store, "job.enqueued")
    with StoreReader(store) as reader:
        began = [each.position for each in reader.led_to([enqueue], "job.started")]
    assert [tag for tag, _ in led_to(store, enqueue, after=began[0])] == ["job.completed"]


def test_what_a_job_asks_of_its_engine_came_of_its_attempt(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store) as engine:
        other = Queue("other", engine=engine)
        other.enqueue(Job("asks", functions.ask_for_another, job_id="asks"))
        JobScheduler(engine=engine).process(other)
        other.enqueue(Job("cancels", functions.cancel_another, job_id="cancels"))
        JobScheduler(engine=engine).process(other)
    told = led_to(store, "job:asks")
    with StoreReader(store) as reader:
        by = {each.tag: each.cause for each in reader.of("job:another")}
    assert by == {"job.enqueued": "attempt:asks/1", "job.cancelled": "attempt:cancels/1"}
    assert {("workflow.defined", "workflow"), ("run.completed", "run"), ("job.enqueued", "job")} <= set(told)
    assert ("job.cancelled", "job") not in told


def test_the_command_line_takes_an_id_of_any_kind(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for what in ("command:stop-b", "stop-b"):
        assert main(["events", "--cause", what, "--store", str(store)]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "job.cancelled" in said[0]
    assert main(["events", "--cause", "nobody", "--store", str(store)]) == 0
    assert capsys.readouterr().out == "no events\n"
