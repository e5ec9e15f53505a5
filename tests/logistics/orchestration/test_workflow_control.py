"""Waiting, signals, pausing, running again from a step, compensation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from actors.runtime.clock import VirtualClock
from actors.runtime.errors import InputError, UnknownIdError
from actors.workflow.specs import RunStatus
from logistics.errors import RunNotFoundError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals


@dataclass
class Decision:
    approved: bool
    comment: str = ""


def approval(manager: WorkflowManager, **more: object) -> WorkflowRun:
    workflow = manager.create("w").add_step("one", steps.one)
    workflow.add_wait("approval", **more)  # type: ignore[arg-type]
    workflow.add_step("ship", steps.give_approval)
    return manager.start("w")


def wait_for(run: WorkflowRun, status: RunStatus) -> None:
    while run.status is not status:
        pass


# --- waiting ----------------------------------------------------------------------------------------------


def test_a_step_waits_for_a_signal_and_gives_its_payload(manager: WorkflowManager) -> None:
    run = approval(manager, schema={"approved": "bool", "comment": "str?"})
    wait_for(run, RunStatus.WAITING)
    assert run.steps["approval"].status == "WAITING"
    run.signal("approval", {"approved": True})
    assert run.result(WAIT_S).output == {"approved": True}


def test_a_signal_may_come_first(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("hold", steps.hold).add_wait("approval").add_step(
        "ship", steps.give_approval
    )
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    run.signal("approval", 7)
    run.signal("approval", 7)
    signals.go_on.set()
    assert run.result(WAIT_S).output == 7


def test_a_signal_that_does_not_fit_changes_nothing(manager: WorkflowManager) -> None:
    run = approval(manager, schema=Decision)
    with pytest.raises(InputError, match=r"'approved' \(bool\) is missing"):
        run.signal("approval", {})
    with pytest.raises(InputError, match="'approved': expected bool, got 1; 'comment': expected str, got 2"):
        run.signal("approval", {"approved": 1, "comment": 2})
    with pytest.raises(InputError, match="'more' is no field"):
        run.signal("approval", {"approved": True, "more": 2})
    with pytest.raises(UnknownIdError, match="no step 'one' that waits for a signal"):
        run.signal("one", {})
    run.signal("approval", Decision(approved=False))
    with pytest.raises(RunNotFoundError if run.result(WAIT_S) else InputError, match="has ended"):
        run.signal("approval", {"approved": True})


def test_another_value_for_the_same_step_is_refused(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("hold", steps.hold).add_wait("approval")
    run = manager.start("w")
    run.signal("approval", 1)
    with pytest.raises(InputError, match="got another value already"):
        run.signal("approval", 2)
    signals.go_on.set()
    assert run.result(WAIT_S).output == 1


def test_a_signal_that_does_not_come_in_time_fails_the_step() -> None:
    clock = VirtualClock()
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        run = approval(WorkflowManager(engine), timeout=timedelta(days=3))
        wait_for(run, RunStatus.WAITING)
        clock.advance(3 * 86_400 * 1_000_000 - 2_000_000)
        assert run.status is RunStatus.WAITING
        clock.advance(2_000_000)
        engine.store.runtime.nudge("clock")
        assert "step 'approval' failed: no signal came within 3 days" in str(run.result(WAIT_S).error)


def test_a_timer_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(tmp_path / "store", clock=clock) as engine:
        manager = WorkflowManager(engine)
        manager.create("w").add_wait("days", timedelta(days=3)).add_step("one", steps.one)
        run_id = manager.start("w").run_id
    clock.advance(3 * 86_400 * 1_000_000)
    with OrchestrationEngine(tmp_path / "store", clock=clock) as engine:
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        assert run.result(WAIT_S).output == 1


@pytest.mark.parametrize("more", [{"span": 0}, {"span": 0.001}, {"span": 0, "when": "1 == 1"}])
def test_a_short_wait_ends_by_itself(manager: WorkflowManager, more: dict[str, object]) -> None:
    manager.create("w").add_wait("a", **more).add_wait("b", 0).add_step("one", steps.one)  # type: ignore[arg-type]
    assert manager.run("w").output == 1


def test_a_wait_whose_condition_does_not_hold_is_skipped(manager: WorkflowManager) -> None:
    manager.create("w").add_wait("a", when="false", required=False).add_step("one", steps.one)
    assert manager.run("w").output == 1


def test_what_a_wait_cannot_mean_is_refused(manager: WorkflowManager) -> None:
    workflow = manager.create("w")
    with pytest.raises(InputError, match="expected one of span, run and schema, got more"):
        workflow.add_wait("a", 1, schema={"x": "int"})
    with pytest.raises(InputError, match="a step that waits for a time ends by itself"):
        workflow.add_wait("a", 1, timeout=2)
    with pytest.raises(
        InputError, match="field 'x': expected one of str, int, float, bool, json, got 'date'"
    ):
        workflow.add_wait("a", schema={"x": "date"})


def test_a_call_that_takes_too_long_has_failed(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("held", steps.hold, timeout=0.05)
    workflow.add_step("after", steps.one)
    result = manager.run("w")
    signals.go_on.set()
    assert result.status is RunStatus.FAILED
    assert "step 'held' failed" in str(result.error)
    assert result.steps["after"].status == "SKIPPED"


def test_an_item_that_takes_too_long_has_failed(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w")
    workflow.add_step("held", steps.hold_item, map_over="params.numbers", depends_on=[], timeout=0.05)
    result = manager.run("w", numbers=[1, 2])
    signals.go_on.set()
    assert "2 of 2 items failed" in str(result.error)


# --- pausing ----------------------------------------------------------------------------------------------


def test_a_paused_run_begins_no_step_until_it_is_resumed(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("hold", steps.hold)
    workflow.add_step("after", steps.one).add_wait("word").add_finally("tidy", steps.noted)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    run.pause()
    run.pause()
    signals.go_on.set()
    while run.steps["hold"].status != "COMPLETED":
        pass
    assert run.status is RunStatus.PAUSED
    assert run.steps["after"].status == "PENDING"
    run.resume()
    run.resume()
    run.signal("word")
    assert run.result(WAIT_S).success


def test_a_run_that_has_ended_cannot_be_controlled(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one)
    run = manager.start("w")
    run.result(WAIT_S)
    position = manager.engine.get_system_status()["position"]
    for control in (run.pause, run.resume, lambda: run.signal("x"), lambda: run.signal("one")):
        with pytest.raises(RunNotFoundError, match="has ended: it is COMPLETED"):
            control()
    assert run.cancel() is False
    with pytest.raises(InputError, match="has succeeded; name the step to begin with"):
        _ = run.retry()
    assert manager.engine.get_system_status()["position"] == position


# --- again ------------------------------------------------------------------------------------------------


def test_a_failed_run_is_retried_from_the_failed_step(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step("double", steps.double, map_over="extract")
    workflow.add_step("book", steps.book, depends_on=[]).add_wait("approval")
    workflow.add_step("last", steps.fail_once, depends_on=["double", "approval"])
    workflow.add_step("all", steps.got, kwargs={"x": 1})
    first = manager.start("w")
    first.signal("approval", "yes")
    assert first.result(WAIT_S).status is RunStatus.FAILED
    again = first.retry()
    result = again.result(WAIT_S)
    assert again.origin == first.run_id
    assert result.success
    assert result["double"] == [2, 4, 6]
    assert result["approval"] == "yes"
    assert {name for name, step in result.steps.items() if step.kept_from == first.run_id} == {
        "extract",
        "double",
        "book",
        "approval",
    }
    third = again.restart("all").result(WAIT_S)
    assert third["double"] == [2, 4, 6]
    assert third.steps["last"].kept_from == again.run_id
    assert third.steps["double"].kept_from == first.run_id
    assert signals.calls.count("book") == 1


def test_a_restart_does_again_what_depends_on_the_step(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("a", steps.noted).add_step("b", steps.noted)
    workflow.add_step("c", steps.noted, depends_on=["a"]).add_step("d", steps.noted, depends_on=["b", "c"])
    first = manager.run("w")
    run = manager.get_run(first.run_id)
    assert run is not None
    run.restart("b").result(WAIT_S)
    assert sorted(signals.calls[4:]) == ["b", "d"]
    with pytest.raises(UnknownIdError, match="has no step 'x'"):
        _ = run.restart("x")


def test_a_live_run_cannot_be_forked(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("hold", steps.hold)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    with pytest.raises(InputError, match="has not ended; cancel it"):
        _ = run.restart("hold")


def test_what_a_condition_has_skipped_is_skipped_again_and_what_joined_it_is_kept(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    workflow.add_step("never", steps.two, when="{{one.output}} == 2", required=False)
    workflow.add_step("join", steps.give_never).add_step("last", steps.fail_once)
    first = manager.start("w")
    first.result(WAIT_S)
    result = first.retry().result(WAIT_S)
    assert result.success
    assert result.steps["join"].kept_from == first.run_id
    assert result.steps["never"].status == "SKIPPED"


def test_a_fork_of_a_run_with_children_keeps_theirs(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("inner").add_step("one", steps.one)
    manager.create("outer").add_workflow("inner", "inner").add_step("bad", steps.fail_once)
    first = manager.start("outer")
    first.result(WAIT_S)
    result = first.retry().result(WAIT_S)
    assert result.outputs == {"inner": 1, "bad": "done"}
    again = first.restart("inner").result(WAIT_S)
    assert again.outputs == {"inner": 1, "bad": "done"}


# --- compensation -----------------------------------------------------------------------------------------


def booking(manager: WorkflowManager) -> None:
    workflow = manager.create("trip")
    workflow.add_step("book", steps.book, compensate=steps.unbook)
    workflow.add_step("hotel", steps.book, compensate=steps.unbook_hotel)
    workflow.add_finally("tidy", steps.noted)


def test_what_was_done_is_undone_in_reverse_if_the_run_fails(
    manager: WorkflowManager, signals: Signals
) -> None:
    booking(manager)
    trip = manager.get_workflow("trip")
    assert trip is not None
    trip.add_step("pay", steps.fail)
    result = manager.run("trip")
    assert result.status is RunStatus.FAILED
    assert signals.calls == ["book", "hotel", "fail", "undo hotel trip.hotel", "undo book trip.book", "tidy"]
    assert result.steps["hotel"].compensated is True


def test_nothing_is_undone_if_the_run_succeeds(manager: WorkflowManager, signals: Signals) -> None:
    booking(manager)
    assert manager.run("trip").success
    assert signals.calls == ["book", "hotel", "tidy"]


def test_what_was_done_is_undone_if_the_run_is_cancelled(manager: WorkflowManager, signals: Signals) -> None:
    booking(manager)
    trip = manager.get_workflow("trip")
    assert trip is not None
    trip.add_step("hold", steps.hold)
    run = manager.start("trip")
    assert signals.begun.wait(WAIT_S)
    assert run.cancel()
    signals.go_on.set()
    assert run.result(WAIT_S).status is RunStatus.CANCELLED
    assert signals.calls == ["book", "hotel", "hold", "undo hotel trip.hotel", "undo book trip.book", "tidy"]


def test_a_compensation_that_fails_is_told_and_the_others_are_done(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("trip").add_step("book", steps.book, compensate=steps.unbook)
    workflow.add_step("bad", steps.one, compensate=steps.fail_with_one, retry_delay=0)
    workflow.add_step("pay", steps.fail)
    result = manager.run("trip")
    assert "step 'pay' failed" in str(result.error)
    assert "step 'bad' could not be compensated: ValueError: no" in str(result.error)
    assert signals.calls[-1] == "undo book trip.book"
    assert result.steps["bad"].compensated is False


def test_a_retry_does_not_keep_what_was_undone(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("trip").add_step("one", steps.one)
    workflow.add_step("book", steps.book, compensate=steps.unbook).add_step("pay", steps.fail)
    first = manager.start("trip")
    first.result(WAIT_S)
    first.retry().result(WAIT_S)
    assert signals.calls == ["book", "fail", "undo book trip.book"] * 2


@pytest.mark.parametrize(
    ("policy", "taken", "undone"),
    [
        (None, ["1B"], ["undo ['seat 1A', 'seat 1C']"]),
        ("stop", ["1B"], ["undo ['seat 1A']"]),
        ("continue", ["1A", "1C"], ["undo ['seat 1B']"]),
        (None, ["1A", "1B", "1C"], []),
        (None, [], []),
    ],
)
def test_what_items_of_a_list_did_before_others_failed_is_undone(
    manager: WorkflowManager, signals: Signals, policy: str | None, taken: list[str], undone: list[str]
) -> None:
    workflow = manager.create("flight").add_step("seats", steps.seats)
    workflow.add_step(
        "booked",
        steps.book_seat,
        map_over="seats",
        parallel=1,
        on_failure=policy,
        compensate=steps.unbook_seats,
        depends_on=["seats"],
    )
    result = manager.run("flight", taken=taken)
    assert result.success == (not taken)
    assert [call for call in signals.calls if call.startswith("undo")] == undone
    assert result.steps["booked"].compensated is (True if undone else None)


def test_what_items_of_a_list_did_before_the_run_was_cancelled_is_undone(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("flight").add_step("seats", steps.seats)
    workflow.add_step(
        "booked", steps.hold_seat, map_over="seats", parallel=1, compensate=steps.unbook_seats_of
    )
    run = manager.start("flight", order="o-1")
    assert signals.begun.wait(WAIT_S)
    assert run.cancel()
    signals.go_on.set()
    assert run.result(WAIT_S).status is RunStatus.CANCELLED
    assert signals.calls == ["hold", "undo ['seat 1A'] of o-1"]


def test_what_items_did_is_undone_after_what_came_later_and_a_retry_does_all_of_them_again(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("flight").add_step("trip", steps.book, compensate=steps.unbook)
    workflow.add_step("seats", steps.seats)
    workflow.add_step(
        "booked", steps.book_seat, map_over="seats", compensate=steps.unbook_seats, depends_on=["seats"]
    )
    run = manager.start("flight", taken=["1C"])
    result = run.result(WAIT_S)
    assert result.steps["booked"].compensated is True
    assert next(call for call in signals.calls if call.startswith("undo")) == "undo ['seat 1A', 'seat 1B']"
    again = run.retry().result(WAIT_S)
    assert again.steps["booked"].kept_from is None
    assert signals.calls.count("undo ['seat 1A', 'seat 1B']") == 2
