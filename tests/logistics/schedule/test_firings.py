"""What a schedule has fired, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from actors.runtime.attempt import AttemptContext
from actors.runtime.messages import Event
from actors.schedule.messages import Overlap
from eventstore.records import Record
from logistics.errors import InputError, UnknownIdError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.expression import CronExpression
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from logistics.testing import VirtualClock, pass_time, settle

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def work(ctx: AttemptContext) -> None:
    assert ctx.scheduled_at is not None
    if ctx.scheduled_at.hour == 2:
        raise ValueError("not at two")


def work_at_any_time() -> None:
    pass


def clock_of(engine: OrchestrationEngine) -> VirtualClock:
    clock = engine.store.runtime.clock
    assert isinstance(clock, VirtualClock)
    return clock


@pytest.fixture
def engine() -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(":memory:", clock=VirtualClock(START)) as engine:
        yield engine


def test_each_firing_is_told_of_with_what_came_of_it_newest_first(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager(engine=engine)
    expression = CronExpression("0 * * * *", timezone="Europe/Zurich")
    manager.schedule_cron("s", expression, Job("j", work, max_retries=0))
    manager.start()
    pass_time(engine, 2 * HOUR)
    newest, oldest = manager.firings("s")
    assert (oldest.status, oldest.error, oldest.at) == ("COMPLETED", "", START + HOUR)
    assert str(oldest.at) == str(oldest.fired) == str(oldest.ended) == "2026-01-01 02:00:00+01:00"
    assert (newest.status, newest.at) == ("FAILED", START + 2 * HOUR)
    assert (oldest.rule, oldest.policy, oldest.missed) == ("", "", 0)


def test_what_has_failed_says_why_and_what_was_made_up_says_so(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("s", "0 * * * *", Job("j", work, max_retries=0))
    manager.backfill("s", START - 23 * HOUR, START - 22 * HOUR)
    manager.start()
    settle(engine)
    two, one = manager.firings("s")
    assert (one.status, one.policy, one.at) == ("COMPLETED", "backfill", START - 23 * HOUR)
    assert (two.status, two.error) == ("FAILED", "ValueError: not at two")
    assert two.ended == START
    manager.stop()
    job_id = manager.trigger("s")
    (waiting,) = manager.firings("s", 1)
    assert waiting == (job_id, None, START, "", "trigger", 0, "PENDING", None, "")


def test_runs_of_workflows_stand_where_they_stand(engine: OrchestrationEngine) -> None:
    flows = WorkflowManager(engine)
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("s", "0 * * * *", flows.create("f").add_wait("approval", timeout=1800))
    manager.start()
    pass_time(engine, HOUR)
    assert [run.status for run in manager.firings("s")] == ["WAITING"]
    pass_time(engine, HOUR / 2)
    (failed,) = manager.firings("s")
    assert failed.status == "FAILED"
    assert "no signal came" in failed.error
    flows.delete("f")
    pass_time(engine, HOUR)
    parked = manager.firings("s")[0]
    assert parked.status == "UNRESOLVED"
    assert "there is no workflow 'f' on record" in parked.error


def test_what_was_missed_and_what_a_gap_has_moved_is_told(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager(engine=engine)
    manager.schedule_cron("s", CronExpression("30 2 * * *", timezone="Europe/Zurich"), work)
    clock_of(engine).set(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    manager.start()
    settle(engine)
    (run,) = manager.firings("s")
    assert (run.rule, run.missed) == ("gap.shift_forward", 87)


def test_a_name_may_have_meant_something_else_before(engine: OrchestrationEngine) -> None:
    manager = ScheduleManager(engine=engine)
    manager.start()
    for _ in range(2):
        manager.schedule_cron("s", "0 * * * *", work)
        pass_time(engine, HOUR)
        manager.cancel("s")
    assert len(manager.firings("s")) == 2
    with pytest.raises(UnknownIdError):
        manager.firings("t")
    with pytest.raises(InputError):
        manager.firings("s", 0)
    manager.schedule_cron("t", "0 * * * *", work)
    assert manager.firings("t") == []


def test_firings_are_told_of_though_the_definition_was_forgotten(engine: OrchestrationEngine) -> None:
    """Once the definition was older than what a store keeps, nothing that the schedule fired was told of any more."""
    manager = ScheduleManager(engine=engine)
    expression = CronExpression("0 * * * *", timezone="Europe/Zurich")
    manager.schedule_cron("s", expression, Job("j", work, max_retries=0))
    manager.start()
    pass_time(engine, HOUR)
    manager.pause("s")
    pass_time(engine, HOUR)
    assert engine.compact(0)
    assert manager.firings("s") == []
    manager.resume("s")
    pass_time(engine, HOUR)
    (made_up,) = manager.backfill("s", START - HOUR, START - HOUR)
    manager.schedule_cron("s", "0 * * * *", Job("j", work, max_retries=0), timezone="Asia/Tokyo")
    pass_time(engine, HOUR)
    told = [(run.at and run.at.isoformat(), run.job_id) for run in manager.firings("s")]
    (_, fired), (_, _), (_, before) = told
    assert told == [
        ("2026-01-01T13:00:00+09:00", fired),
        ("2026-01-01T00:00:00+01:00", made_up.job_id),
        ("2026-01-01T04:00:00+01:00", before),
    ]


@pytest.mark.parametrize("overlap", ["allow", "queue_all"])
def test_what_was_made_up_before_its_turn_is_not_run_again_though_it_was_compacted_away(
    engine: OrchestrationEngine, overlap: Overlap
) -> None:
    """Catch-up enqueued the very same jobs again, and nobody knew any more that there had been any."""
    manager, mine, clock = ScheduleManager(engine=engine), Queue("mine", engine=engine), clock_of(engine)

    def work_off() -> None:
        JobScheduler(engine=engine).process(mine)
        settle(engine)

    manager.schedule_cron("s", "0 * * * *", work_at_any_time, queue="mine", catch_up="all", overlap=overlap)
    clock.advance(3 * HOUR)
    assert len(manager.backfill("s", START + HOUR, START + 3 * HOUR)) == 3
    work_off()
    manager.trigger("s")  # what is due waits for it, or does not
    clock.advance(HOUR / 4)
    assert engine.compact(0)
    manager.start()
    settle(engine)
    clock.advance(HOUR / 4)
    mine.enqueue(Job("last", work_at_any_time))  # what has happened last is kept anyway
    assert engine.compact(0)
    for _ in range(4):
        work_off()
    assert mine.get_stats()["completed"] == 3 + 2


def test_only_as_much_of_the_past_is_read_as_tells_of_them(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week of a schedule each minute was read, and decoded, for its newest firing."""
    manager = ScheduleManager(engine=engine)
    manager.start()
    for minutes in (10, 3, 0):
        manager.schedule_cron(
            "s", "* * * * *", work_at_any_time, overlap="allow", timezone=f"Etc/GMT+{minutes}"
        )
        pass_time(engine, timedelta(minutes=minutes))
    read: list[str] = []
    decode: Callable[[Record], Event] = engine.store.runtime.codec.decode

    def noting(record: Record) -> Event:
        read.append(record.entity)
        return decode(record)

    monkeypatch.setattr(engine.store.runtime.codec, "decode", noting)
    told = manager.firings("s", 5)
    assert [run.at for run in told] == [START + timedelta(minutes=13 - back) for back in range(5)]
    assert [str(run.at and run.at.tzinfo) for run in told] == 3 * ["Etc/GMT+3"] + 2 * ["Etc/GMT+10"]
    assert read.count("schedule:s") == 2 + 2 * 13 + 1, "up to the definition of the oldest of them"
    read.clear()
    pass_time(engine, timedelta(minutes=5))
    assert [run.status for run in manager.firings("s", 2)] == ["COMPLETED", "COMPLETED"]
    assert read.count("schedule:s") == 4
