"""Sessions: durable, described whole, with limits, and what is given back when they are closed."""

from __future__ import annotations

import json
import math
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.clock import VirtualClock
from logistics.errors import ConflictingIdError, InputError, PayloadError, UnknownIdError
from logistics.inputs import MAX_DURATION_S
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.resource_manager import ResourceManager
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.session import OrchestrationSession, SessionMode
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals
from tests.logistics.orchestration.test_resource_manager import Call, used

NAMES = st.text("abcäö _-", min_size=1, max_size=20).filter(str.strip)
INSTANTS = st.none() | st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "session_id": st.text("abc0:._-", min_size=1, max_size=20),
            "name": NAMES,
            "description": st.text(max_size=20).filter(lambda text: "\x00" not in text),
            "user_id": NAMES,
            "mode": st.sampled_from(SessionMode),
            "max_parallel_tasks": st.integers(1, 100),
            "max_parallel_workflows": st.integers(1, 100),
            "timeout_seconds": st.none() | st.integers(1, MAX_DURATION_S) | st.floats(0.001, 1e6),
            "resource_requirements": st.dictionaries(NAMES, st.floats(0.1, 100)),
            "metadata": st.dictionaries(st.text(max_size=5), JSON, max_size=3),
            "created_at": INSTANTS,
            "started_at": INSTANTS,
            "updated_at": INSTANTS,
            "completed_at": INSTANTS,
            "status": st.sampled_from(["ACTIVE", "COMPLETED"]),
        },
    )
)
def test_a_session_round_trips_whole_also_through_json(described: dict[str, Any]) -> None:
    session = OrchestrationSession(**described)
    data = session.to_dict()
    assert OrchestrationSession.from_dict(data) == session
    assert OrchestrationSession.from_dict(json.loads(json.dumps(data))) == session
    assert OrchestrationSession.from_dict(json.loads(json.dumps(data))).to_dict() == data


def test_a_session_has_the_attributes_of_the_specification_and_its_defaults() -> None:
    data = OrchestrationSession(session_id="s").to_dict()
    assert data == {
        "session_id": "s",
        "name": "",
        "description": "",
        "user_id": "system",
        "mode": "PARALLEL",
        "max_parallel_tasks": 4,
        "max_parallel_workflows": 2,
        "timeout_seconds": None,
        "resource_requirements": {},
        "metadata": {},
        "created_at": None,
        "started_at": None,
        "updated_at": None,
        "completed_at": None,
        "status": "ACTIVE",
    }


def test_a_session_is_on_record_over_restarts(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        before = datetime.now(UTC)
        session_id = engine.create_session("ada", name="experiments", metadata={"tags": ["a"]})
        session = engine.get_session(session_id)
        assert session is not None
        assert (session.user_id, session.name, session.metadata) == ("ada", "experiments", {"tags": ["a"]})
        assert session.status == "ACTIVE"
        assert session.completed_at is None
        assert session.created_at is not None
        assert before <= session.created_at <= datetime.now(UTC)
        assert session.created_at == session.started_at == session.updated_at
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert engine.get_session(session_id) == session
        assert engine.close_session(session_id) is True
        assert engine.close_session(session_id) is False
    with OrchestrationEngine(tmp_path / "store") as engine:
        closed = engine.get_session(session_id)
        assert closed is not None
        assert closed.status == "COMPLETED"
        assert closed.completed_at == closed.updated_at
        assert closed.completed_at is not None
        assert closed.completed_at >= session.created_at
        assert engine.close_session(session_id) is False


def test_what_is_unknown_is_none_or_false(engine: OrchestrationEngine) -> None:
    assert engine.get_session("never") is None
    assert engine.close_session("never") is False


def test_an_id_of_one_s_own_makes_one_session(engine: OrchestrationEngine) -> None:
    for _ in range(2):
        assert engine.create_session("ada", session_id="mine") == "mine"
    with pytest.raises(ConflictingIdError, match="session id 'mine' is on record for another session"):
        engine.create_session("bob", session_id="mine")


def test_closing_gives_back_what_is_held_and_waited_for(engine: OrchestrationEngine) -> None:
    resources = ResourceManager(engine=engine)
    resources.add_resource("gpu", "device", 2)
    needs = {"gpu": 1}
    session = engine.get_session(engine.create_session(resource_requirements=needs))
    assert session is not None
    assert resources.allocate_all(session.session_id, session.resource_requirements) is not None
    assert resources.allocate("gpu", "somebody else") is not None
    requested = threading.Event()
    engine.subscribe("resource.requested", lambda _event, _position: requested.set())
    waiter = Call(lambda: resources.allocate("gpu", session.session_id, timeout=None))
    assert requested.wait(WAIT_S)
    engine.close_session(session.session_id)
    assert waiter.outcome() is None
    assert used(resources) == (1, 0)


# -- limits ----------------------------------------------------------------------------------------------


def statuses(runs: list[WorkflowRun]) -> list[str]:
    return [str(run.status) for run in runs]


def test_no_more_runs_are_under_way_than_the_session_allows_and_they_begin_in_order(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    session_id = engine.create_session(max_parallel_workflows=1)
    manager = WorkflowManager(engine, session_id=session_id)
    manager.create("held").add_step("hold", steps.hold)
    manager.create("w").add_step("noted", steps.noted)
    runs = [manager.start(name) for name in ("held", "w", "w")]
    assert signals.begun.wait(WAIT_S)
    assert statuses(runs) == ["RUNNING", "PENDING", "PENDING"]
    assert [step.status for step in runs[1].timeline()] == ["PENDING"]
    outside = WorkflowManager(engine).start("w")
    assert outside.result(WAIT_S).success, "it is of no session"
    signals.go_on.set()
    results = [run.result(WAIT_S) for run in runs]
    assert all(results)
    begun = [entry.position for run in runs[1:] for entry in run.history() if entry.event == "run.begun"]
    assert begun == sorted(begun)
    ended = [result.ended_at for result in results]
    assert ended == sorted(ended)
    assert [run.run_id for run in manager.list_runs(session_id=session_id)] == [
        run.run_id for run in reversed(runs)
    ]
    assert runs[0].session_id == session_id
    assert outside.session_id is None


def test_no_more_calls_run_at_one_time_than_the_session_allows(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    for described, most in (({"max_parallel_tasks": 2}, 2), ({"mode": "SEQUENTIAL"}, 1)):
        session_id = engine.create_session(max_parallel_workflows=3, **described)
        manager = WorkflowManager(engine, session_id=session_id)
        manager.create("w").add_step("extract", steps.extract)
        manager.get_workflow("w").add_step("busy", steps.is_busy, map_over="extract")  # type: ignore[union-attr]
        results = [run.result(WAIT_S) for run in [manager.start("w") for _ in range(3)]]
        seen = [count for result in results for count in result["busy"]]
        assert 1 <= max(seen) <= most
    assert ResourceManager(engine=engine).list_resources() == [], "the engine's own"


def test_waiting_for_a_place_is_durable(tmp_path: Path, signals: Signals) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        session_id = engine.create_session(max_parallel_workflows=1)
        manager = WorkflowManager(engine, session_id=session_id)
        manager.create("w").add_wait("approval")
        runs = [manager.start("w").run_id for _ in range(2)]
    with OrchestrationEngine(tmp_path / "store") as engine:
        first, second = (WorkflowManager(engine).get_run(run_id) for run_id in runs)
        assert first is not None
        assert second is not None
        assert statuses([first, second]) == ["WAITING", "PENDING"]
        second.signal("approval", 2)
        first.signal("approval", 1)
        assert (first.result(WAIT_S).output, second.result(WAIT_S).output) == (1, 2)


def test_a_pending_run_can_be_paused_resumed_and_cancelled(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    manager = WorkflowManager(engine, session_id=engine.create_session(max_parallel_workflows=1))
    manager.create("held").add_step("hold", steps.hold)
    manager.create("w").add_step("one", steps.one)
    manager.get_workflow("w").add_finally("last", steps.two)  # type: ignore[union-attr]
    runs = [manager.start(name) for name in ("held", "w", "w")]
    for told in (runs[1].pause, runs[1].resume):
        told()
        assert statuses(runs[1:]) == ["PENDING", "PENDING"]
    assert runs[1].cancel()
    cancelled = runs[1].result(WAIT_S)
    assert (cancelled.status, cancelled.outputs) == ("CANCELLED", {"last": 2})
    signals.go_on.set()
    assert runs[2].result(WAIT_S).success


def test_a_session_whose_time_is_over_is_closed_with_all_that_is_under_way_in_it(signals: Signals) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        resources = ResourceManager(engine=engine)
        resources.add_resource("gpu", "device", 1)
        session_id = engine.create_session(max_parallel_workflows=1, timeout_seconds=60)
        assert resources.allocate("gpu", session_id) is not None
        manager = WorkflowManager(engine, session_id=session_id)
        manager.create("w").add_wait("approval")
        runs = [manager.start("w") for _ in range(2)]
        released = threading.Event()
        engine.subscribe("resource.released", lambda _event, _position: released.set())
        clock.advance(61_000_000)
        engine.store.runtime.nudge("supervisor")
        results = [run.result(WAIT_S) for run in runs]
        assert [result.error for result in results] == ["it was cancelled; its session's time is over"] * 2
        assert released.wait(WAIT_S)
        assert used(resources) == (0, 0)
        session = engine.get_session(session_id)
        assert session is not None
        assert (session.status, engine.close_session(session_id)) == ("COMPLETED", False)


def test_closing_cancels_what_waits_for_a_place_and_lets_the_others_end(
    engine: OrchestrationEngine, signals: Signals
) -> None:
    session_id = engine.create_session(max_parallel_workflows=1)
    manager = WorkflowManager(engine, session_id=session_id)
    manager.create("held").add_step("hold", steps.hold)
    manager.create("w").add_step("one", steps.one)
    first, second = manager.start("held"), manager.start("w")
    engine.close_session(session_id)
    result = second.result(WAIT_S)
    assert (result.status, result.error) == (
        "CANCELLED",
        "it was cancelled; its session was closed before it had begun",
    )
    signals.go_on.set()
    assert first.result(WAIT_S).success
    with pytest.raises(InputError, match=f"session {session_id!r} is COMPLETED"):
        manager.run("w")
    with pytest.raises(UnknownIdError, match="no session 'never' on record"):
        WorkflowManager(engine, session_id="never").run("w")


def test_a_run_done_again_is_of_the_same_project_and_of_the_session_while_that_is_open(
    engine: OrchestrationEngine, tmp_path: Path
) -> None:
    ProjectManager(tmp_path / "projects", engine=engine).create_project("models")
    session_id = engine.create_session()
    manager = WorkflowManager(engine, session_id=session_id, project="models")
    manager.create("w").add_step("one", steps.one)
    run = manager.start("w")
    assert run.result(WAIT_S).success
    again = run.restart("one")
    assert (again.session_id, again.project) == (session_id, "models")
    assert again.result(WAIT_S).success
    engine.close_session(session_id)
    later = run.restart("one")
    assert (later.session_id, later.project) == (None, "models")
    assert later.result(WAIT_S).success


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ({"nmae": "a"}, "^session: there is no option 'nmae', did you mean 'name'"),
        ({"colour": "red"}, "^session: there is no option 'colour', expected session_id, name, .*"),
        ({"status": "COMPLETED"}, "no option 'status', expected"),
        ({"created_at": datetime.now(UTC)}, "no option 'created_at', expected"),
        ({"session_id": "a b"}, "^session_id: expected 1 to 200 of the characters"),
        ({"name": "a\nb"}, "^name: expected 1 to 200 characters"),
        ({"name": None}, "^name: expected a name, got None"),
        ({"description": 7}, "^description: expected a text"),
        ({"mode": "RANDOM"}, "^mode: expected one of PARALLEL, SEQUENTIAL, got 'RANDOM'$"),
        ({"max_parallel_tasks": 0}, "^max_parallel_tasks: expected a whole number from 1 to 10000, got 0"),
        ({"max_parallel_workflows": True}, "^max_parallel_workflows: .* got True"),
        ({"timeout_seconds": 0}, "^timeout_seconds: expected "),
        ({"timeout_seconds": math.nan}, "^timeout_seconds: expected seconds or a timedelta, got nan"),
        ({"resource_requirements": ["gpu"]}, "^resource_requirements: expected a mapping"),
        (
            {"resource_requirements": {"gpu": -1}},
            "^resource_requirements: amount of 'gpu': expected a number",
        ),
        ({"metadata": []}, "^metadata: expected a mapping with text as keys, got "),
        ({"metadata": {1: 2}}, "^metadata: expected a mapping with text as keys, got "),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_session_says_what_is_wrong_with_it(
    engine: OrchestrationEngine, described: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        engine.create_session(**described)


def test_metadata_is_plain_data(engine: OrchestrationEngine) -> None:
    with pytest.raises(PayloadError, match=r"\['lock'\]: lock cannot be stored"):
        engine.create_session(metadata={"lock": threading.Lock()})


def test_who_it_is_for_is_a_name(engine: OrchestrationEngine) -> None:
    with pytest.raises(InputError, match=r"^user_id: "):
        engine.create_session("")


def test_what_is_read_back_is_checked() -> None:
    data = OrchestrationSession(session_id="s").to_dict()
    for wrong, text in (
        ({"colour": "red"}, "no option 'colour', expected"),
        ({"status": "BROKEN"}, "^status: expected one of ACTIVE, COMPLETED, got 'BROKEN'$"),
        ({"created_at": "yesterday"}, "^created_at: expected an instant in ISO 8601, got 'yesterday'$"),
        ({"created_at": "2026-01-01T00:00"}, "^created_at: .* has no zone"),
        ({"created_at": 7}, "^created_at: expected an aware datetime, got 7$"),
    ):
        with pytest.raises(InputError, match=text):
            OrchestrationSession.from_dict(data | wrong)


def test_a_timeout_may_be_a_timedelta() -> None:
    given_as: Any = timedelta(minutes=1)
    assert OrchestrationSession(timeout_seconds=given_as).timeout_seconds == 60.0
