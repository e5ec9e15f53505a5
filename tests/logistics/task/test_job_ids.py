"""Ids that callers give to jobs: the same one means the same job, and nothing but an id is one."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.queue.messages import EnqueueJobs
from logistics import Job, OrchestrationEngine, Queue
from logistics.errors import ConflictingIdError, InputError, LogisticsError
from tests.logistics.task import functions
from tests.support.scale import scaled

EXAMPLES = settings(
    max_examples=scaled("EXAMPLES", 60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ALLOWED = string.ascii_letters + string.digits + "._:-"
BODIES = st.fixed_dictionaries(
    {
        "args": st.sampled_from([(1,), (2,), ("1",)]),
        "priority": st.sampled_from([0, 3]),
        "max_retries": st.sampled_from([0, 3]),
        "retry_delay": st.sampled_from([1, 2]),
    }
)
ODD_IDS = st.text(max_size=250) | st.sampled_from(
    ["", " ", "\x00", "a\n", "../etc/passwd", "a b", "\u202eevil", "ü", "\ud800", "x" * 201, "a/b"]
)


@pytest.fixture
def queue() -> Iterator[Queue]:
    with OrchestrationEngine(":memory:") as engine:
        yield Queue(engine=engine)


def a_job(job_id: str, body: dict[str, Any]) -> Job:
    return Job("a job", functions.note, job_id=job_id, **body)


@given(bodies=st.lists(BODIES, min_size=2, max_size=5))
@EXAMPLES
def test_f65_the_same_id_is_the_same_job_or_a_conflict(queue: Queue, bodies: list[dict[str, Any]]) -> None:
    job_id = f"job-{queue.get_stats()['total_jobs']}"
    before = queue.get_stats()["total_jobs"]
    assert queue.enqueue(a_job(job_id, bodies[0])) == job_id
    for body in bodies[1:]:
        if body == bodies[0]:
            assert queue.enqueue(a_job(job_id, body)) == job_id
        else:
            with pytest.raises(ConflictingIdError, match=re.escape(repr(job_id))):
                queue.enqueue(a_job(job_id, body))
    assert queue.get_stats()["total_jobs"] == before + 1
    kept = queue.get_job(job_id)
    assert kept is not None
    assert tuple(kept.args) == bodies[0]["args"]


@given(
    bodies=st.lists(
        BODIES, min_size=2, max_size=4, unique_by=lambda body: tuple(sorted(map(repr, body.items())))
    )
)
@EXAMPLES
def test_f65_a_conflict_in_a_batch_enqueues_nothing_of_it(queue: Queue, bodies: list[dict[str, Any]]) -> None:
    before = queue.get_stats()["total_jobs"]
    with pytest.raises(ConflictingIdError):
        queue.enqueue_many([a_job(f"batch-{before}", body) for body in bodies])
    assert queue.get_stats()["total_jobs"] == before


def test_f65_a_command_that_is_repeated_after_a_restart_is_answered_as_at_first(tmp_path: Any) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        queue.enqueue(a_job("mine", {"args": (1,)}))
        spec = queue._spec(a_job("mine", {"args": (1,)}))
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert engine.send(EnqueueJobs(jobs=(spec,))) == ("mine",)
        assert Queue(engine=engine).get_stats()["total_jobs"] == 1
        with pytest.raises(ConflictingIdError):
            Queue(engine=engine).enqueue(a_job("mine", {"args": (2,)}))


@given(job_id=ODD_IDS)
@EXAMPLES
def test_f66_what_is_no_id_is_refused_and_changes_nothing(queue: Queue, job_id: str) -> None:
    before = queue.get_stats()["total_jobs"]
    if 1 <= len(job_id) <= 200 and set(job_id) <= set(ALLOWED):
        return
    with pytest.raises(InputError, match="job_id: expected 1 to 200 of the characters") as refused:
        queue.enqueue(a_job(job_id, {"args": (1,)}))
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, LogisticsError)
    assert queue.get_stats()["total_jobs"] == before


@given(job_id=st.text(ALLOWED, min_size=1, max_size=200))
@EXAMPLES
def test_f66_every_id_that_is_one_is_kept_as_it_is(queue: Queue, job_id: str) -> None:
    assert queue.enqueue(a_job(job_id, {"args": (1,)})) == job_id
    job = queue.get_job(job_id)
    assert job is not None
    assert job.job_id == job_id
