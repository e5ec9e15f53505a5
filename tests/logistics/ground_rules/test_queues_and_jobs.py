"""What queues and jobs say of what they are given."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logistics import errors
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import add


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
        ({"func": "app:work"}, "^func: expected the function itself, .*; got 'app:work'"),
        (
            {"name": print, "func": [1]},
            r"^name: expected a name, and the function behind it: Job\('print', print, args=",
        ),
        ({"name": print}, "^name: expected a name, and the function behind it"),
        ({"func": 3}, "^func: expected the function itself, not its name nor what it returns, .*; got 3$"),
        ({"func": None}, "^func: expected the function itself, .*; got None"),
        (
            {"args": "text"},
            "^args: expected a list or tuple of arguments, got 'text'; write args=\\['text'\\]$",
        ),
        ({"args": b"bytes"}, "^args: expected a list or tuple of arguments, got b'bytes'"),
        ({"args": {"a": 1}}, r"^args: expected .*, got \{'a': 1\}; write kwargs=\{'a': 1\}$"),
        ({"args": 7}, "^args: expected a list or tuple of arguments, got 7"),
        (
            {"kwargs": [1]},
            r"^kwargs: expected .* names to arguments, got \[1\]; write kwargs={'name': value}$",
        ),
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


@pytest.mark.parametrize("moment", [1_000_000_000, 1_893_456_000, 1_893_456_000.5])
def test_a_timestamp_is_not_taken_for_a_span_of_decades(queue: Queue, moment: float) -> None:
    text = rf"{moment} seconds from now are \d+ years; if that counts from 1970, .* datetime\.fromtimestamp"
    with refused(f"^when: {text}"):
        queue.schedule(Job("sum", add), moment)
    with refused(f"^expires: {text}"):
        Job("sum", add, expires=moment)
    queue.schedule(Job("sum", add, expires=timedelta(days=40 * 366)), timedelta(days=39 * 366))


@pytest.mark.parametrize("moment", ["tomorrow", date(2030, 1, 1), True, [1]])
def test_what_is_no_time_is_refused_with_all_that_is_one(queue: Queue, moment: Any) -> None:
    text = "expected an aware datetime, a timedelta, or seconds from now, got "
    with refused(f"^when: {text}"):
        queue.schedule(Job("sum", add), moment)
    with refused(f"^expires: {text}"):
        Job("sum", add, expires=moment)


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
