"""Running a workflow in one call of the engine, in a session or out of one."""

from __future__ import annotations

import pytest

from logistics import OrchestrationEngine, UnknownIdError, WorkflowManager, WorkflowNotFoundError


def double(number: int) -> int:
    return 2 * number


def fail() -> None:
    msg = "no"
    raise ValueError(msg)


def test_a_success_is_returned_as_plain_data() -> None:
    with OrchestrationEngine(":memory:") as engine:
        WorkflowManager(engine).create("w").add_step("double", double)
        answer = engine.execute_workflow("w", number=4)
        assert (answer["success"], answer["result"], answer["error"]) == (True, 8, None)
        assert answer["execution_time"] > 0


def test_a_failure_is_returned_not_raised() -> None:
    with OrchestrationEngine(":memory:") as engine:
        WorkflowManager(engine).create("w").add_step("fail", fail)
        answer = engine.execute_workflow("w")
        assert answer["success"] is False
        assert "step 'fail' failed: ValueError: no" in answer["error"]


def test_a_session_lends_a_place_and_has_it_back() -> None:
    with OrchestrationEngine(":memory:") as engine:
        WorkflowManager(engine).create("w").add_step("double", double)
        session = engine.create_session(max_parallel_workflows=1)
        for number in range(3):
            assert engine.execute_workflow("w", session, number=number)["result"] == 2 * number


def test_what_is_not_there_is_an_error() -> None:
    with OrchestrationEngine(":memory:") as engine:
        with pytest.raises(WorkflowNotFoundError):
            engine.execute_workflow("none")
        WorkflowManager(engine).create("w").add_step("double", double)
        with pytest.raises(UnknownIdError, match="no session 'none'"):
            engine.execute_workflow("w", "none", number=1)
