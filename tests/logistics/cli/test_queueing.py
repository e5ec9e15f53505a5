"""`logistics queue …`: what people do to queues and jobs between two runs of their program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logistics import Job, JobScheduler, JobStatus, OrchestrationEngine, Queue, QueueDrainingError
from logistics.cli.main import main
from tests.faults.children import Child, Interpreters
from tests.logistics.task.functions import add, fail


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a job that has failed, one that was done, and two that wait."""
    path = tmp_path / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue("work", engine=engine)
        queue.enqueue(Job("done", add, [1, 2], job_id="done"))
        queue.enqueue(Job("bad", fail, job_id="bad", max_retries=0))
        JobScheduler(engine=engine).process(queue)
        queue.enqueue_many(Job(name, add, [1, 2], job_id=name) for name in ("one", "two"))
    return path


def say(store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Give an order, and return what it says."""
    assert main(["queue", *words, "--store", str(store), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["queue", *words, "--store", str(store)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def statuses(store: Path, queue: str = "work") -> dict[str, str]:
    with OrchestrationEngine(store) as engine:
        return {str(job.job_id): str(job.status) for job in Queue(queue, engine=engine).list_jobs()}


def test_a_list_counts_jobs_by_where_they_stand(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"ready": 2, "waiting": 0, "completed": 1, "failed": 1, "pending": 2, "running": 0}
    found = say(store, capsys, "list")
    assert found["queue"] == "work"
    assert found["state"] == ""
    assert {name: found[name] for name in counts} == counts
    assert main(["queue", "list", "--store", str(store)]) == 0
    shown = capsys.readouterr().out
    assert "completed" in shown
    assert "work" in shown


def test_a_list_says_which_queues_were_paused_and_drained(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, state in ((("pause", "work"), "paused"), (("drain", "work"), "paused, draining")):
        say(store, capsys, *words)
        assert say(store, capsys, "list")["state"] == state
    assert main(["status", "--json", "--store", str(store)]) == 0
    assert json.loads(capsys.readouterr().out)["queues"][0]["state"] == "paused, draining"
    say(store, capsys, "resume", "work")
    assert say(store, capsys, "list")["state"] == ""


def test_a_list_is_shown_beside_an_engine_of_another_process_and_an_order_is_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Child(Interpreters(), "tests.faults.programs", "sleeps", store, tmp_path / "lines") as owner:
        owner.expect("ready")
        assert main(["queue", "list", "--store", str(store)]) == 0
        capsys.readouterr()
        assert f"is open in process {owner.pid}" in refusal(store, capsys, "pause", "work")
        owner.kill()
    assert say(store, capsys, "pause", "work") == {"queue": "work", "said": "paused"}


def test_a_queue_is_paused_resumed_and_drained_over_restarts(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(store, capsys, "pause", "work")
    with OrchestrationEngine(store) as engine:
        assert JobScheduler(engine=engine).process(Queue("work", engine=engine)).completed == 0
    say(store, capsys, "resume", "work")
    assert say(store, capsys, "drain", "work")["said"] == "takes no more jobs on"
    with OrchestrationEngine(store) as engine:
        queue = Queue("work", engine=engine)
        with pytest.raises(QueueDrainingError):
            queue.enqueue(Job("late", add, [1, 2]))
        assert JobScheduler(engine=engine).process(queue).completed == 2


def test_jobs_are_cancelled_retried_and_discarded(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(store, capsys, "cancel", "one") == {"job": "one", "said": "cancelled"}
    assert say(store, capsys, "cancel", "done")["said"] == "has ended already"
    assert say(store, capsys, "retry", "bad")["said"] == "taken up again"
    assert statuses(store) == {"done": "COMPLETED", "bad": "PENDING", "one": "CANCELLED", "two": "PENDING"}
    assert say(store, capsys, "clear", "work")["said"] == "2 cancelled"
    assert say(store, capsys, "retry-all", "work", "--status", "cancelled", "--name", "two") == {
        "queue": "work",
        "said": "1 taken up again",
    }
    assert statuses(store)["two"] == JobStatus.PENDING


def test_what_has_failed_is_given_up_or_taken_up_again(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(store, capsys, "retry-all", "work")["said"] == "1 taken up again"
    with OrchestrationEngine(store) as engine:
        JobScheduler(engine=engine).process(Queue("work", engine=engine))
    assert say(store, capsys, "discard", "bad")["said"] == "discarded"
    assert statuses(store)["bad"] == JobStatus.CANCELLED


def test_jobs_are_moved(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(store, capsys, "move", "two", "other")["said"] == "moved to other"
    assert say(store, capsys, "move-all", "work", "third")["said"] == "1 moved to third"
    assert statuses(store, "other") == {"two": "PENDING"}
    assert statuses(store, "third") == {"one": "PENDING"}
    assert main(["queue", "move", "two", "work", "--store", str(store)]) == 0
    assert capsys.readouterr().out == "two: moved to work\n"


def test_what_is_not_on_record_is_one_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no queue 'wrok' on record; there is work" in refusal(store, capsys, "pause", "wrok")
    assert "no job 'x' on record" in refusal(store, capsys, "retry", "x")
    assert "job 'done' is COMPLETED" in refusal(store, capsys, "discard", "done")
    before = statuses(store)
    assert "status" in refusal(store, capsys, "retry-all", "work", "--status", "SLEEPING")
    assert statuses(store) == before
