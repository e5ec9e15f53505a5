"""Why: the rules that decide, put into words, live and of the past, with who and since when."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from actors.folding import event_codec
from actors.queue.messages import EnqueueJobs, ExplainJob
from actors.queue.specs import JobSpec
from actors.runtime.clock import VirtualClock
from actors.runtime.errors import InputError, UnknownIdError
from actors.schedule.firing import next_fires
from actors.schedule.messages import (
    CATCH_UPS,
    OVERLAPS,
    PauseSchedule,
    RemoveSchedule,
    ResumeSchedule,
    ScheduleFired,
)
from actors.schedule.missed import count_fires
from actors.schedule.spec import CombinedSpec, CronSpec, DaysSpec, ScheduleSpec
from actors.simulation.world import World as SimulatedWorld
from actors.workflow.messages import ExplainRun
from eventstore.memory_log import MemoryLog
from logistics.audit.history import History
from logistics.audit.store_reader import StoreReader
from logistics.audit.words import Why
from logistics.cli.main import main
from logistics.errors import JobNotFoundError, RunNotFoundError
from logistics.inputs import as_datetime
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.resource_manager import ResourceManager
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.actors.schedule.world import DAY, HOUR, MINUTE, START, World, at
from tests.logistics.audit import functions
from tests.support.scale import scaled

CODEC = event_codec()


def codes(why: Why) -> list[str]:
    return [reason.code for reason in why.reasons]


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    with OrchestrationEngine(tmp_path / "store", workers=4, clock=VirtualClock()) as engine:
        yield engine


# -- jobs and runs ------------------------------------------------------------------------------------------


def test_a_job_says_what_holds_it_and_who_did_that_since_when(engine: OrchestrationEngine) -> None:
    queue = Queue("q", engine=engine)
    job_id = queue.enqueue(Job("one", functions.one))
    assert codes(engine.why(f"job:{job_id}")) == ["not_served"]
    queue.pause()
    why = engine.why(f"job:{job_id}")
    assert codes(why) == ["paused", "not_served"]
    paused = why.reasons[0]
    assert paused.by[0].startswith("command:")
    assert paused.text == f"queue 'q' is paused by {paused.by[0]} at 2026-01-01T00:00:00Z"
    assert str(why).startswith(f"job:{job_id} is PENDING\n- queue 'q' is paused by")
    later = Queue("later", engine=engine).schedule(Job("l", functions.one), timedelta(hours=1))
    (delayed, _) = engine.why(f"job:{later}").reasons
    assert (delayed.code, delayed.until) == ("delayed", datetime(2026, 1, 1, 1, tzinfo=UTC))


def test_a_job_that_waits_for_a_resource_names_the_holder(engine: OrchestrationEngine) -> None:
    resources = ResourceManager(engine=engine)
    resources.add_resource("gpu", "hardware", 1)
    held = resources.allocate("gpu", "me")
    assert held is not None
    job_id = Queue("q", engine=engine).enqueue(Job("one", functions.one, resources={"gpu": 1}))
    found = {reason.code: reason for reason in engine.why(f"job:{job_id}").reasons}
    assert found["resource"].by == (f"allocation:{held.allocation_id}",)
    assert found["resource"].text == (
        f"it waits for 1 of 'gpu': 1 of 1 held or waited for, by 'me' (allocation:{held.allocation_id})"
    )


def test_a_job_that_has_ended_says_how_and_an_unknown_one_is_refused(engine: OrchestrationEngine) -> None:
    queue = Queue("q", engine=engine)
    job_id = queue.enqueue(Job("bad", functions.fail, max_retries=0))
    JobScheduler(engine=engine).process(queue)
    assert engine.why(job_id) == engine.why(f"job:{job_id}")
    (ended,) = engine.why(f"job:{job_id}").reasons
    assert ended.code == "ended"
    assert "ValueError: it does not work" in ended.text
    with pytest.raises(JobNotFoundError):
        engine.why("job:nobody")
    with pytest.raises(RunNotFoundError):
        engine.why("run:nobody")
    for unknown in ("schedule:nobody", "nobody"):
        with pytest.raises(UnknownIdError, match="'nobody' on record"):
            engine.why(unknown)
    for wrong in ("", "job:", "queue:q", None):
        with pytest.raises(InputError, match="expected job:ID"):
            engine.why(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="only a schedule"):
        engine.why(f"job:{job_id}", at="2026-01-01")


def test_a_job_whose_function_is_gone_says_since_when(engine: OrchestrationEngine) -> None:
    spec = JobSpec("gone", "q", "gone", "nowhere:nothing", b"")
    queue = Queue("q", engine=engine)
    engine.send(EnqueueJobs(jobs=(spec, msgspec.structs.replace(spec, job_id="then", after=("gone",)))))
    JobScheduler(engine=engine).process(queue)
    (unresolved, _) = engine.why("job:gone").reasons
    assert unresolved.code == "unresolved"
    assert "nowhere:nothing cannot be found, since 2026-01-01T00:00:00Z" in unresolved.text
    (waits, _) = engine.why("job:then").reasons
    assert waits.text == "it waits for job:gone (UNRESOLVED)"


def test_what_ends_while_it_is_asked_about_has_ended(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, manager = Queue("q", engine=engine), WorkflowManager(engine)
    job_id = queue.enqueue(Job("one", functions.one))
    manager.create("w").add_step("first", functions.one, queue="q")
    run = manager.start("w")
    answer = engine.query

    def end_after(actor: str, question: Any) -> Any:
        said = answer(actor, question)
        if isinstance(question, ExplainJob):
            queue.cancel(job_id)
        if isinstance(question, ExplainRun):
            run.cancel()
        return said

    monkeypatch.setattr(engine, "query", end_after)
    for subject in (f"job:{job_id}", f"run:{run.run_id}"):
        found = engine.why(subject)
        assert (found.status, codes(found)) == ("CANCELLED", ["ended"])


def test_a_run_says_which_step_waits_for_what(engine: OrchestrationEngine) -> None:
    workflow: Workflow = WorkflowManager(engine).create("w")
    workflow.add_step("first", functions.one, queue="slow").add_wait("go").add_step("last", functions.one)
    run = WorkflowManager(engine).start("w")
    why = engine.why(f"run:{run.run_id}")
    assert (why.status, codes(why)) == ("RUNNING", ["not_served", "steps_pending"])
    assert why.reasons[0].text.startswith(f"step 'first', job:{run.run_id}.0: queue 'slow' is not started")
    run.pause()
    assert codes(engine.why(f"run:{run.run_id}")) == ["run_paused", "not_served", "steps_pending"]
    run.resume()
    JobScheduler(engine=engine).process(Queue("slow", engine=engine))
    while (why := engine.why(f"run:{run.run_id}")).status != "WAITING":
        pass
    assert [reason.text for reason in why.reasons] == [
        "step 'go' waits for a signal",
        "1 of 3 steps wait for others: last",
    ]
    run.cancel()
    assert codes(engine.why(f"run:{run.run_id}")) == ["ended"]


def test_a_run_that_waits_for_a_place_of_its_session_names_who_has_them(engine: OrchestrationEngine) -> None:
    WorkflowManager(engine).create("w").add_step("first", functions.one, queue="slow")
    session = engine.create_session(max_parallel_workflows=1)
    manager = WorkflowManager(engine, session_id=session)
    first, second = manager.start("w"), manager.start("w")
    why = engine.why(f"run:{second.run_id}")
    assert (why.status, codes(why)) == ("PENDING", ["session_places"])
    assert why.reasons[0].text == f"places of session {session!r}: 1 of 1 taken, by run:{first.run_id}"
    first.cancel()
    assert "session_places" not in codes(engine.why(f"run:{second.run_id}"))
    second.cancel()


def test_the_past_answers_as_it_was_and_offline_says_that_nobody_works_there(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue("q", engine=engine)
        job_id = queue.enqueue(Job("one", functions.one))
        enqueued = engine.as_of().position
        queue.pause()
        assert codes(engine.as_of().why(f"job:{job_id}")) == ["paused"]
        assert codes(engine.as_of(enqueued).why(f"job:{job_id}")) == ["ready"]
        with pytest.raises(UnknownIdError):
            engine.as_of(enqueued - 1).why(f"job:{job_id}")
    with StoreReader(tmp_path / "store") as reader:
        assert codes(reader.as_of().why(f"job:{job_id}")) == ["closed", "paused"]


def test_the_command_says_it_in_lines_or_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue(Job("one", functions.one, job_id="it"))
        queue.pause()
        position = engine.as_of().position
    assert main(["why", "job", "it", "--store", str(store)]) == 0
    said_of_it = capsys.readouterr().out
    assert said_of_it.startswith("job:it is PENDING\n- the store was closed at ")
    for what in ("job:it", "it"):
        assert main(["why", what, "--store", str(store)]) == 0
        assert capsys.readouterr().out == said_of_it
    arguments = ["why", "job", "it", "--as-of", str(position), "--json", "--store", str(store)]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert [reason["code"] for reason in said["reasons"]] == ["paused"]
    assert main(["why", "job", "nobody", "--store", str(store)]) == 2
    assert capsys.readouterr().err == "logistics: no job 'nobody' on record\n"
    assert main(["why", "queue", "q", "--store", str(store)]) == 2
    assert "expected job:ID, run:ID or schedule:NAME, got 'queue:q'" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(scaled("reasons_of_worlds", 8)))
def test_everything_on_record_in_a_life_full_of_faults_has_a_reason_at_every_moment(seed: int) -> None:
    logging.disable(logging.CRITICAL)
    try:
        world = SimulatedWorld(seed, steps=250)
        world.run()
    finally:
        logging.disable(logging.NOTSET)
    log = world.medium
    history = History(log, CODEC, lambda: log.head.position)
    entities = [entity for kind in ("job:", "run:", "schedule:") for entity in log.entities(kind)]
    for position in range(0, log.head.position + 1, max(1, log.head.position // 12)):
        view = history.as_of(position)
        for entity in entities:
            if log.first(entity, upto=position) is None:
                with pytest.raises(UnknownIdError):
                    view.why(entity)
                continue
            found = view.why(entity)
            assert found.reasons or entity.startswith("schedule:"), entity
            assert all(reason.text for reason in found.reasons)
            assert (found.status in {"COMPLETED", "FAILED", "CANCELLED", "EXPIRED"}) == (
                "ended" in codes(found) or (entity.startswith("schedule:") and found.status == "COMPLETED")
            )


# -- schedules ----------------------------------------------------------------------------------------------


def asked(world: World, name: str = "report") -> Callable[..., Why]:
    """Return what answers for a schedule of a world, from its log alone."""
    log = MemoryLog()
    for event in world.full:
        data = {name: getattr(event, name) for name in event.__struct_fields__}
        at_us = int(data.get("fired_us") or data.get("at_us") or data.get("ended_us") or 0)
        recorded_us = max(log.head.recorded_us, at_us)
        log.append(
            [CODEC.record(event, entity=event.entity)],
            expected=log.head.position,
            epoch=1,
            recorded_us=recorded_us,
        )
    view = History(log, CODEC, lambda: log.head.position).as_of()
    return lambda at=None: view.why(f"schedule:{name}", at=at, now=as_datetime(world.now_us))


BERLIN = CronSpec("30 2 * * *", timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("spec", "time", "expected"),
    [
        (BERLIN, "2027-03-28T02:30", ["gap", "fired"]),
        (msgspec.structs.replace(BERLIN, gap="skip"), "2027-03-28T02:30", ["gap", "left_out"]),
        (msgspec.structs.replace(BERLIN, gap="preserve_offset"), "2027-03-28T02:30", ["gap", "fired"]),
        (BERLIN, "2027-03-28T02:31", ["no_time"]),
        (BERLIN, "2027-03-27T02:30", ["fired"]),
        (BERLIN, "2027-03-27T02:31", ["no_time"]),
        (CombinedSpec("but", (BERLIN, DaysSpec((5,))), "Europe/Berlin"), "2027-03-27T02:30", ["excluded"]),
        (BERLIN, "2027-03-27T01:30+00:00", ["fired"]),
        (BERLIN, "2027-03-20T02:30", ["not_defined"]),
        (BERLIN, "2027-04-20T02:30", ["to_come"]),
    ],
)
def test_a_time_of_a_schedule_says_what_the_clocks_and_the_rules_made_of_it(
    spec: ScheduleSpec, time: str, expected: list[str]
) -> None:
    world = World(at("2027-03-25T12:00"))
    world.put(spec=spec, overlap="allow")
    for _ in range(6):
        world.pass_time(DAY // 2)
        world.pass_time(DAY // 2)
    assert codes(asked(world)(time)) == expected


def test_a_schedule_that_was_ahead_of_the_clock_says_so_and_what_to_do() -> None:
    world = World()
    world.put()
    world.pass_time(400 * DAY)
    assert codes(asked(world)()) == ["next"]
    world.now_us -= 400 * DAY
    world.settle()
    ahead, following = asked(world)().reasons
    assert (ahead.code, following.code) == ("clock_set_back", "next")
    assert ahead.until == as_datetime(START + 400 * DAY)
    assert following.until == as_datetime(START + 400 * DAY + HOUR)
    world.send(RemoveSchedule("report"))
    world.put()
    (following,) = asked(world)().reasons
    assert following.until == as_datetime(START + HOUR)


def test_a_schedule_that_begins_later_is_not_taken_for_one_that_was_ahead() -> None:
    world = World()
    world.put(start_us=START + 10 * DAY)
    (following,) = asked(world)().reasons
    assert (following.code, following.until) == ("next", as_datetime(START + 10 * DAY))


def test_the_time_that_the_clocks_skip_says_its_policy_and_when_it_fired_instead() -> None:
    world = World(at("2027-03-27T12:00"))
    world.put(spec=BERLIN)
    world.wake()
    gap, fired = asked(world)("2027-03-28T02:30").reasons
    assert gap.text == (
        "2027-03-28T02:30:00 is in a gap of Europe/Berlin: the clocks skip it; policy shift_forward"
    )
    assert fired.text == (
        "2027-03-28T03:00:00+02:00 (by gap.shift_forward) fired at 2027-03-28T01:00:00Z "
        f"as job:s1.{at('2027-03-28T01:00')}"
    )


def test_the_time_that_comes_twice_says_which_of_them_counts() -> None:
    world = World(at("2027-10-30T12:00"))
    world.put(spec=BERLIN)
    world.wake()
    ask = asked(world)
    assert codes(ask("2027-10-31T02:30")) == ["fold", "fired"]
    assert codes(ask("2027-10-31T01:30+00:00")) == ["fold", "left_out"]


def test_a_schedule_without_a_time_says_what_it_waits_for() -> None:
    world = World()
    world.put(overlap="queue")
    assert codes(asked(world)()) == ["next"]
    world.pass_time(HOUR)
    world.pass_time(HOUR)
    assert codes(asked(world)()) == ["overlap", "next"]
    world.send(PauseSchedule("report"))
    assert codes(asked(world)()) == ["schedule_paused"]
    deferred, dropped = asked(world)(as_datetime(START + 2 * HOUR)).reasons
    assert (deferred.code, dropped.code) == ("deferred", "skipped_dropped")
    assert dropped.text.endswith("dropped (pause)")
    world.send(RemoveSchedule("report"))
    assert (codes(asked(world)()), asked(world)().status) == (["removed"], "REMOVED")
    with pytest.raises(InputError, match="expected a time"):
        asked(world)("tomorrow")


SPECS = (
    CronSpec("*/10 * * * *", timezone="Europe/Berlin"),
    CronSpec("15,45 1-3 * * *", timezone="Europe/Berlin", gap="preserve_offset", fold="both"),
    CronSpec("30 2 * * *", timezone="America/New_York"),
)
BECAME = {
    "fired",
    "deferred",
    "skipped_missed",
    "skipped_overlap",
    "skipped_dropped",
    "schedule_paused",
    "replaced",
    "not_served",
}


@pytest.mark.parametrize("seed", range(scaled("schedule_reasons", 40)))
def test_every_instant_of_a_random_life_has_one_story_and_fired_means_fired(seed: int) -> None:
    random = Random(seed)
    world = World(at("2026-03-28T20:00"))
    catch_up, overlap = random.choice(CATCH_UPS), random.choice(OVERLAPS)
    world.put(spec=random.choice(SPECS), catch_up=catch_up, overlap=overlap, limit=3)
    begun_us = world.now_us
    for _ in range(40):
        what = random.randrange(8)
        if what < 4:
            world.pass_time(random.choice((MINUTE, 10 * MINUTE, HOUR, 5 * HOUR)))
        elif what == 4:
            world.end_all()
        elif what == 5:
            world.send(random.choice((PauseSchedule, ResumeSchedule))("report"))
        elif what == 6:
            world.scheduling = not world.scheduling
        else:
            world.restart()
    schedule, ask = world.state.schedules["report"], asked(world)
    fired = {event.scheduled_us for event in world.full if isinstance(event, ScheduleFired)}
    total = count_fires(schedule.spec, begun_us, world.now_us)
    for firing in next_fires(schedule.spec, begun_us, min(total, 60)):
        found = set(codes(ask(as_datetime(firing.at_us)))) - {"fold"}
        assert found <= BECAME
        assert ("fired" in found) == (firing.at_us in fired)
        assert len(found) == 1 or found in ({"deferred", "fired"}, {"deferred", "skipped_dropped"})
        if "not_served" in found:
            assert firing.at_us > schedule.cursor_us
