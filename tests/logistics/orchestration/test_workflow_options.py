"""Whatever may be said about a job may be said about a step, in code and in files, and reaches its jobs."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.attempt import AttemptContext
from actors.workflow.specs import StepStatus
from logistics.errors import InputError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.parsing import ConfigError
from logistics.orchestration.result import StepResult
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.queue import Queue
from tests.logistics.orchestration import steps


class SpecialError(ValueError):
    """An error that is known by where it is defined, and not by another name of it."""


Alias = SpecialError


def is_special(error: BaseException) -> bool:
    return isinstance(error, SpecialError)


def fail_specially(ctx: AttemptContext) -> int:
    if ctx.attempt < 3:
        raise SpecialError
    return ctx.attempt


def process_id() -> int:
    return os.getpid()


def run(manager: WorkflowManager, **options: Any) -> StepResult:
    manager.create("w").add_step("s", fail_specially, max_retries=5, retry_delay=0, **options)
    return manager.run("w").steps["s"]


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        ({"retry_on": SpecialError}, 3),
        ({"retry_on": (KeyError, is_special)}, 3),
        ({"retry_on": KeyError}, 1),
        ({"give_up_on": is_special}, 1),
        ({"give_up_on": [KeyError]}, 3),
    ],
)
def test_a_step_is_tried_again_only_after_what_is_worth_it(
    manager: WorkflowManager, options: dict[str, Any], attempts: int
) -> None:
    result = run(manager, **options)
    assert result.attempts == attempts
    assert result.status is (StepStatus.COMPLETED if attempts == 3 else StepStatus.FAILED)


def test_each_item_of_a_list_has_the_options_of_its_step(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("extract", steps.extract)
    workflow.add_step(
        "s", steps.fail_odd, map_over="extract", max_retries=3, retry_delay=0, give_up_on=ValueError
    )
    assert manager.run("w").steps["s"].attempts == len(steps.extract())


def test_delays_between_tries_grow_as_is_said(engine: OrchestrationEngine) -> None:
    manager = WorkflowManager(engine)
    delays: list[int] = []
    retried = threading.Event()

    def note(event: Any, _position: int) -> None:
        delays.append(event.due_us - event.at_us)
        if len(delays) == 2:
            retried.set()

    engine.subscribe("job.retrying", note)
    manager.create("w").add_step("s", fail_specially, max_retries=2, retry_delay=[0.004, 0.009])
    manager.run("w")
    assert retried.wait(steps.WAIT_S)
    assert delays == [4_000, 9_000]


def test_a_step_may_run_in_a_process(engine: OrchestrationEngine) -> None:
    manager = WorkflowManager(engine)
    manager.create("w").add_step("here", process_id).add_step("there", process_id, executor="process")
    outputs = manager.run("w").outputs
    assert outputs["here"] == os.getpid() != outputs["there"]


def test_a_finally_step_has_them_too(manager: WorkflowManager) -> None:
    workflow = manager.create("w").add_step("one", steps.one)
    workflow.add_finally("s", fail_specially, max_retries=5, retry_delay=0, give_up_on=is_special)
    assert manager.run("w").steps["s"].attempts == 1


FILE = """
name = "w"
[[steps]]
name = "s"
function = "tests.logistics.orchestration.test_workflow_options:fail_specially"
max_retries = 5
retry_delay = [0.0, 0.001]
backoff = "fixed"
executor = "thread"
{}
"""


def in_file(condition: str) -> str:
    return FILE.format(f"retry_on = [{condition!r}]")


@pytest.mark.parametrize(
    ("condition", "attempts"),
    [
        ("ValueError", 3),
        ("KeyError", 1),
        (f"{__name__}:Alias", 3),
        (f"{__name__}:is_special", 3),
    ],
)
def test_a_file_names_exceptions_and_functions_of_them(
    manager: WorkflowManager, tmp_path: Path, condition: str, attempts: int
) -> None:
    (tmp_path / "w.toml").write_text(in_file(condition))
    workflow = manager.load(tmp_path / "w.toml")
    assert manager.run("w").steps["s"].attempts == attempts
    assert manager.from_dict(workflow.to_dict()).fingerprint == workflow.fingerprint


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("ValueErr", r"retry_on\[0\]: expected the name of an exception.*got 'builtins:ValueErr'"),
        ("no.module:X", r"retry_on\[0\]: expected the name of an exception"),
        ("not a name", r"retry_on: expected exception types or functions"),
        ("builtins:int", r"retry_on\[0\]: "),
    ],
)
def test_what_is_no_exception_is_named_with_its_place(
    manager: WorkflowManager, tmp_path: Path, condition: str, text: str
) -> None:
    (tmp_path / "w.toml").write_text(in_file(condition))
    with pytest.raises(ConfigError, match=rf"steps\[0\]\.{text}"):
        manager.load(tmp_path / "w.toml")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"backoff": "cubic"}, "backoff: expected one of exponential, linear, fixed, got 'cubic'"),
        ({"jitter": 1}, "jitter: expected True, False or None, got 1"),
        ({"retry_on": int}, "retry_on: expected exception types"),
        ({"executor": "moon"}, "executor: expected 'thread' or 'process', got 'moon'"),
        ({"retry_delay": []}, "retry_delay: expected at least one delay"),
        ({"parallel": 0}, "parallel: expected a whole number from 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    manager: WorkflowManager, options: dict[str, Any], text: str
) -> None:
    workflow = manager.create("w")
    with pytest.raises(InputError, match=text):
        workflow.add_step("s", steps.one, **options)
    assert workflow.steps == ()


def test_the_jobs_of_a_step_say_them_when_asked(engine: OrchestrationEngine) -> None:
    manager = WorkflowManager(engine)
    workflow = manager.create("w")
    workflow.add_step("s", steps.one, retry_on=OSError, timeout=5, executor="thread", queue="q", priority=7)
    run = manager.start("w")
    job = Queue("q", engine=engine).get_job(f"{run.run_id}.0")
    assert job is not None
    assert (job.retry_on, job.timeout, job.executor, job.priority) == (("builtins:OSError",), 5, "thread", 7)
