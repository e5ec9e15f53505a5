"""A rehearsal says what an engine would do, calls nothing, writes nothing, and comes to an end."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.clock.decider import ClockRules
from actors.runtime.clock import VirtualClock
from actors.runtime.errors import InputError
from actors.runtime.values import decode_value
from actors.simulation.world import World
from logistics import (
    CronScheduler,
    Job,
    JobScheduler,
    OrchestrationEngine,
    Queue,
    Rate,
    ScheduleManager,
    WorkflowManager,
)
from logistics.audit import rehearsal
from logistics.audit.history import History
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
from tests.logistics.audit import functions
from tests.support.scale import scaled

HOUR = timedelta(hours=1)


def tags(found: Any) -> Counter[str]:
    return Counter(each.tag for each in found.events)


def test_schedules_fire_at_the_times_that_a_preview_names(tmp_path: Path) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(tmp_path / "s", clock=clock) as engine:
        CronScheduler(engine=engine).schedule("often", "*/10 * * * *", functions.one)
        planned = ScheduleManager(engine=engine).preview("often", 12)
        view = engine.as_of()
        found = view.rehearse(view.at + 2 * HOUR + timedelta(seconds=1))
        fired = [each.event.scheduled_us for each in found.events if each.tag == "schedule.fired"]  # type: ignore[attr-defined]
        assert [datetime.fromtimestamp(at / 1e6, UTC) for at in fired] == [each.at for each in planned]
        assert tags(found)["job.completed"] == 12
        assert engine.as_of().position == view.position
        assert view.state_hash() == engine.as_of().state_hash()


def test_jobs_start_as_limits_dependencies_and_workers_let_them(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s", clock=VirtualClock()) as engine:
        queue = Queue("q", engine=engine)
        queue.configure(rate=Rate(2, per=60))
        ids = queue.enqueue_many([Job("one", functions.one) for _ in range(5)])
        queue.schedule(Job("later", functions.one), HOUR)
        view = engine.as_of()
        found = view.rehearse(view.at + 2 * HOUR, took=2)
        started = [each.at - view.at for each in found.events if each.tag == "job.started"]
        minute = timedelta(minutes=1)
        assert started == [0 * minute, 0 * minute, minute, minute, 2 * minute, HOUR]
        ended = [each.at - view.at for each in found.events if each.tag == "job.completed"]
        assert ended == [each + timedelta(seconds=2) for each in started]
        alone = view.rehearse(view.at + timedelta(seconds=1), took=2, workers=1)
        assert tags(alone) == {"job.started": 1}
        assert engine.why(f"job:{ids[0]}").status == "PENDING"


def test_runs_go_on_and_what_hangs_on_a_result_is_named(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s", clock=VirtualClock()) as engine:
        workflows = WorkflowManager(engine)
        plain = workflows.create("plain").add_step("a", functions.one, queue="slow")
        plain.add_step("b", functions.one, queue="slow")
        listed = workflows.create("listed").add_step("items", functions.one, queue="slow")
        listed.add_wait("pause", 60, depends_on=[])
        mapped = workflows.create("mapped").add_step("items", functions.one, queue="slow")
        mapped.add_step("each", functions.itself, map_over="items", queue="slow")
        run, other = workflows.start("plain"), workflows.start("listed")
        hanging = workflows.start("mapped")
        view = engine.as_of()
        found = view.rehearse(view.at + HOUR)
        ends = {each.entity: each.tag for each in found.events if each.tag.startswith("run.")}
        assert ends == {f"run:{run.run_id}": "run.completed", f"run:{other.run_id}": "run.completed"}
        assert found.unknown == (f"job:{hanging.run_id}.1",)
        assert found.until == view.at + HOUR


def test_what_the_parameters_of_a_run_tell_is_known(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s", clock=VirtualClock()) as engine:
        workflows = WorkflowManager(engine)
        workflows.create("inner").add_wait("nap", 60).add_step("itself", functions.itself, queue="slow")
        outer = workflows.create("outer").add_wait("first", 60)
        outer.add_workflow("one", "inner", params={"item": "of {{params.day}}"})
        outer.add_workflow("each", "inner", params={"item": "{{item}}"}, map_over="params.files", parallel=1)
        outer.add_wait("perhaps", 60, when="{{params.day}} == 1")
        outer.add_step("calls", functions.itself, map_over="params.files", queue="slow")
        outer.add_workflow("late", "inner", params={"item": "{{calls.output}}"})
        run = workflows.start("outer", day=1, files=["a", "b"])
        view = engine.as_of()
        found = view.rehearse(view.at + HOUR)
        runs = [
            each.entity.removeprefix(f"run:{run.run_id}")
            for each in found.events
            if each.tag == "run.completed"
        ]
        assert runs == [".1", ".2:0", ".2:1"]
        assert tags(found)["item.ended"] == 4
        assert found.unknown == (f"job:{run.run_id}.5",)
        created = next(each.event for each in found.events if each.tag == "run.created")
        assert decode_value(created.params) == {"item": "of 1"}  # type: ignore[attr-defined]
        wrong = workflows.start("outer", day=1, files=7)
        view = engine.as_of()
        assert f"job:{wrong.run_id}.2" in view.rehearse(view.at + HOUR).unknown


def test_each_job_of_a_batch_ends(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s", clock=VirtualClock()) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue_many([Job("together", functions.all_of_them, batch=3) for _ in range(7)])
        view = engine.as_of()
        found = view.rehearse(view.at + HOUR)
        assert (tags(found)["job.started"], tags(found)["job.completed"]) == (7, 7)
        assert found.unknown == ()


def test_firings_that_are_runs_run_by_the_newest_plan_and_are_told_by_why(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s", clock=VirtualClock()) as engine:
        workflows = WorkflowManager(engine)
        workflow = workflows.create("w").add_step("a", functions.one)
        CronScheduler(engine=engine).schedule("hourly", "0 * * * *", workflow)
        view = engine.as_of()
        unplanned = view.rehearse(view.at + 3 * HOUR + timedelta(minutes=1))
        assert (tags(unplanned)["schedule.fired"], len(unplanned.unknown)) == (1, 1)
        assert workflows.run("w").success
        view = engine.as_of()
        found = view.rehearse(view.at + 3 * HOUR + timedelta(minutes=1))
        assert tags(found)["run.completed"] == tags(found)["schedule.closed"] == 3
        assert found.unknown == ()


@pytest.mark.parametrize("seed", range(scaled("rehearsals", 15)))
def test_every_simulated_life_can_be_rehearsed_from_anywhere_to_its_end(seed: int) -> None:
    logging.disable(logging.CRITICAL)
    try:
        world = World(seed, steps=150)
        world.run()
    finally:
        logging.disable(logging.NOTSET)
    log = world.medium
    history = History(log, world.codec, lambda: log.head.position)
    for position in (log.head.position, log.head.position // 2):
        view = history.as_of(position)
        before = view.state_hash()
        found = view.rehearse(view.at + HOUR)
        assert found == view.rehearse(view.at + HOUR), "the same question has the same answer"
        assert found.until == view.at + HOUR
        assert all(view.at <= each.at <= found.until for each in found.events)
        assert view.state_hash() == before
        started = {each.entity for each in found.events if each.tag == "job.started"}
        ended = {each.entity for each in found.events if getattr(each.event, "final", False)}
        assert started <= ended | set(found.unknown) | {
            e.entity for e in found.events if e.tag == "job.retrying"
        }


def test_times_and_numbers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        view = engine.as_of()
        with pytest.raises(InputError, match="until: expected an instant after"):
            view.rehearse(view.at - HOUR)
        with pytest.raises(InputError, match="no zone"):
            view.rehearse(datetime(2030, 1, 1))  # noqa: DTZ001 -- naive on purpose
        with pytest.raises(InputError, match="workers"):
            view.rehearse(view.at + HOUR, workers=0)


def test_the_command_shows_counts_or_events_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "s"
    with OrchestrationEngine(store) as engine:
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
        Queue("q", engine=engine).enqueue(Job("one", functions.one, job_id="it"))
        JobScheduler(engine=engine)
    with StoreReader(store) as reader:
        before = reader.position
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    where = ["--store", str(store)]
    assert main(["rehearse", "--until", until, "--json", *where]) == 0
    (facts,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(each["schedule"], each["firings"]) for each in facts["schedules"]] == [("nightly", 3)]
    assert main(["rehearse", "--until", until, *where]) == 0
    assert "nightly" in capsys.readouterr().out
    assert main(["rehearse", "--until", until, "--events", "--json", "-n", "1", *where]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["tag"], row["entity"]) == ("job.started", "job:it")
    assert main(["rehearse", "--until", "17", *where]) == 2
    with StoreReader(store) as reader:
        assert reader.position == before


def test_a_rehearsal_in_which_somebody_is_woken_in_vain_for_ever_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rehearsal, "MOST_EVENTS", 20)
    monkeypatch.setattr(ClockRules, "next_wake_us", lambda *_: 0)
    with OrchestrationEngine(":memory:", clock=VirtualClock()) as engine:
        view = engine.as_of()
        assert view.rehearse(view.at + HOUR).until == view.at + timedelta(seconds=20)
