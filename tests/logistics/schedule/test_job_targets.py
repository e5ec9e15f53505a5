"""Schedules whose firings are jobs of every kind: what a `Job` says of itself holds for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import JobCompleted, JobEnqueued
from actors.queue.specs import JobLife
from actors.runtime.attempt import AttemptContext
from actors.runtime.values import decode_value
from actors.schedule.messages import ScheduleClosed, ScheduleFired
from logistics.errors import InputError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.resource_manager import ResourceManager
from logistics.schedule.files import load_schedules
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.testing import VirtualClock, pass_time

HOUR = timedelta(hours=1)


def work(number: int = 1) -> int:
    return number


def told(ctx: AttemptContext) -> list[str]:
    assert ctx.scheduled_at is not None
    assert ctx.fired_at is not None
    return [ctx.scheduled_at.isoformat(), ctx.fired_at.isoformat()]


class Place:
    """An engine with schedules, on a clock in hand."""

    def __init__(self) -> None:
        self.engine = OrchestrationEngine(":memory:", clock=VirtualClock())
        self.manager = ScheduleManager(engine=self.engine)
        self.manager.start()

    def fired(self, job: Job, **options: Any) -> JobEnqueued:
        """The job of the first firing of a schedule, as the queue got it."""
        self.manager.schedule_cron("s", "0 * * * *", job, **options)
        pass_time(self.engine, HOUR)
        (fired,) = [event for event in self.told() if isinstance(event, ScheduleFired)]
        enqueued = self.engine.history(f"job:{fired.job_id}")[0][1]
        assert isinstance(enqueued, JobEnqueued)
        return enqueued

    def told(self) -> list[Any]:
        return [event for _, event in self.engine.history("schedule:s")]


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.engine.close()


def test_a_job_is_fired_as_it_says_under_the_name_of_the_schedule(place: Place) -> None:
    ResourceManager(engine=place.engine).add_resource("gpu", "x", 2)
    job = Job(
        "any",
        work,
        (3,),
        priority=5,
        max_retries=1,
        backoff="linear",
        timeout=60,
        heartbeat=10,
        expires=3600,
        concurrency_key="k",
        group="g",
        resources={"gpu": 1},
        retry_on=ValueError,
    )
    spec = place.fired(job).spec
    assert (spec.name, spec.priority, spec.retry.max_retries) == ("s", 5, 1)
    assert spec.life == JobLife(60_000_000, 0, 3_600_000_000, 10_000_000, ("builtins:ValueError",))
    assert spec.terms is not None
    assert (spec.terms.key, spec.terms.group, spec.terms.resources) == ("k", "g", (("gpu", 1.0),))
    assert spec.terms.backoff is not None
    assert [event.status for event in place.told() if isinstance(event, ScheduleClosed)] == ["COMPLETED"]


def test_a_job_that_expires_before_anybody_serves_its_queue_is_a_firing_that_has_ended(place: Place) -> None:
    place.fired(Job("any", work, expires=1800), queue="unserved")
    pass_time(place.engine, HOUR / 2)
    assert [event.status for event in place.told() if isinstance(event, ScheduleClosed)] == ["EXPIRED"]


def test_a_job_that_the_queue_does_not_take_is_a_firing_that_has_failed_with_the_reason(place: Place) -> None:
    place.manager.schedule_cron("s", "0 * * * *", Job("any", work, resources={"gpu": 1}))
    pass_time(place.engine, HOUR)
    (closed,) = [event for event in place.told() if isinstance(event, ScheduleClosed)]
    assert closed.status == "FAILED"
    assert "gpu" in closed.refusal
    pass_time(place.engine, HOUR)
    assert len([event for event in place.told() if isinstance(event, ScheduleFired)]) == 2


def test_the_same_job_again_changes_nothing_and_another_one_does(place: Place) -> None:
    for timeout in (60, 60, 61):
        place.manager.schedule_cron("s", "0 * * * *", Job("any", work, timeout=timeout))
    assert len(place.told()) == 2


def test_a_function_in_a_process_of_its_own_knows_the_times_too(place: Place) -> None:
    place.fired(Job("any", told, executor="process"))
    (fired,) = [event for event in place.told() if isinstance(event, ScheduleFired)]
    (end,) = [event for _, event in place.engine.history(f"job:{fired.job_id}") if event.final]
    assert isinstance(end, JobCompleted)
    assert decode_value(end.result) == ["2026-01-01T01:00:00+00:00"] * 2


@pytest.mark.parametrize(
    ("job", "said", "words"),
    [
        (Job("j", work), {"priority": 1, "retry_delay": 2}, "priority, retry_delay: the Job says so itself"),
        (Job("j", work), {"args": (1,)}, "args, kwargs: the Job says so itself"),
        (Job("j", work, job_id="x"), {}, "job_id: a job that comes again and again cannot have that"),
        (Job("j", work, unique_key="x"), {}, "unique_key: a job that comes"),
        (Job("j", work, on_success=Job("k", work)), {}, "on_success: a job that comes"),
        (Job("j", work, expires=datetime(2100, 1, 1, tzinfo=UTC)), {}, "as a datetime"),
    ],
)
def test_what_no_job_that_comes_again_can_have_is_refused(
    place: Place, job: Job, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        place.manager.schedule_cron("s", "0 * * * *", job, **said)
    assert place.told() == []


FILE = f"""
name = "office"
[[schedules]]
name = "s"
function = "{__name__}:work"
args = [4]
cron = "0 * * * *"
job = {{timeout = 60, resources = {{gpu = 1}}}}
"""


def test_a_file_says_it_in_a_table(place: Place, tmp_path: Path) -> None:
    (tmp_path / "office.toml").write_text(FILE)
    file = load_schedules(tmp_path / "office.toml", place.engine)
    place.manager.apply(file.name, file.definitions)
    (put,) = place.told()
    assert put.target.life == JobLife(timeout_us=60_000_000)
    assert put.target.terms.resources == (("gpu", 1.0),)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("{timeout = -1}", "timeout"),
        ("{time_out = 1}", "time_out"),
        ('{unique_key = "x"}', "unique_key"),
        ("{timeout = 1}\npriority = 2", "priority: the Job says so itself"),
        ('{timeout = 1}\nworkflow = "w"', "expected one of function"),
    ],
)
def test_a_mistake_in_that_table_is_named(place: Place, tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "office.toml").write_text(FILE.replace("{timeout = 60, resources = {gpu = 1}}", table))
    with pytest.raises(ConfigError, match=words):
        load_schedules(tmp_path / "office.toml", place.engine)
