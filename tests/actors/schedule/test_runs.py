"""Firings that are runs of a workflow: one run each at most, and a schedule knows when it is over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.queue.specs import NOTE_VALUE
from actors.schedule.messages import (
    BackfillSchedule,
    JobTemplate,
    Policies,
    RemoveSchedule,
    ScheduleClosed,
    SchedulePut,
    TriggerSchedule,
)
from actors.workflow.messages import CancelOwnedRun, RunEnded, StartRun
from actors.workflow.specs import Plan, PlanStep
from tests.actors.schedule.world import HOUR, HOURLY, START, World

TARGET = JobTemplate("workflow:nightly", b"arguments", workflow="nightly")
PLAN = Plan("nightly", (PlanStep("s", "m:f", b"\x92\x90\x80", ()),))
FIRST, SECOND_ = f"s1.{START + HOUR}", f"s1.{START + 2 * HOUR}"
OWNER = "schedule:report"


def planned(run_id: str = "") -> StartRun:
    return StartRun(run_id=run_id, plan=PLAN, plan_id="p", params=b"\x80", blocking=False)


NOTE = NOTE_VALUE + msgspec.msgpack.encode(planned())


def begun(run_id: str) -> StartRun:
    return msgspec.structs.replace(planned(run_id), owner=OWNER)


def fired(**policies: Any) -> World:
    """A world whose schedule has fired once."""
    world = World()
    world.put(target=TARGET, **policies)
    world.pass_time(HOUR)
    world.check()
    return world


def run_ended(world: World, run_id: str, status: str = "COMPLETED", refusal: str = "") -> None:
    world.send(RunEnded(run_id=run_id, status=status, ended_us=world.now_us, refusal=refusal))
    world.check()


def test_a_firing_asks_for_a_job_that_plans_its_run() -> None:
    world = fired()
    (job,) = world.jobs.values()
    assert (job.job_id, job.function, job.owner) == (FIRST, "workflow:nightly", OWNER)
    assert job.work is not None
    assert job.work.gives == "run"
    assert world.runs_told == []


def test_when_it_is_planned_the_run_begins_under_the_id_of_the_firing_and_the_firing_is_not_over() -> None:
    world = fired()
    world.end(FIRST, note=NOTE)
    assert world.runs_told == [begun(FIRST)]
    assert world.events(ScheduleClosed) == []
    world.check()


def test_the_end_of_the_run_is_the_end_of_the_firing() -> None:
    world = fired()
    world.end(FIRST, note=NOTE)
    run_ended(world, FIRST, "FAILED")
    assert world.events(ScheduleClosed) == [ScheduleClosed("report", FIRST, "FAILED", START + HOUR)]
    run_ended(world, FIRST, "FAILED")
    assert len(world.events(ScheduleClosed)) == 1


def test_after_a_crash_everything_is_asked_again_until_the_end_is_known() -> None:
    world = fired()
    world.end(FIRST, note=NOTE)
    assert world.restart() == [FIRST]
    world.end(FIRST, note=NOTE)
    assert world.runs_told == [begun(FIRST), begun(FIRST)]
    run_ended(world, FIRST)
    assert world.restart() == []


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_a_run_that_could_not_be_planned_is_a_firing_that_has_ended(status: str) -> None:
    world = fired()
    world.end(FIRST, status)
    assert world.runs_told == []
    assert world.events(ScheduleClosed) == [ScheduleClosed("report", FIRST, status, START + HOUR)]


def test_a_refusal_is_on_record() -> None:
    world = fired()
    world.end(FIRST, note=NOTE)
    run_ended(world, FIRST, "FAILED", "run id is on record for another run")
    (closed,) = world.events(ScheduleClosed)
    assert isinstance(closed, ScheduleClosed)
    assert closed.refusal == "run id is on record for another run"


@pytest.mark.parametrize("note", [b"", NOTE_VALUE, NOTE_VALUE + b"\x01", NOTE[:-3]])
def test_a_plan_that_cannot_be_read_closes_the_firing_with_the_reason(note: bytes) -> None:
    world = fired()
    world.end(FIRST, note=note)
    (closed,) = world.events(ScheduleClosed)
    assert isinstance(closed, ScheduleClosed)
    assert (closed.status, world.runs_told) == ("FAILED", [])
    assert "cannot be read" in closed.refusal


@pytest.mark.parametrize(
    ("overlap", "kind"),
    [("skip", "ScheduleSkipped"), ("queue", "ScheduleDeferred"), ("queue_all", "ScheduleDeferred")],
)
def test_a_firing_overlaps_the_run_before_it_until_that_is_over(overlap: str, kind: str) -> None:
    world = fired(overlap=overlap)
    world.end(FIRST, note=NOTE)
    assert [type(event).__name__ for event in world.pass_time(HOUR)] == [kind]
    world.check()
    run_ended(world, FIRST)
    assert (SECOND_ in world.jobs) is (kind == "ScheduleDeferred")


def test_runs_may_be_allowed_to_overlap() -> None:
    world = fired(overlap="allow")
    world.end(FIRST, note=NOTE)
    world.pass_time(HOUR)
    world.end(SECOND_, note=NOTE)
    assert world.runs_told == [begun(FIRST), begun(SECOND_)]


def test_the_run_before_is_cancelled_through_its_job_whatever_has_become_of_that() -> None:
    world = fired(overlap="cancel_previous")
    world.end(FIRST, note=NOTE)
    world.pass_time(HOUR)
    assert world.cancelled == [FIRST]
    world.end(FIRST, note=NOTE)  # the queue's answer: it was over
    assert world.runs_told == [begun(FIRST), CancelOwnedRun(run_id=FIRST, owner=OWNER)]
    world.restart()
    world.end(FIRST, note=NOTE)
    assert world.runs_told[-1] == CancelOwnedRun(run_id=FIRST, owner=OWNER)
    run_ended(world, FIRST, "CANCELLED")
    assert [event.job_id for event in world.events(ScheduleClosed) if isinstance(event, ScheduleClosed)] == [
        FIRST
    ]


def test_a_run_that_is_cancelled_before_it_is_planned_does_not_begin() -> None:
    world = fired(overlap="cancel_previous")
    world.pass_time(HOUR)
    world.end(FIRST, "CANCELLED")
    assert world.runs_told == []
    assert len(world.events(ScheduleClosed)) == 1


def test_a_run_goes_on_when_its_schedule_is_removed_or_fires_something_else() -> None:
    world = fired()
    world.put(target=JobTemplate("m:f", b""))
    world.check()
    world.end(FIRST, note=NOTE)
    world.send(RemoveSchedule(name="report"))
    world.restart()
    world.end(FIRST, note=NOTE)
    assert world.runs_told == [begun(FIRST), begun(FIRST)]
    run_ended(world, FIRST)


def test_triggers_and_backfills_are_runs_too() -> None:
    world = fired()
    world.end(FIRST, note=NOTE)
    world.send(TriggerSchedule(name="report", trigger_id="t"))
    world.send(BackfillSchedule(name="report", from_us=START - HOUR, to_us=START))
    jobs = [FIRST, "t", f"s1.{START - HOUR}", f"s1.{START}"]
    assert list(world.jobs) == jobs
    for job_id in jobs[1:]:
        world.end(job_id, note=NOTE)
    assert world.runs_told == [begun(job_id) for job_id in jobs]
    world.check()


def test_word_of_a_run_closes_no_firing_that_is_a_job() -> None:
    world = World()
    world.put()
    world.pass_time(HOUR)
    run_ended(world, FIRST)
    assert world.events(ScheduleClosed) == []


def test_a_template_from_before_there_were_runs_is_one_of_a_job() -> None:
    put = SchedulePut("report", "s1", HOURLY, JobTemplate("m:f", b""), Policies(), START)
    old = msgspec.msgpack.encode(msgspec.to_builtins(put.target, builtin_types=(bytes,))[:-1])
    assert msgspec.msgpack.decode(old, type=JobTemplate) == put.target
