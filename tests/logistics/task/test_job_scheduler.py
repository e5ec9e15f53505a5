"""Who has queues served: until they are empty, or until stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec
from actors.queue.starting import DUE_AT_ONCE
from actors.runtime.clock import VirtualClock
from actors.runtime.values import encode_call
from logistics.errors import EngineClosedError, InputError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.task_orchestrator import TaskOrchestrator
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler, ProcessSummary
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.conftest import Open
from tests.logistics.task.functions import PATIENCE_S, Notes
from tests.logistics.task.support import pass_time

ROOT = Path(__file__).parents[3]


@pytest.fixture
def scheduler(engine: OrchestrationEngine) -> JobScheduler:
    return JobScheduler(engine=engine)


def test_processing_an_empty_queue_is_quick_and_changes_nothing(queue: Queue) -> None:
    before = queue.engine.get_metrics()["events_total"]
    assert JobScheduler().process(queue) == ProcessSummary(completed=0, failed=0, retried=0)
    assert queue.engine.get_metrics()["events_total"] == before


def test_processing_counts_what_it_saw_and_nothing_from_before(queue: Queue) -> None:
    queue.enqueue(Job("good", do.add))
    queue.enqueue(Job("bad", do.fail, max_retries=2, retry_delay=0))
    assert JobScheduler().process(queue) == ProcessSummary(completed=1, failed=1, retried=2)
    queue.enqueue(Job("good", do.add))
    assert JobScheduler().process(queue) == ProcessSummary(completed=1, failed=0, retried=0)


def test_processing_takes_what_is_enqueued_meanwhile(queue: Queue) -> None:
    queue.enqueue(Job("more", do.enqueue_more, ("work", 20)))
    assert JobScheduler().process(queue).completed == 21
    assert len(queue) == 0


def test_processing_waits_for_retries(queue: Queue, notes: Notes) -> None:
    queue.enqueue(Job("flaky", do.fail_until, (4,), retry_delay=0))
    assert JobScheduler().process(queue) == ProcessSummary(completed=1, failed=0, retried=3)
    assert notes.lines == ["try"] * 4


def test_processing_does_not_wait_for_what_is_later_in_hand_or_elsewhere(queue: Queue) -> None:
    queue.schedule(Job("later", do.add), 3600)
    queue.enqueue(Job("hand", do.add))
    queue.dequeue()
    Queue("other", engine=queue.engine).enqueue(Job("other", do.add))
    assert JobScheduler().process(queue) == ProcessSummary(0, 0, 0)


def test_processing_waits_for_what_is_due_behind_very_many_of_another_queue(
    engine: OrchestrationEngine, queue: Queue, clock: VirtualClock
) -> None:
    many = JobSpec("0", "other", "add", "none:none", encode_call((), {}), due_us=clock.now_us() + 1)
    ids = (f"many-{n}" for n in range(5 * DUE_AT_ONCE))
    engine.send(EnqueueJobs(jobs=tuple(msgspec.structs.replace(many, job_id=job_id) for job_id in ids)))
    queue.schedule(Job("due", do.add), 1)
    clock.advance(2_000_000)
    assert JobScheduler().process(queue).completed == 1


def test_two_may_process_one_queue(queue: Queue) -> None:
    ids = [queue.enqueue(Job("sum", do.add, (n,))) for n in range(50)]
    assert JobScheduler().process(queue).completed + JobScheduler().process(queue).completed == 50
    assert [queue.result(job_id) for job_id in ids] == list(range(50))


def test_a_queue_may_be_named(queue: Queue, scheduler: JobScheduler) -> None:
    queue.enqueue(Job("add", do.add))
    assert scheduler.process("work") == ProcessSummary(completed=1, failed=0, retried=0)


def test_a_slip_in_the_name_of_a_queue_is_told(
    queue: Queue, scheduler: JobScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler.process(queue)
    assert not caplog.messages, "the first of all queues is empty before it is not"
    queue.enqueue(Job("add", do.add))
    scheduler.process(queue)
    assert not caplog.messages
    assert scheduler.process("mistyped") == (0, 0, 0)
    (said,) = caplog.messages
    assert said == f"queue 'mistyped' is not on record, so nothing was done; there are {queue.name!r}"


def test_what_works_on_an_engine_shows_which(engine: OrchestrationEngine, scheduler: JobScheduler) -> None:
    assert repr(scheduler) == f"JobScheduler(engine={engine!r})"
    assert repr(CronScheduler()) == "CronScheduler()", "the default engine is not opened for it"
    with TaskOrchestrator(engine=engine) as orchestrator:
        assert repr(orchestrator) == f"TaskOrchestrator(engine={engine!r})"
    assert repr(WorkflowManager(engine)) == f"WorkflowManager(engine={engine!r})"


def test_only_a_queue_can_be_processed(scheduler: JobScheduler) -> None:
    with pytest.raises(InputError, match="queue: expected a name, got 3"):
        scheduler.process(3)  # type: ignore[arg-type]


def test_a_started_scheduler_serves_the_queues_it_was_given(
    engine: OrchestrationEngine, scheduler: JobScheduler
) -> None:
    one, two = Queue("one", engine=engine), Queue("two", engine=engine)
    first = one.enqueue(Job("sum", do.add, (1,)))
    second = two.enqueue(Job("sum", do.add, (2,)))
    scheduler.start(one)
    assert one.result(first, timeout=PATIENCE_S) == 1
    assert two.get_status(second) == "PENDING"
    scheduler.start("two")
    assert two.result(second, timeout=PATIENCE_S) == 2
    assert one.result(one.enqueue(Job("sum", do.add, (3,))), timeout=PATIENCE_S) == 3


def test_a_scheduler_started_without_names_serves_all_also_new_ones(
    engine: OrchestrationEngine, scheduler: JobScheduler
) -> None:
    scheduler.start()
    scheduler.start("one")
    queue = Queue("never seen before", engine=engine)
    assert queue.result(queue.enqueue(Job("sum", do.add, (1,))), timeout=PATIENCE_S) == 1


def test_a_scheduler_without_an_engine_serves_that_of_the_queues_that_it_is_given(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "default"))
    scheduler = JobScheduler()
    with OrchestrationEngine(":memory:") as elsewhere:
        for _ in range(2):
            scheduler.start(queue)
            assert queue.result(queue.enqueue(Job("sum", do.add, (1, 2))), PATIENCE_S) == 3
            text = rf"queue 'mail' is in the store :memory:, and this scheduler serves that in {queue.engine.path};"
            with pytest.raises(InputError, match=text):
                scheduler.start(queue, Queue("mail", engine=elsewhere))
            scheduler.stop()
        with pytest.raises(InputError, match="this scheduler serves that in :memory:"):
            JobScheduler(elsewhere).start(queue)
    assert not (tmp_path / "default").exists()


def test_queues_are_named_one_by_one(scheduler: JobScheduler) -> None:
    with pytest.raises(InputError, match=r"one by one, as in start\('mail', 'images'\), got \['work'\]"):
        scheduler.start(["work"])  # type: ignore[arg-type]


def test_a_stopped_scheduler_serves_no_more_and_lets_run_what_runs(
    engine: OrchestrationEngine, scheduler: JobScheduler, queue: Queue, notes: Notes
) -> None:
    scheduler.start(queue)
    running = queue.enqueue(Job("slow", do.gated, ("done",)))
    notes.wait_begun()
    scheduler.stop()
    scheduler.stop()
    waiting = queue.enqueue(Job("sum", do.add))
    notes.go_on.set()
    assert queue.result(running, timeout=PATIENCE_S) == "done"
    assert queue.get_status(waiting) == "PENDING"
    scheduler.start(queue)
    assert queue.result(waiting, timeout=PATIENCE_S) == 0


def test_stopping_one_of_two_schedulers_leaves_the_other(engine: OrchestrationEngine, queue: Queue) -> None:
    one, two = JobScheduler(engine=engine), JobScheduler(engine=engine)
    one.start(queue)
    two.start(queue)
    one.stop()
    assert queue.result(queue.enqueue(Job("sum", do.add, (1,))), timeout=PATIENCE_S) == 1


def test_stopping_what_was_never_started_is_fine(scheduler: JobScheduler) -> None:
    scheduler.stop()


def test_a_scheduler_can_be_stopped_after_its_engine_was_closed(open_engine: Open) -> None:
    engine = open_engine(":memory:")
    scheduler = JobScheduler(engine=engine)
    scheduler.start()
    engine.close()
    scheduler.stop()
    with pytest.raises(EngineClosedError):
        scheduler.start()


def test_a_queue_s_name_is_checked(scheduler: JobScheduler) -> None:
    for name in ("", "@steps", 7):
        with pytest.raises(InputError, match="queue: "):
            scheduler.start(name)  # type: ignore[arg-type]


def test_jobs_can_be_added_to_the_default_queue(engine: OrchestrationEngine, scheduler: JobScheduler) -> None:
    job_id = scheduler.add_job(Job("sum", do.add, (1,)))
    assert Queue(engine=engine).get_status(job_id) == "PENDING"
    assert scheduler.process(Queue(engine=engine)).completed == 1


def test_no_more_functions_run_at_one_time_than_there_are_workers(open_engine: Open, notes: Notes) -> None:
    engine = open_engine(":memory:", workers=3)
    queue = Queue("work", engine=engine)
    queue.enqueue_many(Job("slow", do.gated) for _ in range(10))
    JobScheduler(engine=engine).start()
    notes.wait_begun(3)
    assert queue.get_stats()["running"] == 3
    assert not notes.begun.acquire(blocking=False)
    notes.go_on.set()
    assert JobScheduler(engine=engine).process(queue).failed == 0
    assert len(notes.lines) == 10


def test_closing_interrupts_what_still_runs_at_nobody_s_charge(open_engine: Open, notes: Notes) -> None:
    engine = open_engine()
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("slow", do.gated, ("done",), max_retries=0))
    JobScheduler(engine=engine).start()
    notes.wait_begun()
    engine.close(grace=0)
    notes.go_on.set()
    queue = Queue("work", engine=open_engine())
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.attempts) == ("PENDING", 0)
    assert JobScheduler().process(queue).completed == 1
    assert queue.result(job_id) == "done"


def test_closing_waits_for_what_runs_as_long_as_it_is_told_to(open_engine: Open, notes: Notes) -> None:
    engine = open_engine()
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("slow", do.gated, ("done",)))
    JobScheduler(engine=engine).start()
    notes.wait_begun()
    notes.go_on.set()
    engine.close(grace=PATIENCE_S)
    assert Queue("work", engine=open_engine()).result(job_id) == "done"


def test_whoever_waits_is_told_when_the_engine_closes(open_engine: Open, notes: Notes) -> None:
    engine = open_engine(":memory:")
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(Job("sum", do.add))
    watched = engine.watch(f"job:{job_id}")
    engine.close()
    with pytest.raises(EngineClosedError, match="the engine was closed"):
        watched.get(PATIENCE_S)


def test_lives_of_jobs_do_not_depend_on_the_time_that_passes_outside(
    queue: Queue, clock: VirtualClock, scheduler: JobScheduler
) -> None:
    scheduler.start()
    first = queue.schedule(Job("sum", do.add, (1,)), 10)
    second = queue.schedule(Job("sum", do.add, (2,)), 20)
    pass_time(queue.engine, clock, 15)
    assert queue.result(first, timeout=PATIENCE_S) == 1
    assert queue.get_status(second) == "SCHEDULED"


STAYS = """
import sys
from logistics import Job, JobScheduler, OrchestrationEngine, Queue

def work():
    print("worked", flush=True)

engine = OrchestrationEngine(sys.argv[1])
JobScheduler(engine=engine).start()
Queue(engine=engine).enqueue(Job("work", work))
"""


def test_a_started_scheduler_keeps_its_process_until_it_is_interrupted(tmp_path: Path) -> None:
    script = tmp_path / "stays.py"
    script.write_text(STAYS, encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, script, tmp_path / "store"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "worked\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=PATIENCE_S)
    finally:
        child.kill()
    assert "Traceback" not in errors
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert Queue(engine=engine).get_stats()["completed"] == 1
