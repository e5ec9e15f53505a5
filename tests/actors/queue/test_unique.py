"""Unique keys: who has them, for how long, and what becomes of others."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.events import JobCancelled, JobEnqueued
from actors.queue.messages import CancelJob, EnqueueJobs, JobEnded, MoveJobs, RetryJob, RetryJobs
from actors.queue.specs import Conflict, JobSpec, Scope, Terms, Unique
from actors.runtime.errors import DuplicateJobError, InputError
from tests.actors.queue.bench import NEVER_AGAIN, SECOND, Bench, spec


def one(job_id: str, scope: Scope = Scope.LIVE, conflict: Conflict = Conflict.REJECT, **more: Any) -> JobSpec:
    period_us = 60 * SECOND if scope is Scope.PERIOD else 0
    return spec(job_id, terms=Terms(unique=Unique("k", scope, conflict, period_us)), **more)


def holder(bench: Bench, *jobs: JobSpec) -> str | None:
    """Who has the key that these jobs are refused."""
    try:
        bench.decide(EnqueueJobs(jobs=jobs))
    except DuplicateJobError as refusal:
        return refusal.job_id
    return None


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_is_refused_as_long_as_its_scope_says(scope: Scope) -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(one("a", scope))
    assert holder(bench, one("b", scope)) == "a"
    assert holder(bench, one("b", scope, queue="other")) is None
    bench.served = None
    bench.settle()
    assert holder(bench, one("b", scope)) == (None if scope is Scope.PENDING else "a")
    bench.check()
    bench.finish("a")
    bench.restart()
    assert holder(bench, one("b", scope)) == ("a" if scope is Scope.PERIOD else None)
    bench.check()
    bench.pass_time(60 * SECOND)
    assert holder(bench, one("b", scope)) is None


def test_a_job_that_is_tried_again_keeps_its_key() -> None:
    bench = Bench()
    bench.enqueue(one("a"))
    bench.finish("a", "error", error="E")
    assert holder(bench, one("b")) == "a"


def test_the_one_that_is_there_is_returned_instead_and_nothing_is_recorded() -> None:
    bench = Bench()
    bench.enqueue(one("a"))
    said = bench.enqueue(one("b", conflict=Conflict.RETURN), spec("c"))
    assert said.reply == ("a", "c")
    assert [event.spec.job_id for event in said.of(JobEnqueued)] == ["c"]


def test_the_one_that_waits_is_replaced_with_what_waits_for_it() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(one("a"), spec("after", after=("a",)))
    said = bench.enqueue(one("b", conflict=Conflict.REPLACE))
    assert said.reply == ("b",)
    assert [event.job_id for event in said.of(JobCancelled)] == ["a", "after"]
    assert holder(bench, one("c")) == "b"
    bench.check()


def test_the_one_that_runs_is_not_replaced() -> None:
    bench = Bench()
    bench.enqueue(one("a"))
    assert holder(bench, one("b", conflict=Conflict.REPLACE)) == "a"
    bench.finish("a", "error", error="E")
    assert holder(bench, one("b", conflict=Conflict.REPLACE)) == "a", "it has begun"


@pytest.mark.parametrize("conflict", list(Conflict))
def test_two_jobs_of_one_key_in_one_command_are_a_conflict(conflict: Conflict) -> None:
    bench = Bench()
    jobs = (one("a"), one("b", conflict=conflict))
    if conflict is Conflict.RETURN:
        assert bench.enqueue(*jobs).reply == ("a", "a")
    else:
        assert holder(bench, *jobs) == "a"


def test_saying_it_again_is_no_conflict() -> None:
    bench = Bench()
    bench.enqueue(one("a"))
    assert bench.enqueue(one("a")).reply == ("a",)


def test_a_failed_job_takes_its_key_up_again_unless_another_one_has_it() -> None:
    bench = Bench()
    bench.enqueue(one("a", retry=NEVER_AGAIN))
    bench.finish("a", "error", error="E")
    bench.enqueue(one("b"))
    assert isinstance(bench.refusal(RetryJob("a")), DuplicateJobError)
    bench.when(CancelJob("b"))
    bench.when(RetryJob("a"))
    assert holder(bench, one("c")) == "a"
    bench.check()


def test_of_many_that_are_taken_up_again_the_first_of_a_key_has_it() -> None:
    bench = Bench()
    for job_id in ("a", "b"):
        bench.enqueue(one(job_id))
        bench.when(CancelJob(job_id))
    assert bench.when(RetryJobs(("a", "b"))).reply == ("a",)
    assert holder(bench, one("c")) == "a"
    bench.check()


def test_an_owner_is_told_that_its_job_failed_where_others_are_refused() -> None:
    bench = Bench()
    bench.enqueue(one("a"))
    [(peer, told)] = bench.enqueue(one("r.0", owner="run:r")).tells
    assert (peer, type(told)) == ("supervisor", JobEnded)
    assert isinstance(told, JobEnded)
    assert (told.status, told.error) == ("FAILED", "the unique key 'k' of queue 'q' belongs to job 'a'")


REPLACE = Conflict.REPLACE


@pytest.mark.parametrize(
    "jobs",
    [
        (one("b", conflict=REPLACE, after=("a",)),),
        (one("b", conflict=REPLACE), spec("c", after=("a",))),
        (spec("c", after=("a",)), one("b", conflict=REPLACE)),
        (one("b", conflict=REPLACE), spec("c", after=("a2",))),
    ],
)
def test_nobody_waits_for_a_job_that_the_same_command_replaces(jobs: tuple[JobSpec, ...]) -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(one("a", conflict=REPLACE), spec("a2", after=("a",)))
    with pytest.raises(InputError, match=r"^job '.' is to run after 'a2?', which would be replaced$"):
        bench.decide(EnqueueJobs(jobs=jobs))


def test_a_job_that_is_cancelled_with_one_that_is_replaced_is_replaced_too() -> None:
    bench = Bench(served=frozenset())
    other = Terms(unique=Unique("l", conflict=REPLACE))
    bench.enqueue(one("a", conflict=REPLACE), spec("b", terms=other, after=("a",)))
    bench.enqueue(one("c", conflict=REPLACE), spec("d", terms=other))
    assert [event.job_id for event in bench.log if isinstance(event, JobCancelled)] == ["a", "b"]
    assert set(bench.state.jobs) == {"c", "d"}
    bench.check()


@pytest.mark.parametrize("conflict", [Conflict.REJECT, Conflict.RETURN])
def test_a_job_that_the_same_command_cancels_has_no_key_any_more(conflict: Conflict) -> None:
    """The id of one that is cancelled was returned instead of the new job, which nobody would ever have done."""
    bench = Bench(served=frozenset())
    other = Terms(unique=Unique("l", conflict=conflict))
    bench.enqueue(one("a", conflict=REPLACE), spec("b", terms=other, after=("a",)))
    assert bench.enqueue(one("c", conflict=REPLACE), spec("d", terms=other)).reply == ("c", "d")
    assert set(bench.state.jobs) == {"c", "d"}
    bench.check()


def test_a_key_that_is_moved_ends_what_was_taken_for_a_period_though_the_clock_is_set_back() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(one("a", Scope.PERIOD))
    bench.when(CancelJob("a"))
    bench.pass_time(60 * SECOND)
    bench.enqueue(one("b", queue="other"))
    bench.when(MoveJobs(("b",), "q"))
    bench.pass_time(-30 * SECOND)
    assert holder(bench, one("c")) == "b"
    bench.check()
