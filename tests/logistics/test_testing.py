"""Time in hand: what is to happen within a time happens when that passes, each thing at its instant, and only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.runtime.attempt import AttemptContext
from logistics.errors import InputError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.expression import CronExpression
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from logistics.testing import VirtualClock, pass_time, settle

START = datetime(2027, 1, 1, tzinfo=UTC)
CALLS: list[str] = []
GO_ON = threading.Event()


def note(ctx: AttemptContext) -> None:
    assert ctx.scheduled_at is not None
    CALLS.append(ctx.scheduled_at.isoformat())


def failing_twice(ctx: AttemptContext) -> int:
    if ctx.attempt < 3:
        raise ValueError(ctx.attempt)
    return ctx.attempt


def first() -> int:
    return 1


def second(first: int) -> int:
    return first + 1


def hang() -> None:
    GO_ON.wait(30)


@pytest.fixture
def clock() -> VirtualClock:
    CALLS.clear()
    GO_ON.clear()
    return VirtualClock(START)


@pytest.fixture
def engine(clock: VirtualClock) -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        yield engine


def test_a_year_of_a_nightly_schedule_passes_in_a_moment(
    engine: OrchestrationEngine, clock: VirtualClock
) -> None:
    expression = CronExpression("30 2 * * *", timezone="Europe/Zurich")
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("nightly", expression, note)
    manager.start()
    assert pass_time(engine, timedelta(days=365)) == 365
    assert clock.now == datetime(2028, 1, 1, tzinfo=UTC)
    assert [at.astimezone(UTC).isoformat() for at in expression.next_runs(365, START)] == CALLS
    task = manager.get("nightly")
    assert task is not None
    assert (task.runs, task.running, task.lateness.most) == (365, 0, timedelta(0))


def test_runs_of_workflows_wait_for_days_and_go_on(engine: OrchestrationEngine) -> None:
    flows = WorkflowManager(engine)
    flow = flows.create("slow").add_step("first", first).add_wait("a while", timedelta(hours=60))
    flow.add_step("second", second, depends_on=["first", "a while"])
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("daily", "0 0 * * *", flow)  # a run that still waits lets two days pass
    manager.start()
    pass_time(engine, timedelta(days=9, hours=1))
    begun = [run.started_at.day for run in flows.list_runs()]
    assert begun == [8, 5, 2]
    ended = [run.result().ended_at for run in flows.list_runs() if run.status == "COMPLETED"]
    assert ended == [START + timedelta(days=6, hours=12), START + timedelta(days=3, hours=12)]


def test_a_job_is_tried_again_when_its_time_has_come(engine: OrchestrationEngine) -> None:
    queue = Queue(engine=engine)
    JobScheduler(engine=engine).start()
    job_id = queue.enqueue(Job("j", failing_twice, retry_delay=60, jitter=False))
    settle(engine)
    assert queue.get_status(job_id) == "RETRYING"
    pass_time(engine, 59)
    assert queue.get_status(job_id) == "RETRYING"
    pass_time(engine, 1 + 120)
    assert queue.result(job_id) == 3


def test_a_clock_that_is_set_back_repeats_nothing_and_one_that_is_set_forward_makes_up_once(
    engine: OrchestrationEngine, clock: VirtualClock
) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("hourly", "0 * * * *", note)
    manager.start()
    pass_time(engine, until=START + timedelta(hours=3))
    clock.set(START)
    pass_time(engine, timedelta(hours=3))
    assert len(CALLS) == 3
    clock.set(START + timedelta(days=1))
    settle(engine)
    assert CALLS[3:] == ["2027-01-02T00:00:00+00:00"]


def test_time_that_nobody_saw_pass_is_time_that_was_missed(
    engine: OrchestrationEngine, clock: VirtualClock
) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("hourly", "0 * * * *", note, catch_up="all")
    clock.advance(timedelta(hours=5))
    manager.start()
    settle(engine)
    hours = [(START + timedelta(hours=hour)).isoformat() for hour in range(1, 6)]
    assert hours == CALLS, "one after the other, oldest first"
    assert pass_time(engine, 0) == 0


@pytest.mark.parametrize(
    ("overlap", "made"), [("skip", [1]), ("queue", [1, 2]), ("queue_all", [1, 2, 3, 4, 5])]
)
def test_what_is_made_up_overlaps_as_anything_else_does(
    engine: OrchestrationEngine, clock: VirtualClock, overlap: Any, made: list[int]
) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("hourly", "0 * * * *", note, catch_up="all", overlap=overlap)
    clock.advance(timedelta(hours=5))
    manager.start()
    settle(engine)
    assert [(START + timedelta(hours=hour)).isoformat() for hour in made] == CALLS


def test_what_does_not_end_is_waited_for_so_long_and_no_longer(engine: OrchestrationEngine) -> None:
    JobScheduler(engine=engine).start()
    Queue(engine=engine).enqueue(Job("j", hang))
    with pytest.raises(TimeoutError, match="1 functions run"):
        settle(engine, timeout=0.05)
    GO_ON.set()
    settle(engine)


@pytest.mark.parametrize(
    ("by", "until", "words"),
    [
        (None, None, "expected a duration, or until="),
        (1, START, "expected a duration, or until="),
        (None, START - timedelta(seconds=1), "expected a moment after"),
        (-1, None, "by"),
        (None, datetime(2028, 1, 1), "until"),  # noqa: DTZ001 -- naive is what is refused
    ],
)
def test_a_span_that_makes_no_sense_is_refused(
    engine: OrchestrationEngine, by: float | None, until: datetime | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        pass_time(engine, by, until=until)


def test_an_engine_on_the_hosts_clock_is_refused() -> None:
    with OrchestrationEngine(":memory:") as engine, pytest.raises(InputError, match="VirtualClock"):
        settle(engine)
