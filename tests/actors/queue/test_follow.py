"""Jobs that follow others: on success, on failure, and what becomes of those that are not wanted."""

from __future__ import annotations

import pytest

from actors.queue.events import JobCancelled, JobReady, JobUnblocked
from actors.queue.messages import CancelJob, ClearQueue, EnqueueJobs, RetryJob
from actors.queue.specs import Conflict, JobLife, JobSpec, Terms, Unique
from actors.runtime.errors import DuplicateJobError, InputError
from tests.actors.queue.bench import NEVER_AGAIN, SECOND, START, Bench, spec


def on_failure(job_id: str, of: str, *after: str, due_us: int = 0) -> JobSpec:
    return spec(job_id, terms=Terms(on_failure_of=of), after=after, due_us=due_us)


def parent(bench: Bench) -> Bench:
    bench.enqueue(
        spec("a", retry=NEVER_AGAIN),
        spec("ok", after=("a",)),
        on_failure("failed", "a"),
        spec("x", after=("failed",)),
    )
    return bench


def test_a_success_lets_one_start_and_cancels_the_other_and_what_waits_for_it() -> None:
    bench = parent(Bench())
    said = bench.finish("a")
    assert [event.job_id for event in said.of(JobReady)] == ["ok"]
    assert [event.job_id for event in said.of(JobCancelled)] == ["failed", "x"]
    assert said.of(JobCancelled)[0].reason == "job 'a' did not fail"
    bench.check()


@pytest.mark.parametrize("how", ["fails", "dies"])
def test_a_failure_lets_the_other_one_start(how: str) -> None:
    bench = parent(Bench())
    if how == "fails":
        said = bench.finish("a", "error", error="E")
    else:
        bench.restart()
        bench.restart()
        said = bench.restart()
    assert [event.job_id for event in said.of(JobReady)] == ["failed"]
    assert [event.job_id for event in said.of(JobCancelled)] == ["ok"]
    bench.check()
    assert bench.running == ["failed"]


def test_of_those_it_is_to_follow_only_the_ones_that_have_not_ended_are_remembered() -> None:
    bench = Bench()
    bench.enqueue(spec("over"), spec("live"))
    bench.finish("over")
    bench.enqueue(spec("behind", after=("over", "live")))
    assert bench.state.dependents == {"live": ["behind"]}
    bench.finish("live")
    assert not bench.state.dependents
    bench.check()


def test_a_cancelled_job_has_not_failed() -> None:
    bench = parent(Bench())
    said = bench.when(CancelJob("a"))
    assert {event.job_id for event in said.of(JobCancelled)} == {"a", "ok", "failed", "x"}
    bench.check()


def test_who_follows_what_a_queue_is_cleared_of_is_cancelled_wherever_it_stands() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(spec("a"), *(spec(job_id, after=("a",), queue="other") for job_id in ("b", "c", "d")))
    assert bench.when(ClearQueue("q")).reply == 1
    assert not bench.state.jobs
    bench.check()


def test_what_waits_for_more_than_a_failure_goes_on_waiting() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(spec("a", retry=NEVER_AGAIN), spec("b"), on_failure("f", "a", "b", due_us=START + SECOND))
    assert bench.finish("a", "error", error="E").of(JobUnblocked)
    assert bench.finish("b").of(JobUnblocked)
    bench.check()
    bench.pass_time(SECOND)
    assert bench.running == ["f"]


@pytest.mark.parametrize(
    "other", [spec("c", after=("f", "a")), on_failure("c", "a", "f")], ids=["job", "callback"]
)
def test_one_that_waits_for_an_end_and_for_what_that_end_cancels_is_cancelled_once(other: JobSpec) -> None:
    bench = Bench()
    bench.enqueue(spec("a"), on_failure("f", "a"), other)
    assert [event.job_id for event in bench.finish("a").of(JobCancelled)] == ["f", "c"]
    bench.check()


@pytest.mark.parametrize("first", ["a", "x"])
def test_one_that_waits_for_two_that_end_together_is_cancelled_once(first: str) -> None:
    """Two that die with their process are given up in one decision, when the store is opened again."""
    bench = Bench(capacity=2)
    both = [spec("a", retry=NEVER_AGAIN), spec("x", retry=NEVER_AGAIN)]
    bench.enqueue(*both[:: 1 if first == "a" else -1], on_failure("d", "a", "x"))
    bench.restart()
    bench.restart()
    said = bench.restart()
    assert [event.job_id for event in said.of(JobCancelled)] == ["d"]
    bench.check()


def test_what_is_cancelled_with_one_that_expires_does_not_wait_for_the_failure_of_another() -> None:
    bench = Bench()
    short, soon = JobLife(timeout_us=SECOND), JobLife(expires_in_us=SECOND)
    bench.enqueue(spec("a", retry=NEVER_AGAIN, life=short), spec("x", life=soon), on_failure("d", "a", "x"))
    said = bench.pass_time(SECOND)
    assert [event.job_id for event in said.of(JobCancelled)] == ["d"]
    bench.check()


def test_one_that_is_taken_up_again_waits_for_nothing() -> None:
    bench = parent(Bench())
    bench.finish("a")
    bench.finish("ok")
    bench.when(RetryJob("failed"))
    assert bench.running == ["failed"]
    bench.check()


def test_what_has_ended_can_fail_no_more() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a")
    refusal = bench.refusal(EnqueueJobs(jobs=(on_failure("f", "a"),)))
    assert isinstance(refusal, InputError)
    assert str(refusal) == "job 'f' is to run should 'a' fail, which is COMPLETED"


def test_what_follows_a_job_that_was_not_enqueued_is_not_either() -> None:
    bench = Bench()
    same = Terms(unique=Unique("k", conflict=Conflict.RETURN))
    bench.enqueue(spec("a", terms=same))
    jobs = (spec("b", terms=same), spec("c", after=("b",)), on_failure("d", "c"), spec("e"))
    assert bench.enqueue(*jobs).reply == ("a", "", "", "e")
    assert bench.ids == {"a", "e"}


def test_a_chain_is_refused_whole_if_another_job_has_the_place_of_one_that_others_follow() -> None:
    bench = Bench()
    same = Terms(unique=Unique("k", conflict=Conflict.RETURN))
    bench.enqueue(spec("a", terms=same))
    jobs = (spec("b", terms=same), spec("c"), spec("d", after=("b", "c")))
    refusal = bench.refusal(EnqueueJobs(jobs=jobs, whole=True))
    assert isinstance(refusal, DuplicateJobError)
    assert refusal.job_id == "a"
    assert (
        str(refusal) == "job 'job d' is to run after 'b', which is not enqueued: job 'a' has its unique key"
    )
    last = (spec("c"), spec("e", after=("c",), terms=same))
    assert bench.when(EnqueueJobs(jobs=last, whole=True)).reply == ("c", "a")
