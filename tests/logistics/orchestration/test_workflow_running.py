"""Workflows run: results are passed by rule, independent steps at once, failures stop what needs them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec
from actors.runtime.binding import BindingError
from actors.runtime.errors import EngineClosedError, InputError, PayloadError, WouldDeadlockError
from actors.runtime.naming import function_ref
from actors.workflow.specs import RunStatus, StepStatus
from logistics.errors import (
    GraphError,
    LogisticsError,
    RunFailedError,
    RunNotFoundError,
    UnknownIdError,
    WorkflowNotFoundError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.running import execute_workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import WAIT_S, Signals

# --- results are passed -----------------------------------------------------------------------------------


def test_a_chain_passes_results_by_name_and_by_being_the_only_one(manager: WorkflowManager) -> None:
    workflow = manager.create("pipeline")
    workflow.add_step("extract", steps.extract)
    workflow.add_step("transform", steps.transform)
    workflow.add_step("load", steps.load)
    result = manager.run("pipeline")
    assert result
    assert result.outputs == {"extract": [1, 2, 3], "transform": [2, 4, 6], "load": {"sum": 12}}
    assert result.output == result["load"] == {"sum": 12}


def test_a_run_parameter_fills_the_parameter_of_its_name_even_one_with_a_default(
    manager: WorkflowManager,
) -> None:
    manager.create("pipeline").add_step("extract", steps.extract).add_step("transform", steps.transform)
    assert manager.run("pipeline", factor=10).output == [10, 20, 30]
    assert manager.run("pipeline").output == [2, 4, 6]


def test_a_dependency_goes_before_a_run_parameter_of_its_name(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("year", steps.one).add_step("use", steps.with_year)
    workflow.add_step("root", steps.with_year, depends_on=[])
    assert manager.run("w", year=2027).outputs == {"year": 1, "use": 1, "root": 2027}


def test_positional_only_parameters_are_filled_in_their_order(manager: WorkflowManager) -> None:
    workflow = manager.create("w")
    workflow.add_step("two", steps.two).add_step("one", steps.one, depends_on=[])
    workflow.add_step("total", steps.total, depends_on=["two", "one"], kwargs={"extra": 10})
    workflow.add_step("half", steps.total, depends_on=["two"], args=[100])
    assert manager.run("w").outputs == {"two": 2, "one": 1, "total": 13, "half": 102}


def test_constants_come_before_everything_else(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("left", steps.one)
    workflow.add_step("sum", steps.add, args=[40], kwargs={"right": 2})
    assert manager.run("w").output == 42


def test_extra_constants_reach_functions_that_take_anything(manager: WorkflowManager) -> None:
    manager.create("w").add_step("a", steps.anything, args=(1, [2]), kwargs={"x": {"y": None}})
    assert manager.run("w").output == [[1, [2]], {"x": {"y": None}}]


def test_braces_in_constants_of_code_are_text(manager: WorkflowManager) -> None:
    manager.create("w").add_step("a", steps.anything, args=["{{a.output}}", "{{{{"])
    assert manager.run("w").output == [["{{a.output}}", "{{{{"], {}]


def test_ctx_gets_the_context_of_the_step(manager: WorkflowManager) -> None:
    manager.create("w").add_step("describe", steps.describe)
    result = manager.run("w")
    job_id = f"{result.run_id}.0"
    assert result.output == [result.run_id, job_id, 1, "w.describe", job_id]


def test_annotations_convert_what_is_passed_on(manager: WorkflowManager) -> None:
    manager.create("w").add_step("order", steps.place).add_step("ship", steps.ship)
    assert manager.run("w").output == ["Order", 7, 2027]


def test_async_functions_are_steps_too(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one).add_step("awaited", steps.awaited)
    assert manager.run("w").output == 2


def test_several_last_steps_give_a_dict_of_their_outputs(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("root", steps.nothing)
    workflow.add_step("a", steps.one, depends_on=["root"]).add_step("b", steps.two, depends_on=["root"])
    assert manager.run("w").output == {"a": 1, "b": 2}


def test_a_workflow_without_steps_completes(manager: WorkflowManager) -> None:
    manager.create("w")
    result = manager.run("w")
    assert (result.status, result.output, result.steps) == (RunStatus.COMPLETED, None, {})


# --- order ------------------------------------------------------------------------------------------------


def test_independent_steps_run_at_the_same_time(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w")
    for name in "abc":
        workflow.add_step(name, steps.meet, depends_on=[])
    workflow.add_step("last", steps.one, depends_on=["a", "b", "c"])
    assert manager.run("w").outputs == {"a": "met", "b": "met", "c": "met", "last": 1}


def test_dependencies_may_be_declared_before_their_steps(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("c", steps.noted, depends_on=["b", "a", "b"])
    workflow.add_step("b", steps.noted, depends_on={"a"})
    workflow.add_step("a", steps.noted, depends_on=[])
    assert manager.run("w")
    assert signals.calls == ["a", "b", "c"]


def test_two_runs_of_one_workflow_do_not_mix(manager: WorkflowManager) -> None:
    manager.create("w").add_step("year", steps.with_year)
    runs = [manager.start("w", year=year) for year in range(20)]
    assert [run.result(WAIT_S).output for run in runs] == list(range(20))


# --- failures ---------------------------------------------------------------------------------------------


def test_a_failure_skips_what_depends_on_it_and_nothing_else(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("bad", steps.fail)
    workflow.add_step("after", steps.one).add_step("later", steps.one, depends_on=["after"])
    workflow.add_step("other", steps.two, depends_on=[]).add_step("good", steps.nothing)
    result = manager.run("w")
    assert not result
    assert result.status is RunStatus.FAILED
    assert {name: step.status for name, step in result.steps.items()} == {
        "bad": StepStatus.FAILED,
        "after": StepStatus.SKIPPED,
        "later": StepStatus.SKIPPED,
        "other": StepStatus.COMPLETED,
        "good": StepStatus.COMPLETED,
    }
    bad, later = result.steps["bad"], result.steps["later"]
    assert (bad.error, bad.attempts) == ("ValueError: it does not work\nat all", 1)
    assert bad.traceback is not None
    assert "in fail" in bad.traceback
    assert (later.error, later.attempts) == ("skipped: step 'after' did not complete", 0)
    assert later.started_at is None
    assert result.outputs == {"other": 2, "good": None}
    assert result.error == "step 'bad' failed: ValueError: it does not work\nat all"
    with pytest.raises(RunFailedError, match="'w' is FAILED: step 'bad' failed: ValueError"):
        result.raise_for_status()
    shown = (
        f"WorkflowResult({result.run_id!r}, name='w', status='FAILED', error=\"step 'bad' failed: ValueError"
    )
    assert repr(result).startswith(shown)


def test_a_step_is_tried_again_as_often_as_it_says(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("third", steps.fail_twice, max_retries=2, retry_delay=0)
    workflow.add_step("never", steps.fail, depends_on=[], max_retries=3, retry_delay=0)
    result = manager.run("w")
    third, never = result.steps["third"], result.steps["never"]
    assert (third.status, third.output, third.attempts) == (StepStatus.COMPLETED, 3, 3)
    assert (third.error, third.traceback) == (None, None)
    assert (never.status, never.attempts) == (StepStatus.FAILED, 4)
    assert signals.calls == ["fail"] * 4


def test_a_result_that_is_no_plain_data_fails_its_step(manager: WorkflowManager) -> None:
    manager.create("w").add_step("a", steps.return_an_object)
    result = manager.run("w")
    assert result.error is not None
    assert "PayloadError: result: object cannot be stored" in result.error


def test_a_result_answers_for_each_step(manager: WorkflowManager) -> None:
    manager.create("w").add_step("bad", steps.fail).add_step("after", steps.one)
    result = manager.run("w")
    with pytest.raises(UnknownIdError, match=r"step 'after': run \S+ of 'w' has no output of it: it is SKIP"):
        result["after"]
    with pytest.raises(LookupError, match="has no such step"):
        result["nobody"]


def test_times_are_aware_and_in_order(manager: WorkflowManager) -> None:
    before = datetime.now(UTC)
    manager.create("w").add_step("a", steps.one).add_step("b", steps.two)
    result = manager.run("w")
    a, b = result.steps.values()
    assert a.started_at is not None
    assert b.started_at is not None
    assert a.ended_at is not None
    assert b.ended_at is not None
    assert before <= result.started_at <= a.started_at <= a.ended_at
    assert a.ended_at <= b.started_at <= b.ended_at <= result.ended_at <= datetime.now(UTC)
    assert result.duration == (result.ended_at - result.started_at).total_seconds()


# --- what is refused before anything runs -----------------------------------------------------------------


def test_an_unknown_workflow_is_refused(manager: WorkflowManager) -> None:
    for call in (manager.run, manager.start):
        with pytest.raises(WorkflowNotFoundError, match="no workflow 'nobody': create it, or load it"):
            call("nobody")
    assert issubclass(WorkflowNotFoundError, LookupError)


def test_all_that_is_wrong_with_a_graph_is_named_before_any_step_runs(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("w").add_step("root", steps.noted)
    workflow.add_step("a", steps.noted, depends_on=["b"]).add_step("b", steps.noted, depends_on=["a"])
    workflow.add_step("self", steps.noted, depends_on=["self"])
    workflow.add_step("lost", steps.noted, depends_on=["rot"])
    with pytest.raises(GraphError) as caught:
        manager.run("w")
    assert caught.value.problems == (
        "step 'self' depends on itself",
        "step 'lost' depends on 'rot', which is no step of this workflow, did you mean 'root'?",
        "these steps depend on each other in a circle: a -> b -> a",
    )
    assert isinstance(caught.value, ValueError)
    assert signals.calls == []
    assert list(manager.list_runs()) == []


def test_every_parameter_that_nothing_fills_is_named_before_any_step_runs(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("w").add_step("noted", steps.noted)
    workflow.add_step("add", steps.add).add_step("year", steps.with_year, depends_on=[])
    with pytest.raises(BindingError) as caught:
        _ = manager.start("w")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "workflow 'w', step 'add'",
        "workflow 'w', step 'add'",
        "workflow 'w', step 'year'",
    ]
    for name in ("left", "right", "year"):
        assert f"nothing fills the required parameter {name!r}" in str(caught.value)
    assert signals.calls == []
    assert list(manager.list_runs()) == []


def test_a_step_that_was_meant_to_be_a_dependency_is_named(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("left", steps.one).add_step("right", steps.one)
    workflow.add_step("add", steps.add)
    with pytest.raises(BindingError) as caught:
        _ = manager.start("w")
    (problem,) = caught.value.problems
    assert "parameter 'left'" in problem
    assert problem.endswith("; there is a step of this name: add it to depends_on")


def test_a_run_parameter_that_no_step_takes_is_refused(manager: WorkflowManager) -> None:
    manager.create("w").add_step("extract", steps.extract).add_step("transform", steps.transform)
    with pytest.raises(BindingError, match="no step takes a parameter 'fakter'; they take: factor"):
        manager.run("w", fakter=3)
    with pytest.raises(BindingError, match="no step takes a parameter 'fakter'; they take: factor"):
        manager.run("w", fakter=3, factor=3)


def test_parameters_must_be_plain_data(manager: WorkflowManager) -> None:
    manager.create("w").add_step("year", steps.with_year)
    with pytest.raises(PayloadError, match=r"params\['year'\]: object cannot be stored") as caught:
        manager.run("w", year=object())
    assert caught.value.path == "params['year']"
    with pytest.raises(PayloadError, match=r"params take \d+ bytes, the limit is"):
        manager.run("w", year="x" * (2 << 20))


@pytest.mark.parametrize("name", ["", " ", "@steps", "x" * 201, "a\nb", 7, None])
def test_a_bad_name_is_refused(manager: WorkflowManager, name: str) -> None:
    for call in (manager.run, manager.start, manager.create, manager.get_workflow, manager.delete):
        with pytest.raises(InputError, match="name: "):
            call(name)


# --- runs -------------------------------------------------------------------------------------------------


def test_a_run_is_seen_while_it_goes_on(manager: WorkflowManager, signals: Signals) -> None:
    workflow = manager.create("w").add_step("one", steps.one).add_step("hold", steps.hold)
    workflow.add_step("last", steps.nothing)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    seen = [run.status, manager.get_execution_status(run.run_id)]
    assert seen == [RunStatus.RUNNING, RunStatus.RUNNING]
    assert {name: step.status for name, step in run.steps.items()} == {
        "one": StepStatus.COMPLETED,
        "hold": StepStatus.RUNNING,
        "last": StepStatus.PENDING,
    }
    text = "run .* of workflow 'w' has not ended within 0.01 s; it is RUNNING: step 'hold', job:"
    with pytest.raises(TimeoutError, match=text):
        run.result(timeout=0.01)
    signals.go_on.set()
    assert run.result(timeout=WAIT_S)["hold"] == "held"
    assert run.status is RunStatus.COMPLETED


def test_a_run_is_found_again_by_its_id(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one)
    first = manager.run("w")
    found = manager.get_run(first.run_id)
    assert found is not None
    assert (found.run_id, found.name, found.status) == (first.run_id, "w", RunStatus.COMPLETED)
    assert found.result() == first
    assert found.started_at == first.started_at


def test_unknown_runs_are_none_or_refused(manager: WorkflowManager) -> None:
    assert manager.get_run("nobody") is None
    with pytest.raises(RunNotFoundError, match="no run 'nobody' on record"):
        manager.get_execution_status("nobody")
    for bad in ("", "a b", "x" * 201):
        with pytest.raises(InputError, match="run_id: expected 1 to 200 of the characters"):
            manager.get_run(bad)


def test_a_run_can_be_awaited(manager: WorkflowManager, signals: Signals) -> None:
    manager.create("w").add_step("hold", steps.hold)

    async def both() -> list[object]:
        runs = [manager.start("w"), manager.start("w")]
        signals.go_on.set()
        return [(await run).output for run in runs]

    assert asyncio.run(both()) == ["held", "held"]


def test_a_cancelled_run_ends_at_once_and_starts_nothing_more(
    manager: WorkflowManager, signals: Signals
) -> None:
    workflow = manager.create("w").add_step("one", steps.one).add_step("hold", steps.hold)
    workflow.add_step("noted", steps.noted)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    assert run.cancel()
    result = run.result(timeout=WAIT_S)
    assert not run.cancel()
    assert (result.status, result.error) == (RunStatus.CANCELLED, "it was cancelled")
    assert {name: step.status for name, step in result.steps.items()} == {
        "one": StepStatus.COMPLETED,
        "hold": StepStatus.CANCELLED,
        "noted": StepStatus.CANCELLED,
    }
    with pytest.raises(RunFailedError, match="is CANCELLED: it was cancelled"):
        result.raise_for_status()
    signals.go_on.set()
    manager.create("after").add_step("one", steps.one)
    assert manager.run("after")
    assert signals.calls == ["hold"]
    assert run.status is RunStatus.CANCELLED


def test_runs_are_listed_newest_first(manager: WorkflowManager) -> None:
    manager.create("good").add_step("one", steps.one)
    manager.create("bad").add_step("fail", steps.fail)
    names = ["good", "bad", "good", "good", "bad"]
    ids = [manager.run(name).run_id for name in names]
    newest_first = ids[::-1]
    assert [run.run_id for run in manager.list_runs()] == newest_first
    assert [run.name for run in manager.list_runs()] == names[::-1]
    assert [run.run_id for run in manager.list_runs(limit=2)] == newest_first[:2]
    assert list(manager.list_runs(limit=0)) == []
    assert [run.run_id for run in manager.list_runs(after=newest_first[1])] == newest_first[2:]
    assert [run.run_id for run in manager.list_runs(name="bad")] == [ids[4], ids[1]]
    assert [run.run_id for run in manager.list_runs(status="COMPLETED", limit=1)] == [ids[3]]
    assert [run.run_id for run in manager.list_runs(status=RunStatus.FAILED, after=ids[4])] == [ids[1]]
    assert list(manager.list_runs(name="nobody")) == []


def test_runs_are_listed_lazily(manager: WorkflowManager) -> None:
    manager.create("w").add_step("one", steps.one)
    ids = [manager.run("w").run_id for _ in range(3)]
    runs = manager.list_runs()
    assert next(runs).run_id == ids[2]
    newer = manager.run("w").run_id
    assert [run.run_id for run in runs] == [ids[1], ids[0]]
    assert next(manager.list_runs()).run_id == newer


def test_hundreds_of_runs_are_all_listed(manager: WorkflowManager) -> None:
    manager.create("w").add_step("year", steps.with_year)
    ids = [manager.start("w", year=year).run_id for year in range(200)]
    assert [run.run_id for run in manager.list_runs()] == ids[::-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"limit": -1}, "limit: expected a whole number from 0"),
        ({"limit": True}, "limit: expected a whole number"),
        ({"status": "DONE"}, "status: expected one of PENDING, RUNNING, .*, got 'DONE'"),
        ({"name": ""}, "name: expected 1 to 200 characters"),
        ({"after": "a/b"}, "after: expected 1 to 200 of the characters"),
    ],
)
def test_a_bad_filter_is_refused_at_the_call(
    manager: WorkflowManager, arguments: dict[str, object], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        manager.list_runs(**arguments)  # type: ignore[arg-type]  # that is the point


# --- inside a step, and at the end of an engine -----------------------------------------------------------


def test_a_step_can_run_another_workflow_while_a_worker_is_left(manager: WorkflowManager) -> None:
    manager.create("inner").add_step("one", steps.one)
    manager.create("outer").add_step("inside", steps.run_inside)
    assert manager.run("outer").output == 1


def test_a_step_that_would_wait_for_ever_is_refused_before_it_starts_anything(signals: Signals) -> None:
    with OrchestrationEngine(":memory:", workers=1) as engine:
        manager = WorkflowManager(engine)
        manager.create("inner").add_step("one", steps.one)
        manager.create("outer").add_step("inside", steps.run_inside)
        result = manager.run("outer")
        assert result.error is not None
        assert WouldDeadlockError.__name__ in result.error
        assert [run.name for run in manager.list_runs()] == ["outer"]


@pytest.mark.parametrize("function", [steps.await_own_run, steps.await_own_run_in_asyncio])
def test_a_step_that_would_wait_for_its_own_run_is_told_so(
    manager: WorkflowManager, function: Callable[..., Any]
) -> None:
    manager.create("w").add_step("inside", function, max_retries=0)
    result = manager.run("w")
    assert result.error is not None
    assert f"would wait for the end of run {result.run_id}" in result.error


def test_whoever_waits_is_told_that_the_engine_was_closed(signals: Signals) -> None:
    engine = OrchestrationEngine(":memory:")
    manager = WorkflowManager(engine)
    manager.create("w").add_step("hold", steps.hold)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            manager.run("w")
        except LogisticsError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert signals.begun.wait(WAIT_S)
    engine.close(grace=0)
    thread.join(WAIT_S)
    assert [type(error) for error in caught] == [EngineClosedError]


def test_a_result_outlives_its_engine(signals: Signals) -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.create("w").add_step("one", steps.one)
        result = manager.run("w")
        run = manager.get_run(result.run_id)
    assert result["one"] == 1
    assert result.steps["one"].attempts == 1
    assert run is not None
    with pytest.raises(EngineClosedError, match="closed"):
        run.result()


def test_execute_workflow_gives_a_plain_dict(engine: OrchestrationEngine, manager: WorkflowManager) -> None:
    manager.create("w").add_step("year", steps.with_year)
    done = execute_workflow(engine, "w", None, {"year": 2027})
    assert done.pop("execution_time") > 0
    assert done == {"success": True, "result": 2027, "error": None}
    manager.create("bad").add_step("fail", steps.fail)
    done = execute_workflow(engine, "bad", None, {})
    assert (done["success"], done["result"]) == (False, None)
    assert done["error"].startswith("step 'fail' failed: ValueError")
    with pytest.raises(UnknownIdError, match="no session 'nobody' on record"):
        execute_workflow(engine, "w", "nobody", {"year": 2027})


@pytest.mark.parametrize("over", [False, True])
def test_a_job_that_has_the_id_of_a_step_stays_and_the_step_fails(
    engine: OrchestrationEngine, manager: WorkflowManager, over: bool
) -> None:
    manager.create("w").add_step("one", steps.one)
    queue = Queue("q", engine=engine)
    queue.enqueue(Job("extract", steps.extract, job_id="chosen.0"))
    if over:
        JobScheduler(engine=engine).process(queue)
    engine.send(manager.start_command("w", "chosen"))
    run = manager.get_run("chosen")
    assert run is not None
    assert "job id 'chosen.0' is on record for another job" in str(run.result(WAIT_S).error)
    JobScheduler(engine=engine).process(queue)
    assert queue.result("chosen.0") == [1, 2, 3]
    assert queue.get_stats()["total_jobs"] == 1


def test_a_job_that_has_the_id_of_a_later_step_of_a_run_under_way_stays(
    engine: OrchestrationEngine, manager: WorkflowManager, signals: Signals
) -> None:
    manager.create("w").add_step("hold", steps.hold).add_step("one", steps.one)
    run = manager.start("w")
    assert signals.begun.wait(WAIT_S)
    queue, job_id = Queue("q", engine=engine), f"{run.run_id}.1"
    with pytest.raises(InputError, match="is what the engine calls a job of a run"):
        Job("extract", steps.extract, job_id=job_id)
    job = JobSpec(
        job_id, "q", "extract", function_ref(steps.extract), b""
    )  # as one from before it was refused
    engine.ask("queue", EnqueueJobs(jobs=(job,)))
    signals.go_on.set()
    assert "is on record for another job" in str(run.result(WAIT_S).error)
    JobScheduler(engine=engine).process(queue)
    assert queue.result(job_id) == [1, 2, 3]
