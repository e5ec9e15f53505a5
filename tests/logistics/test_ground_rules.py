"""The ground rules that hold of every class: what is refused, with which error, in which words."""

from __future__ import annotations

import enum
import functools
import inspect
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import logistics
from actors.queue.messages import (
    AddResource,
    Allocate,
    CancelJob,
    EnqueueJobs,
    GetJob,
    GetStats,
    JobEnded,
    LeaseJob,
    SettleLease,
)
from actors.queue.specs import JobSpec, RetryPolicy
from actors.runtime.clock import VirtualClock
from actors.runtime.effects import AttemptKey
from actors.runtime.messages import Message, Nudge
from actors.workflow.messages import Plan, PlanStep, StartRun
from logistics import errors
from logistics.errors import (
    BusyError,
    EngineClosedError,
    InputError,
    LogisticsError,
    PayloadError,
    StoreError,
    StoreInUseError,
    TimezoneError,
)
from logistics.messages import COMMANDS
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default
from logistics.orchestration.stores import STORES
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task.functions import PATIENCE_S, add, fail

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine() -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(":memory:", workers=2) as opened:
        yield opened


@pytest.fixture
def queue(engine: OrchestrationEngine) -> Queue:
    return Queue("work", engine=engine)


def refused(text: str, error: type[Exception] = InputError) -> Any:
    return pytest.raises(error, match=text)


def run_child(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=environment.pop("CWD", str(ROOT)),
        env={"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# -- one root of all errors --------------------------------------------------------------------------------


def test_every_error_is_one_of_ours_and_exported() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, LogisticsError | Warning), name
        assert getattr(logistics, name) is error, name


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (
            ValueError,
            "InputError ConflictingIdError PayloadError FunctionError GraphError TimezoneError CronError",
        ),
        (LookupError, "UnknownIdError JobNotFoundError WorkflowNotFoundError RunNotFoundError"),
        (TimeoutError, "BusyError"),
    ],
)
def test_errors_are_also_what_people_catch(base: type[Exception], names: str) -> None:
    for name in names.split():
        assert issubclass(getattr(errors, name), base), name


def test_busy_is_no_bad_input() -> None:
    assert not issubclass(BusyError, ValueError)


def test_statuses_are_their_upper_case_names() -> None:
    expected = {
        "JobStatus": "PENDING SCHEDULED RUNNING RETRYING COMPLETED FAILED CANCELLED EXPIRED UNRESOLVED",
        "RunStatus": "PENDING RUNNING WAITING PAUSED COMPLETED FAILED CANCELLED PARKED",
        "StepStatus": "PENDING RUNNING WAITING RETRYING COMPLETED FAILED SKIPPED CANCELLED",
    }
    for name, values in expected.items():
        assert [str(each) for each in getattr(logistics, name)] == values.split()
    for name in logistics.__all__:
        kind = getattr(logistics, name)
        if inspect.isclass(kind) and issubclass(kind, enum.StrEnum):
            assert [each.value for each in kind] == [each.name for each in kind]


# -- opening -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "workers: expected a whole number from 1 to 10000, got 0"),
        ({"workers": True}, "workers: expected a whole number from 1 to 10000, got True"),
        ({"workers": 2.5}, r"workers: expected a whole number from 1 to 10000, got 2\.5"),
        ({"workers": "4"}, "workers: expected a whole number from 1 to 10000, got '4'"),
        ({"max_payload": 0}, "max_payload: expected a whole number from 1 to 1073741824, got 0"),
        ({"max_payload": -1}, "max_payload: expected a whole number from 1"),
        ({"timezone": "Europe/Zürich"}, "Europe/Zürich"),
        ({"timezone": "Nowhere/At_All"}, "there is no timezone 'Nowhere/At_All' in release"),
        ({"modules": "myapp"}, "modules= is a tuple of patterns, got the text 'myapp'"),
        ({"path": ""}, "path: expected the path of a folder, got ''"),
        ({"path": "a\x00b"}, r"path: expected the path of a folder, got 'a\\x00b'"),
        ({"path": b"bytes"}, "path: expected the path of a folder, got b'bytes'"),
        ({"path": 7}, "path: expected the path of a folder, got 7"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_engine_says_what_is_wrong_with_its_arguments(options: dict[str, Any], text: str) -> None:
    with refused(text, ValueError) as caught:
        OrchestrationEngine(**{"path": ":memory:"} | options)
    assert isinstance(caught.value, LogisticsError)


def test_an_unknown_zone_is_an_error_of_its_own() -> None:
    with refused("Europe/Zurich", TimezoneError):
        OrchestrationEngine(":memory:", timezone="Europe/Zuerich")


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious", encoding="utf-8")
    with pytest.raises(StoreError):
        OrchestrationEngine(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "precious"


def test_handles_on_one_store_agree_or_leave_it_out(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store", workers=2, timezone="Europe/Zurich") as first:
        text = f"the store {first.path} is open in this process with other settings than workers=3, "
        text += "timezone='UTC'; leave them out"
        with pytest.raises(InputError) as caught:
            OrchestrationEngine(tmp_path / "store", workers=3, timezone="UTC")
        for part in ("workers=3", "timezone='UTC'", "open in this process with other settings"):
            assert part in str(caught.value)
        with refused("other settings than clock="):
            OrchestrationEngine(tmp_path / "store", clock=VirtualClock())
        with OrchestrationEngine(tmp_path / "store") as second:
            assert second.timezone == "Europe/Zurich"
            assert second.get_metrics()["workers"] == 2
        with OrchestrationEngine(tmp_path / "there" / ".." / "store", workers=2) as third:
            assert third.store is first.store


def test_the_default_store_is_found_at_the_time_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOGISTICS_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    here = engine_or_default(None)
    assert here.path == str((tmp_path / "here" / ".logistics").resolve())
    assert engine_or_default(None) is here
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "home"))
    home = engine_or_default(None)
    assert home.path == str((tmp_path / "home").resolve())
    assert Queue().engine is home
    for engine in (here, home):
        engine.close()
    again = Queue().engine
    assert not again.closed
    again.close()
    for path in (here.path, home.path):
        del STORES.defaults[path]


def test_nothing_is_opened_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "home"))
    scheduler = JobScheduler()
    scheduler.stop()
    Job("sum", add)
    assert not (tmp_path / "home").exists()


def test_what_is_no_engine_is_refused() -> None:
    for make in (lambda it: Queue(engine=it), lambda it: JobScheduler(engine=it).engine):
        with refused("engine: expected an OrchestrationEngine, got ':memory:'"):
            make(":memory:")


OPEN = """
import sys
from logistics import OrchestrationEngine, StoreInUseError
try:
    OrchestrationEngine(sys.argv[1])
except StoreInUseError as error:
    print(error)
    print("; ".join(error.__notes__))
    sys.exit(7)
"""


def test_a_second_process_is_told_who_owns_the_store(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        child = run_child(OPEN, tmp_path / "store")
        assert child.returncode == 7, child.stderr
        first, second = child.stdout.splitlines()
        assert first.startswith(f"{engine.path} is open in process {os.getpid()}, since ")
        assert second == StoreInUseError.remedy
        assert "sending to a store from several processes is a later capability" in second
    assert run_child(OPEN, tmp_path / "store").returncode == 0


# -- closing -------------------------------------------------------------------------------------------------


def test_a_closed_engine_says_so_whatever_it_is_asked(engine: OrchestrationEngine, queue: Queue) -> None:
    job_id = queue.enqueue(Job("sum", add))
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        lambda: engine.send(GetStats("work")),
        lambda: engine.subscribe("job.*", print),
        lambda: engine.register_event_handler("job.*", print),
        engine.get_system_status,
        engine.get_metrics,
        engine.create_session,
        lambda: engine.get_session("s"),
        lambda: engine.close_session("s"),
        lambda: queue.enqueue(Job("sum", add)),
        lambda: queue.enqueue_many([Job("sum", add)]),
        lambda: queue.schedule(Job("sum", add), 1),
        queue.dequeue,
        queue.size,
        queue.peek,
        queue.clear,
        queue.pause,
        queue.resume,
        queue.get_stats,
        lambda: queue.get_job(job_id),
        lambda: queue.get_status(job_id),
        lambda: queue.result(job_id),
        lambda: queue.cancel(job_id),
        lambda: queue.retry(job_id),
        lambda: JobScheduler(engine=engine).start(),
        lambda: JobScheduler().process(queue),
    ]
    for call in calls:
        with refused("^this engine was closed; make a new one$", EngineClosedError):
            call()
    assert engine.health_check() == {"healthy": False, "problem": "closed", "path": ":memory:", "backlog": 0}
    assert repr(engine) == "OrchestrationEngine(':memory:', closed)"


@pytest.mark.parametrize("grace", [-1, math.nan, math.inf, "1", None, True])
def test_a_bad_grace_closes_nothing(engine: OrchestrationEngine, grace: Any) -> None:
    with refused("^grace: expected "):
        engine.close(grace)
    assert not engine.closed


def test_seeing_is_plain_data(engine: OrchestrationEngine, queue: Queue) -> None:
    queue.enqueue(Job("sum", add))
    assert engine.health_check()["healthy"] is True
    status = engine.get_system_status()
    assert status["jobs"]["pending"] == 1
    assert status["position"] >= 2
    assert engine.get_metrics()["jobs_ready"] == 1


# -- queues and jobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["redis", "LMDB", "", None, 7])
def test_an_unknown_backend_is_an_error(engine: OrchestrationEngine, backend: Any) -> None:
    with refused(f"^backend: expected one of lmdb, memory, got {backend!r}$"):
        Queue(backend=backend, engine=engine)


def test_a_queue_in_memory_refuses_an_engine_on_disk(tmp_path: Path) -> None:
    text = "^backend: the engine given keeps its store in .*, not in memory$"
    with OrchestrationEngine(tmp_path / "store") as engine, refused(text):
        Queue(backend="memory", engine=engine)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "x" * 201, "@steps", None, 7])
def test_a_queue_s_name_is_checked(engine: OrchestrationEngine, name: Any) -> None:
    with refused("^queue: "):
        Queue(name, engine=engine)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"name": ""}, "^name: expected 1 to 200 characters"),
        ({"name": None}, "^name: expected a name, got None"),
        ({"func": "app:work"}, "^func: expected a function, got 'app:work'"),
        ({"func": None}, "^func: expected a function, got None"),
        ({"args": "text"}, "^args: expected a list or tuple of arguments, got 'text'"),
        ({"args": b"bytes"}, "^args: expected a list or tuple of arguments, got b'bytes'"),
        ({"args": 7}, "^args: expected a list or tuple of arguments, got 7"),
        ({"kwargs": [1]}, r"^kwargs: expected a mapping of names to arguments, got \[1\]"),
        ({"kwargs": {1: 2}}, r"^kwargs: expected a mapping of names to arguments, got \{1: 2\}"),
        ({"kwargs": "a"}, "^kwargs: expected a mapping of names to arguments, got 'a'"),
        ({"priority": True}, "^priority: expected a whole number from -2147483648 to 2147483648, got True"),
        ({"priority": 1.0}, r"^priority: .* got 1\.0"),
        ({"priority": "high"}, "^priority: .* got 'high'"),
        ({"priority": math.nan}, "^priority: .* got nan"),
        ({"priority": 2**31 + 1}, "^priority: .* got 2147483649"),
        ({"max_retries": -1}, "^max_retries: expected a whole number from 0 to 1000000, got -1"),
        ({"max_retries": False}, "^max_retries: .* got False"),
        ({"max_retries": math.inf}, "^max_retries: .* got inf"),
        ({"retry_delay": -1}, "^retry_delay: expected 0 to 3162240000 seconds, got -1"),
        ({"retry_delay": math.nan}, "^retry_delay: expected seconds or a timedelta, got nan"),
        ({"retry_delay": "1 s"}, "^retry_delay: expected seconds or a timedelta, got '1 s'"),
        ({"retry_delay": timedelta(-1)}, "^retry_delay: expected 0 to 3162240000 seconds"),
        ({"job_id": ""}, "^job_id: expected 1 to 200 of the characters"),
        ({"job_id": "../up"}, "^job_id: .* got '../up'"),
        ({"job_id": 7}, "^job_id: .* got 7"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_job_says_what_is_wrong_with_it(wrong: dict[str, Any], text: str) -> None:
    right: dict[str, Any] = {"name": "job", "func": add}
    with refused(text):
        Job(**right | wrong)


@pytest.mark.parametrize("priority", [True, 1.5, "1", math.nan, 2**40])
def test_a_priority_is_checked_where_it_is_given(queue: Queue, priority: Any) -> None:
    with refused("^priority: expected a whole number"):
        queue.enqueue(Job("sum", add), priority)
    assert queue.get_stats()["total_jobs"] == 0


@pytest.mark.parametrize("job", [None, "job", add, {"name": "job"}])
def test_only_jobs_can_be_enqueued(queue: Queue, job: Any) -> None:
    for put in (queue.enqueue, lambda it: queue.schedule(it, 1), lambda it: queue.enqueue_many([it])):
        with refused("^job: expected a Job, got "):
            put(job)


def test_many_jobs_come_as_a_list(queue: Queue) -> None:
    with refused("^jobs: expected a list of jobs, got 7$"):
        queue.enqueue_many(7)  # type: ignore[arg-type]
    with refused("^jobs: expected a list of jobs, got Job"):
        queue.enqueue_many(Job("sum", add))  # type: ignore[arg-type]


def test_a_naive_time_is_refused_with_advice(queue: Queue) -> None:
    with refused("^when: .* has no zone, so which instant is meant would be a guess; give it one"):
        queue.schedule(Job("sum", add), datetime(2030, 1, 1))  # noqa: DTZ001 -- what is refused


@pytest.mark.parametrize("when", [-1, math.nan, "tomorrow", None, True, timedelta(-1)])
def test_a_bad_time_is_refused(queue: Queue, when: Any) -> None:
    with refused("^when: expected "):
        queue.schedule(Job("sum", add), when)


@pytest.mark.parametrize("lease", [0, -1, math.nan, None, "60", True])
def test_a_bad_lease_is_refused(queue: Queue, lease: Any) -> None:
    queue.enqueue(Job("sum", add))
    with refused("^lease: expected "):
        queue.dequeue(lease)
    assert len(queue) == 1


@pytest.mark.parametrize("timeout", [-1, math.nan, "1", True])
def test_a_bad_timeout_is_refused(queue: Queue, timeout: Any) -> None:
    job_id = queue.enqueue(Job("sum", add))
    with refused("^timeout: expected "):
        queue.result(job_id, timeout)


@pytest.mark.parametrize("job_id", [None, 7, b"id"])
def test_an_id_is_text(queue: Queue, job_id: Any) -> None:
    calls = (queue.get_job, queue.get_status, queue.result, queue.cancel, queue.retry)
    for call in calls:
        with refused(f"^job_id: expected text, got {job_id!r}$"):
            call(job_id)


@pytest.mark.parametrize("job_id", ["", "a b", "\x00", "\ud800", "../up", "x" * 600, "x" * 10_000], ids=ascii)
def test_an_id_that_no_job_can_have_is_an_unknown_one(tmp_path: Path, job_id: str) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        assert queue.get_job(job_id) is None
        assert queue.cancel(job_id) is False
        for call in (queue.get_status, queue.result, queue.retry):
            with pytest.raises(errors.JobNotFoundError):
                call(job_id)


# -- arguments -----------------------------------------------------------------------------------------------


class Handle:
    """No plain data."""


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((1, Handle()), {}, r"^args\[1\]: Handle cannot be stored"),
        (({"deep": [0, {"handle": Handle()}]},), {}, r"^args\[0\]\['deep'\]\[1\]\['handle'\]: Handle"),
        ((), {"x": {"y": Handle()}}, r"^kwargs\['x'\]\['y'\]: Handle cannot be stored"),
        ((2**64,), {}, r"^args\[0\]: 18446744073709551616 does not fit into 64 bits; pass it as text"),
        (("\ud800",), {}, r"^args\[0\]: the text has a lone surrogate"),
        ((lambda: 1,), {}, r"^args\[0\]: function cannot be stored"),
        (([bytearray(1), open],), {}, r"^args\[0\]\[1\]: builtin_function_or_method cannot be stored"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_path(
    queue: Queue, args: Any, kwargs: Any, text: str
) -> None:
    with refused(text, PayloadError) as caught:
        queue.enqueue(Job("sum", add, args, kwargs))
    assert caught.value.path
    assert queue.get_stats()["total_jobs"] == 0


def test_what_contains_itself_is_refused(queue: Queue) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with refused(r"^args\[0\]\[0\]: contains itself; plain data is a tree", PayloadError):
        queue.enqueue(Job("sum", add, (loop,)))


def test_f62_what_is_too_large_is_refused_with_size_and_limit() -> None:
    with OrchestrationEngine(":memory:", max_payload=1_000) as engine:
        queue = Queue(engine=engine)
        queue.enqueue(Job("fits", add, (b"x" * 990,)))
        text = r"^the arguments take 1006 bytes, the limit is 1000 bytes \(max_payload=\); put the data into a file"
        with refused(text, PayloadError) as caught:
            queue.enqueue(Job("large", add, (b"x" * 1_000,)))
        assert (caught.value.size, caught.value.limit) == (1_006, 1_000)
        job = queue.dequeue()
        assert job is not None
        with refused("^result take 2003 bytes, the limit is 1000 bytes", PayloadError):
            queue.complete(job, b"x" * 2_000)


def test_the_default_limit_is_a_mebibyte(queue: Queue) -> None:
    room = (1 << 20) - 8
    queue.enqueue(Job("fits", add, (b"x" * room,)))
    with refused("the limit is 1048576 bytes", PayloadError):
        queue.enqueue(Job("large", add, (b"x" * (room + 1),)))


# -- the message API -----------------------------------------------------------------------------------------


def test_a_command_is_answered_durably(engine: OrchestrationEngine) -> None:
    spec = JobSpec("mine", "work", "job", "app:gone", b"")
    assert engine.send(EnqueueJobs(jobs=(spec,))) == ("mine",)
    assert engine.send(GetJob("mine")).status == "PENDING"
    assert engine.send(CancelJob("mine")) is True
    assert engine.send(CancelJob("mine")) is False


@pytest.mark.parametrize("thing", ["text", None, 7, GetJob, Nudge(), JobEnded("j", "COMPLETED", "", 1, 0)])
def test_what_is_no_command_is_refused(engine: OrchestrationEngine, thing: Any) -> None:
    with refused("^expected a command of logistics.messages, got "):
        engine.send(thing)


def spec(**wrong: Any) -> JobSpec:
    return JobSpec(**{"job_id": "j", "queue": "q", "name": "n", "function": "f:f", "payload": b""} | wrong)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (GetJob(7), r"^GetJob: Expected `str`, got `int` - at `\$.job_id`"),  # type: ignore[arg-type]
        (GetJob(None), "^GetJob: Expected `str`, got `None`"),  # type: ignore[arg-type]
        (GetJob(1j), "^GetJob: "),  # type: ignore[arg-type]
        (GetJob("\ud800"), "^GetJob: "),
        (EnqueueJobs("jobs"), "^EnqueueJobs: Expected `array`, got `str`"),  # type: ignore[arg-type]
        (EnqueueJobs((1,)), "^EnqueueJobs: Expected `array`, got `int`"),  # type: ignore[arg-type]
        (EnqueueJobs((spec(priority=1.5),)), "^EnqueueJobs: Expected `int`, got `float`"),
        (EnqueueJobs((spec(priority=2**63),)), "^EnqueueJobs: Expected `int` <= 2147483648"),
        (EnqueueJobs((spec(due_us=-1),)), "^EnqueueJobs: Expected `int` >= 0"),
        (EnqueueJobs((spec(due_us=2**63),)), "^EnqueueJobs: Expected `int` <= "),
        (EnqueueJobs((spec(due_us=2**80),)), "^EnqueueJobs: "),
        (EnqueueJobs((spec(queue=""),)), "^EnqueueJobs: Expected `str` of length >= 1"),
        (EnqueueJobs((spec(job_id="x" * 1_000),)), "^EnqueueJobs: Expected `str` of length <= "),
        (EnqueueJobs((spec(retry=RetryPolicy(-1)),)), "^EnqueueJobs: Expected `int` >= 0"),
        (EnqueueJobs((spec(retry=RetryPolicy(1, 2**63)),)), "^EnqueueJobs: Expected `int` <= "),
        (EnqueueJobs((spec(retry=RetryPolicy(1, 1, 2**64 - 1)),)), "^EnqueueJobs: Expected `int` <= "),
        (LeaseJob("q", 0), "^LeaseJob: Expected `int` >= 1"),
        (LeaseJob("q", 2**64 - 1), "^LeaseJob: Expected `int` <= "),
        (LeaseJob("q", True), "^LeaseJob: Expected `int`, got `bool`"),
        (Allocate("a", "me", (("gpu", "1"),)), "^Allocate: Expected `float`, got `str`"),  # type: ignore[arg-type]
        (Allocate("a", "me", (("gpu", -1.0),)), "expected a number above 0, got -1.0"),
        (AddResource("gpu", "card", math.nan), "expected a number above 0, got nan"),
        (SettleLease(AttemptKey("j", 1, 1), "maybe"), "^outcome: expected 'ok' or 'error', got 'maybe'"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_command_with_wrong_fields_is_refused_and_changes_nothing(
    engine: OrchestrationEngine, command: Message, text: str
) -> None:
    before = engine.get_metrics()["events_total"]
    with refused(text):
        engine.send(command)
    assert engine.get_metrics()["events_total"] == before
    assert engine.health_check()["healthy"] is True


def test_every_command_has_an_actor_that_knows_it(engine: OrchestrationEngine) -> None:
    for kind, actor in COMMANDS.items():
        rules = {each.rules.name: each.rules for each in engine.store.runtime._actor_types}
        assert actor in rules, kind


def test_a_job_that_claims_an_owner_harms_nobody(engine: OrchestrationEngine, queue: Queue) -> None:
    runtime = engine.store.runtime
    plan = Plan("w", (PlanStep("s", "gone:gone", b"", ()),))
    engine.send(StartRun("real", plan, "p", b"\x80", blocking=False))
    for number, owner in enumerate(["run:x", "run:real", "schedule:x", "nobody"]):
        for job_id in (f"j{number}", f"x.{number}y", f"real.{90 + number}", f"real.٣{number}"):
            engine.send(EnqueueJobs((spec(job_id=job_id, owner=owner),)))
            assert engine.send(CancelJob(job_id)) is True
    queue.enqueue(Job("sum", add))
    assert JobScheduler().process(queue).completed == 1
    assert runtime.journal.generation == 0, "no actor had to be rebuilt"


def test_a_plan_that_names_what_is_not_there_is_refused(engine: OrchestrationEngine) -> None:
    first = PlanStep("a", "gone:gone", b"", ())
    for source in ("7", "-1", "x", ""):
        inputs = (logistics.messages.Input("value", "step", source),)
        plan = Plan("w", (first, PlanStep("b", "gone:gone", b"", (0,), inputs)))
        with refused(f"^step 'b' takes 'value' from step {source!r}, of 2$"):
            engine.send(StartRun("r", plan, "p", b"\x80", blocking=False))


# -- listening -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["", None, 7])
def test_a_pattern_is_text(engine: OrchestrationEngine, pattern: Any) -> None:
    with refused("^pattern: expected a tag or a pattern like 'job.*', got "):
        engine.subscribe(pattern, print)


@pytest.mark.parametrize("after", [-1, True, 1.0, "1"])
def test_a_position_is_a_whole_number(engine: OrchestrationEngine, after: Any) -> None:
    with refused("^after: expected a position, 0 or more, got "):
        engine.subscribe("job.*", print, after=after)


def test_a_handler_can_be_called(engine: OrchestrationEngine) -> None:
    wrong: Any = "print"
    for register in (engine.subscribe, engine.register_event_handler):
        with refused("^handler: expected a function, got 'print'$"):
            register("job.*", wrong)


class Heard:
    """What handlers were told, in order."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._more = threading.Semaphore(0)

    def say(self, *what: Any) -> None:
        self.calls.append(what)
        self._more.release()

    def wait(self, count: int) -> list[Any]:
        for _ in range(count):
            assert self._more.acquire(timeout=PATIENCE_S)
        return self.calls


def test_handlers_are_called_in_order_of_registration_with_plain_data(
    engine: OrchestrationEngine, queue: Queue
) -> None:
    heard = Heard()
    for name in ("first", "second", "third"):
        engine.register_event_handler("job.*", functools.partial(heard.say, name))
    job_id = queue.enqueue(Job("sum", add))
    calls = heard.wait(3)
    assert [name for name, _, _ in calls] == ["first", "second", "third"]
    _, tag, data = calls[0]
    assert tag == "job.enqueued"
    assert data["spec"][0] == job_id
    assert data["position"] == engine.get_metrics()["events_total"]


def test_a_handler_that_raises_is_logged_and_harms_nobody(
    engine: OrchestrationEngine, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()

    def bad(_tag: str, _data: Any) -> None:
        raise RuntimeError("a handler's own trouble")

    engine.register_event_handler("job.enqueued", bad)
    engine.register_event_handler("job.enqueued", lambda tag, data: heard.say(tag))
    ids = [queue.enqueue(Job("sum", add)), queue.enqueue(Job("sum", add))]
    heard.wait(2)
    assert JobScheduler().process(queue).completed == 2
    logged = [record for record in caplog.records if record.name == "logistics.subscriptions"]
    assert len(logged) == 2
    assert "the handler for 'job.enqueued' failed on job.enqueued at " in logged[0].getMessage()
    assert [vars(record)["entity"] for record in logged] == [f"job:{job_id}" for job_id in ids]


def test_even_a_handler_that_exits_harms_nobody(engine: OrchestrationEngine, queue: Queue) -> None:
    heard = Heard()

    def leave(_event: Any, _position: int) -> None:
        sys.exit("no more")

    engine.subscribe("job.*", leave)
    engine.subscribe("job.*", lambda event, position: heard.say(position))
    queue.enqueue(Job("sum", add))
    queue.enqueue(Job("sum", add))
    assert len(heard.wait(2)) == 2


def test_what_happened_can_be_told_again_from_a_position(engine: OrchestrationEngine, queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(Job("sum", add))
    JobScheduler().process(queue)
    all_of_it, rest = Heard(), Heard()
    engine.subscribe("job.*", lambda event, position: all_of_it.say(type(event).__name__, position), after=0)
    calls = list(all_of_it.wait(9))
    positions = [position for _, position in calls]
    assert positions == sorted(positions)
    engine.subscribe("job.completed", lambda event, position: rest.say(position), after=positions[-2])
    assert rest.wait(1) == [(positions[-1],)]


def test_a_cancelled_subscription_hears_nothing_more(engine: OrchestrationEngine, queue: Queue) -> None:
    gone, there = Heard(), Heard()
    subscription = engine.subscribe("job.enqueued", lambda event, position: gone.say(position))
    engine.subscribe("job.enqueued", lambda event, position: there.say(position))
    queue.enqueue(Job("sum", add))
    there.wait(1)
    subscription.cancel()
    queue.enqueue(Job("sum", add))
    there.wait(1)
    assert len(gone.calls) == 1


# -- quiet -----------------------------------------------------------------------------------------------------

QUIET = """
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.logistics.task.functions import add, fail, raise_system_exit
engine = OrchestrationEngine(":memory:")
queue = Queue(engine=engine)
queue.enqueue_many([Job("good", add), Job("bad", fail, max_retries=0), Job("out", raise_system_exit, max_retries=0)])
assert tuple(JobScheduler().process(queue)) == (1, 2, 0)
engine.register_event_handler("job.*", lambda tag, data: 1 / 0)
queue.enqueue(Job("good", add))
"""


def test_nothing_is_printed_whatever_fails() -> None:
    child = run_child(QUIET)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


OPEN_TO_ALL = """
import os, sys
from logistics import OrchestrationEngine
OrchestrationEngine(sys.argv[1]).close()
os.chmod(sys.argv[1], 0o777)
OrchestrationEngine(sys.argv[1]).close()
"""


def test_a_warning_about_the_store_is_not_printed_either(tmp_path: Path) -> None:
    child = run_child(OPEN_TO_ALL, tmp_path / "store")
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_a_failing_job_is_no_business_of_the_log(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    queue.enqueue(Job("bad", fail, max_retries=0))
    JobScheduler().process(queue)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
