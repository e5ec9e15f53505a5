"""Schedules whose firings are runs of a workflow, as users see them: on a whole engine, on a clock in hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest

from actors.queue.messages import GetJob
from actors.queue.specs import JobStatus
from actors.runtime.attempt import AttemptContext
from actors.runtime.messages import Event
from actors.schedule.messages import ScheduleFired, ScheduleSkipped
from actors.workflow.specs import RunStatus
from logistics.errors import BindingError, GraphError, InputError, PayloadError
from logistics.orchestration.decorators import workflow
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.result import WorkflowResult
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.schedule.definition import ScheduleDefinition
from logistics.schedule.expression import CronExpression
from logistics.schedule.files import load_schedules
from logistics.schedule.manager import ScheduleManager
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.recurring_scheduler import RecurringScheduler
from logistics.task.job import Job
from logistics.testing import VirtualClock, pass_time

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAIT_S = 30.0
CALLS: list[str] = []
E = TypeVar("E", bound=Event)


def extract(day: str) -> str:
    return day


def twice(extract: str, ctx: AttemptContext) -> list[Any]:
    assert ctx.fired_at is not None
    return [extract * 2, ctx.scheduled_at and ctx.scheduled_at.isoformat(), ctx.fired_at.isoformat()]


def once(extract: str) -> str:
    return extract


def note() -> None:
    CALLS.append("noted")


def undo() -> None:
    CALLS.append("undone")


@workflow
def marked(flow: Workflow) -> None:
    flow.add_step("once", once)


class Place:
    """An engine with a workflow of two steps, and the clock it lives by."""

    def __init__(self, path: str) -> None:
        self.clock = VirtualClock(START)
        self.path = path
        self._open()

    def _open(self) -> None:
        self.engine = OrchestrationEngine(self.path, clock=self.clock)
        self.flows = WorkflowManager(self.engine)
        self.manager = ScheduleManager(engine=self.engine)

    def reopen(self) -> None:
        self.engine.close()
        self._open()

    def define(self) -> Workflow:
        return self.flows.create("nightly").add_step("extract", extract).add_step("twice", twice)

    def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.engine.store.runtime.nudge("scheduler")

    def fired(self, name: str) -> list[str]:
        """The ids of what a schedule has fired."""
        return [event.job_id for event in self.told(name, ScheduleFired)]

    def told(self, name: str, kind: type[E]) -> list[E]:
        """The events of one kind of a schedule, after it has looked at the time."""
        self.manager.get(name)
        return [event for _, event in self.engine.history(f"schedule:{name}") if isinstance(event, kind)]

    def heard(self, tag: str, run_id: str) -> Any:
        """The first event of this kind about a firing or its run, once there is one."""
        found: SimpleQueue[Event] = SimpleQueue()
        subscription = self.engine.subscribe(tag, lambda event, _: found.put(event), after=0)
        while (event := found.get(timeout=WAIT_S)).entity.partition(":")[2] != run_id:
            pass
        subscription.cancel()
        return event

    def parked(self, run_id: str) -> str:
        """Why a firing was parked, once it is."""
        return str(self.heard("job.unresolved", run_id).error)

    def begun(self, run_id: str) -> WorkflowRun:
        """A run that will begin, if it has not."""
        self.heard("run.created", run_id)
        run = self.flows.get_run(run_id)
        assert run is not None
        return run

    def result(self, run_id: str) -> WorkflowResult:
        return self.begun(run_id).result(WAIT_S)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(str(tmp_path / "store"))
    yield place
    place.engine.close()


def test_each_firing_is_a_run_whose_steps_know_when_it_was_to_be(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    place.manager.start()
    place.pass_time(HOUR + timedelta(minutes=1))
    (run_id,) = place.fired("n")
    result = place.result(run_id)
    assert result.output == ["monmon", "2026-01-01T01:00:00+00:00", "2026-01-01T01:01:00+00:00"]
    run = place.flows.get_run(run_id)
    assert run is not None
    assert run.schedule == "n"
    assert place.flows.start("nightly", day="tue").schedule is None


def test_parameters_may_name_the_time_in_the_zone_of_the_schedule(place: Place) -> None:
    text = "{{scheduled_date}} {{ scheduled_at }} {{fired_at}} {{other}}"
    expression = CronExpression("30 0 * * *", timezone="Europe/Zurich")
    place.manager.schedule_cron("n", expression, place.define(), kwargs={"day": [{"at": text}]})
    place.manager.start()
    place.pass_time(24 * HOUR)
    (run_id,) = place.fired("n")
    assert place.result(run_id)["extract"] == [
        {"at": "2026-01-02 2026-01-02T00:30:00+01:00 2026-01-02T01:00:00+01:00 {{other}}"}
    ]


@pytest.mark.parametrize(
    ("func", "given"),
    [
        (extract, {"args": ["{{scheduled_date}}"]}),
        (extract, {"kwargs": {"day": ["on {{ fired_at }}"]}}),
        (Job("n", extract, ["{{scheduled_at}}"]), {}),
    ],
    ids=["args", "kwargs", "job"],
)
def test_a_function_that_would_get_the_braces_is_told_where_the_time_is(
    place: Place, func: Any, given: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"for a Workflow only; .* ctx\.scheduled_at is the time, in UTC"):
        place.manager.schedule_cron("n", "0 * * * *", func, **given)
    assert place.manager.list_tasks() == []
    place.manager.schedule_cron("n", "0 * * * *", extract, kwargs={"day": "{{other}}"})


def test_a_trigger_is_a_run_with_the_time_of_the_trigger(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "{{scheduled_at}}"})
    place.manager.start()
    result = place.result(place.manager.trigger("n"))
    assert result.output == ["2026-01-01T00:00:00+00:00" * 2, None, "2026-01-01T00:00:00+00:00"]


def test_past_times_can_be_made_up_as_runs(place: Place) -> None:
    place.manager.schedule_cron("n", "0 0 * * *", place.define(), kwargs={"day": "{{scheduled_date}}"})
    place.manager.start()
    span = (START - timedelta(days=2), START - timedelta(days=1))
    planned = place.manager.backfill("n", *span, dry_run=True)
    assert place.manager.backfill("n", *span) == planned
    days = [place.result(made.job_id)["extract"] for made in planned]
    assert days == ["2025-12-30", "2025-12-31"]


def test_a_schedule_shows_its_workflow_and_counts_its_runs_until_they_are_over(place: Place) -> None:
    flow = place.flows.create("waits").add_wait("approval")
    place.manager.schedule_cron("n", "0 * * * *", flow)
    place.manager.start()
    place.pass_time(HOUR)
    (run_id,) = place.fired("n")
    place.pass_time(HOUR)  # passed over: the run before it waits
    assert place.fired("n") == [run_id]
    task = place.manager.get("n")
    assert task is not None
    assert (task.workflow, task.function, task.running, task.runs) == ("waits", "", 1, 1)
    (skip,) = place.told("n", ScheduleSkipped)
    assert skip.policy == "overlap.skip"
    run = place.begun(run_id)
    run.signal("approval", {})
    run.result(WAIT_S)
    place.heard("schedule.closed", "n")
    place.pass_time(HOUR)
    assert len(place.fired("n")) == 2


def test_every_firing_takes_the_definition_that_is_on_record_then(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    place.manager.start()
    place.flows.create("nightly").add_step("extract", extract)  # not saved: not finished
    assert len(place.result(place.manager.trigger("n")).steps) == 2
    place.flows.create("nightly").add_step("extract", extract).add_step("once", once).save()
    assert place.result(place.manager.trigger("n")).output == "mon"


def test_the_same_script_again_keeps_the_cursor_though_the_workflow_is_another_one(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    place.reopen()
    place.pass_time(3 * HOUR)  # nobody was there
    flow = place.flows.create("nightly").add_step("extract", extract)
    place.manager.schedule_cron("n", "0 * * * *", flow, kwargs={"day": "mon"})
    place.manager.start()
    (run_id,) = place.fired("n")
    assert place.result(run_id).output == "mon"


def test_a_firing_whose_workflow_is_gone_is_parked_with_the_reason_and_comes_back(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    assert place.flows.delete("nightly")
    place.reopen()
    place.manager.start()
    place.pass_time(HOUR)
    (run_id,) = place.fired("n")
    assert "there is no workflow 'nightly' on record" in place.parked(run_id)
    assert place.engine.send(GetJob(job_id=run_id)).status == JobStatus.UNRESOLVED
    (finding,) = place.flows.upgrade_check()
    assert (finding.kind, finding.id, finding.blocking) == ("schedule", "n", True)
    place.define().save()
    assert place.result(run_id).status is RunStatus.COMPLETED
    assert place.flows.upgrade_check() == []


def test_so_is_one_that_could_not_be_begun_with_its_parameters_any_more(place: Place) -> None:
    place.manager.schedule_cron("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    place.flows.create("nightly").add_step("once", once).save()
    place.manager.start()
    run_id = place.manager.trigger("n")
    assert "nothing fills the required parameter 'extract'" in place.parked(run_id)
    assert "refused" in place.flows.upgrade_check()[0].problem
    place.define().save()
    assert place.result(run_id).success


def test_a_workflow_made_of_others_is_put_on_record_with_them(place: Place) -> None:
    place.define()
    flow = place.flows.create("outer").add_workflow("inner", "nightly", params={"day": "sun"})
    RecurringScheduler(engine=place.engine).add("n", RecurringSchedule.daily(at="03:00"), flow)
    place.reopen()
    place.manager.start()
    run_id = place.manager.trigger("n")
    result = place.result(run_id)
    assert result.output == ["sunsun", None, "2026-01-01T00:00:00+00:00"]


def test_a_firing_that_was_parked_for_want_of_a_workflow_inside_comes_back_with_that(place: Place) -> None:
    place.define()
    flow = place.flows.create("outer").add_workflow("inner", "nightly", params={"day": "sun"})
    place.manager.schedule_cron("n", "0 * * * *", flow)
    place.flows.delete("nightly")
    place.manager.start()
    run_id = place.manager.trigger("n")
    assert "there is no workflow 'nightly'" in place.parked(run_id)
    place.define().save()
    assert place.result(run_id).output[0] == "sunsun"


def test_a_restart_between_two_runs_of_a_firing_begins_none_twice(place: Place) -> None:
    flow = place.flows.create("waits").add_wait("approval")
    place.manager.schedule_cron("n", "0 * * * *", flow)
    place.manager.start()
    run_id = place.manager.trigger("n")
    assert place.begun(run_id).run_id == run_id
    for _ in range(2):
        place.reopen()
        place.manager.start()
        assert [run.run_id for run in place.flows.list_runs()] == [run_id]
    task = place.manager.get("n")
    assert task is not None
    assert task.running == 1


def test_many_are_put_on_record_together_and_a_dry_run_records_nothing(place: Place) -> None:
    definition = ScheduleDefinition("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    (change,) = place.manager.apply("group", [definition], dry_run=True)
    assert change.change == "created"
    assert place.engine.history("workflow:nightly") == []
    place.manager.apply("group", [definition])
    assert len(place.engine.history("workflow:nightly")) == 1
    (change,) = place.manager.apply("group", [definition])
    assert change.change == "unchanged"


def test_a_set_that_is_refused_puts_no_workflow_on_record(place: Place) -> None:
    place.manager.apply("one", [ScheduleDefinition("n", "0 * * * *", note)])
    definition = ScheduleDefinition("n", "0 * * * *", place.define(), kwargs={"day": "mon"})
    with pytest.raises(InputError, match="belongs to the group"):
        place.manager.apply("other", [definition])
    assert place.engine.history("workflow:nightly") == []


def test_the_run_before_is_cancelled_and_compensated_when_the_next_one_begins(place: Place) -> None:
    CALLS.clear()
    flow = place.flows.create("slow").add_step("note", note, compensate=undo).add_wait("approval")
    place.manager.schedule_cron("n", "0 * * * *", flow, overlap="cancel_previous")
    place.manager.start()
    pass_time(place.engine, HOUR)
    assert CALLS == ["noted"]
    pass_time(place.engine, HOUR)
    assert sorted(CALLS) == ["noted", "noted", "undone"]
    assert [run.status for run in place.manager.firings("n")] == ["WAITING", "CANCELLED"]
    task = place.manager.get("n")
    assert task is not None
    assert task.running == 1


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ((("x",), {}, {}), InputError, "takes its parameters by name"),
        (((), {"day": "mon"}, {"queue": "q"}), InputError, "queue: the steps of a workflow have their own"),
        (((), {"day": "mon"}, {"priority": 1, "max_retries": 2}), InputError, "priority, max_retries: the"),
        (((), {}, {}), BindingError, "day"),
        (((), {"day": "mon", "night": 1}, {}), BindingError, "night"),
        (((), {"day": object()}, {}), PayloadError, "day"),
    ],
)
def test_what_no_run_could_be_begun_with_is_refused_at_once(
    place: Place, said: Any, error: type[Exception], words: str
) -> None:
    args, kwargs, options = said
    with pytest.raises(error, match=words):
        CronScheduler(engine=place.engine).schedule("n", "0 * * * *", place.define(), args, kwargs, **options)
    assert place.manager.list_tasks() == []
    assert place.engine.history("workflow:nightly") == []


def test_a_workflow_that_has_circles_is_refused(place: Place) -> None:
    flow = place.flows.create("c").add_step("a", once, depends_on=["b"]).add_step("b", once, depends_on=["a"])
    with pytest.raises(GraphError):
        place.manager.schedule_cron("n", "0 * * * *", flow)


def test_a_workflow_of_another_store_and_a_mere_outline_are_refused(place: Place) -> None:
    with OrchestrationEngine(":memory:") as other:
        flow = WorkflowManager(other).create("nightly").add_step("extract", extract)
        with pytest.raises(InputError, match="another store"):
            place.manager.schedule_cron("n", "0 * * * *", flow, kwargs={"day": "mon"})
    with pytest.raises(InputError, match=r"define\(…\)"):
        place.manager.schedule_cron("n", "0 * * * *", marked)


FILE = """
name = "office"

[[schedules]]
name = "n"
workflow = "flow.toml"
params = {day = "{{scheduled_date}}"}
cron = "0 0 * * *"

[[schedules]]
name = "by name"
workflow = "nightly"
params = {day = "x"}
cron = "0 0 1 * *"
"""
FLOW = f"""
name = "of a file"
[params.day]
[[steps]]
name = "extract"
function = "{__name__}:extract"
args = ["{{{{params.day}}}}"]
"""


def test_a_file_names_workflows_by_file_and_by_name(place: Place, tmp_path: Path) -> None:
    (tmp_path / "office.toml").write_text(FILE)
    (tmp_path / "flow.toml").write_text(FLOW)
    place.define().save()
    file = load_schedules(tmp_path / "office.toml", place.engine)
    place.manager.apply(file.name, file.definitions)
    assert {task.name: task.workflow for task in place.manager.list_tasks()} == {
        "by name": "nightly",
        "n": "of a file",
    }
    place.manager.start()
    assert place.result(place.manager.trigger("n")).output == "2026-01-01"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('workflow = "flow.toml"', 'workflow = "flow.toml"\nfunction = "m:f"', "expected one of function"),
        ('workflow = "flow.toml"', "", "expected one of function"),
        ('workflow = "flow.toml"', 'workflow = "gone.toml"', "cannot be read"),
        ('workflow = "nightly"', 'workflow = "daily"', "there is no workflow 'daily' on record"),
        ('params = {day = "x"}', "", "day"),
        ('params = {day = "x"}', 'args = ["x"]', "expected one of function"),
        ('params = {day = "x"}', 'params = {day = "x"}\nqueue = "q"', "queue: the steps of a workflow"),
    ],
)
def test_a_mistake_in_a_file_is_named(
    place: Place, tmp_path: Path, before: str, after: str, words: str
) -> None:
    assert before in FILE
    (tmp_path / "office.toml").write_text(FILE.replace(before, after))
    (tmp_path / "flow.toml").write_text(FLOW)
    place.define().save()
    with pytest.raises(ConfigError, match=words):
        load_schedules(tmp_path / "office.toml", place.engine)
