"""What is cancelled, cleared and taken up again, and what that does to those who wait for it."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.events import (
    JobCancelled,
    JobFailed,
    JobReady,
    JobRetried,
    JobRetrying,
    JobStarted,
    JobUnblocked,
)
from actors.queue.messages import (
    CancelJob,
    CancelOwned,
    ClearQueue,
    EnqueueJobs,
    GetJob,
    GetStats,
    JobEnded,
    ListJobs,
    RetryJob,
)
from actors.queue.specs import RetryPolicy
from actors.runtime.errors import InputError, UnknownIdError
from tests.actors.queue.bench import (
    NEVER_AGAIN,
    SECOND,
    START,
    Bench,
    lease_and_lose,
    spec,
    stale,
)


def idle(**more: Any) -> Bench:
    """A queue that nobody serves."""
    return Bench(served=frozenset(), **more)


# -- cancelling and retrying ---------------------------------------------------------------------------


def test_cancelling_what_is_unknown_or_over_changes_nothing() -> None:
    bench = Bench()
    assert bench.when(CancelJob("never")).reply is False
    bench.enqueue(spec("a"))
    bench.finish("a")
    said = bench.when(CancelJob("a"))
    assert (said.reply, said.events) == (False, [])


@pytest.mark.parametrize("status", ["PENDING", "SCHEDULED", "RETRYING", "RUNNING", "UNRESOLVED"])
def test_a_job_can_be_cancelled_wherever_it_stands(status: str) -> None:
    bench = Bench(served=frozenset() if status in ("PENDING", "SCHEDULED") else None)
    bench.enqueue(
        spec("a", retry=RetryPolicy(1, SECOND, SECOND), due_us=START + SECOND if status == "SCHEDULED" else 0)
    )
    if status == "RETRYING":
        bench.finish("a", "error")
    elif status == "UNRESOLVED":
        bench.finish("a", "unresolved")
    assert bench.when(GetJob("a")).reply.status == status
    assert bench.when(CancelJob("a")).reply is True
    bench.check()
    bench.served = None
    assert bench.pass_time(99 * SECOND).events == []
    stats = bench.when(GetStats("q")).reply
    assert {name for name, count in stats.by_status.items() if count} == {"CANCELLED"}
    assert (stats.ready, stats.waiting) == (0, 0)


def test_an_owner_who_cancels_is_answered_every_time() -> None:
    bench = Bench()
    bench.enqueue(spec("r.0", owner="run:r"))
    cancel = CancelOwned("r.0", "run:r")
    ended = JobEnded("r.0", "CANCELLED", "cancelled by its owner", 0, START)
    assert bench.when(cancel).tells == [("supervisor", ended)]
    assert bench.when(cancel).tells == [("supervisor", ended)]
    bench.state.forget(bench.state.take_retired())
    assert bench.when(cancel).tells == [("supervisor", ended)]
    assert bench.when(CancelOwned("r.7", "run:r")).tells == [
        ("supervisor", JobEnded("r.7", "CANCELLED", "", 0, START))
    ]


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("was", ["FAILED", "CANCELLED"])
def test_what_has_failed_or_was_cancelled_can_be_taken_up_again_with_all_its_tries(
    was: str, durable: bool
) -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=RetryPolicy(1, 0, 0), priority=4))
    if was == "FAILED":
        bench.finish("a", "error")
        bench.finish("a", "error")
    else:
        bench.finish("a", "error")
        bench.when(CancelJob("a"))
        stale(bench, "a", 2)
    if durable:
        bench.state.forget(bench.state.take_retired())
    said = bench.when(RetryJob("a"))
    (retried, started) = said.events
    assert isinstance(retried, JobRetried)
    assert (retried.attempts, retried.was, retried.spec.payload) == (2, was, b"")
    assert started == JobStarted("a", 3, 1, START)
    bench.check()
    bench.finish("a", "error")
    assert bench.running == ["a"]
    assert bench.finish("a", "error").of(JobFailed)
    assert bench.when(GetStats("q")).reply.by_status[was] == (was == "FAILED")
    bench.check()


def test_a_retry_that_makes_no_sense_is_refused() -> None:
    bench = idle()
    unknown = bench.refusal(RetryJob("never"))
    assert isinstance(unknown, UnknownIdError)
    assert str(unknown) == "no job 'never' on record"
    bench.enqueue(spec("a"), spec("b"))
    waiting = bench.refusal(RetryJob("a"))
    assert isinstance(waiting, InputError)
    assert str(waiting) == "job 'a' is PENDING; only a failed, cancelled or expired job can be retried"
    bench.served = None
    bench.settle()
    bench.finish("a")
    done = bench.refusal(RetryJob("a"))
    assert str(done) == "job 'a' is COMPLETED; only a failed, cancelled or expired job can be retried"


def test_a_step_is_retried_through_its_run() -> None:
    bench = Bench()
    bench.enqueue(spec("r.0", owner="run:r", retry=NEVER_AGAIN))
    bench.finish("r.0", "error")
    refusal = bench.refusal(RetryJob("r.0"))
    assert str(refusal) == "job 'r.0' belongs to 'run:r'; it can only be retried with that"


def test_clearing_cancels_what_has_not_begun_and_nothing_else() -> None:
    bench = Bench()
    bench.enqueue(spec("run"), spec("a"), spec("b", due_us=START + SECOND), spec("o", queue="other"))
    said = bench.when(ClearQueue("q"))
    assert said.reply == 2
    assert [event.job_id for event in said.of(JobCancelled)] == ["a", "b"]
    assert bench.when(ListJobs("q")).reply == ("run",)
    assert bench.when(ListJobs("other")).reply == ("o",)
    bench.check()


def test_clearing_a_queue_lets_go_what_waits_for_it_elsewhere() -> None:
    bench = idle()
    bench.enqueue(spec("a"), spec("b", queue="other", after=("a",)), spec("c", after=("a",)))
    said = bench.when(ClearQueue("q"))
    assert said.reply == 2
    assert [event.job_id for event in said.of(JobCancelled)] == ["a", "c", "b"]
    bench.check()


# -- dependencies --------------------------------------------------------------------------------------


def test_a_job_starts_once_all_it_waits_for_have_completed() -> None:
    bench = Bench(capacity=9)
    bench.enqueue(spec("a"), spec("b"), spec("c", after=("a", "b")))
    assert bench.running == ["a", "b"]
    assert bench.finish("b").of(JobUnblocked) == [JobUnblocked("c", "b")]
    bench.check()
    assert bench.finish("a").events[1:] == [
        JobReady("c", START, "dependencies"),
        JobStarted("c", 1, 1, START),
    ]
    bench.check()


def test_naming_a_dependency_twice_is_naming_it_once() -> None:
    bench = Bench()
    bench.enqueue(spec("a"), spec("b", after=("a", "a")))
    bench.finish("a")
    assert bench.running == ["b"]
    bench.check()


def test_what_has_completed_already_is_not_waited_for() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a")
    bench.enqueue(spec("b", after=("a",)))
    assert bench.running == ["b"]
    bench.finish("b")
    bench.state.forget(bench.state.take_retired())
    bench.enqueue(spec("c", after=("a", "b")))
    assert bench.running == ["c"]


def test_waiting_for_what_is_unknown_or_has_failed_is_refused() -> None:
    bench = Bench()
    unknown = bench.refusal(EnqueueJobs(jobs=(spec("b", after=("a",)),)))
    assert isinstance(unknown, UnknownIdError)
    assert str(unknown) == "job 'b' is to run after 'a', which is not on record"
    assert isinstance(bench.refusal(EnqueueJobs(jobs=(spec("b", after=("b",)),))), UnknownIdError)
    bench.enqueue(spec("a", retry=NEVER_AGAIN))
    bench.finish("a", "error")
    failed = bench.refusal(EnqueueJobs(jobs=(spec("b", after=("a",)),)))
    assert isinstance(failed, InputError)
    assert str(failed) == "job 'b' is to run after 'a', which is FAILED"


@pytest.mark.parametrize("how", ["fails", "is cancelled", "dies", "is cleared"])
def test_whatever_waits_for_a_job_that_does_not_complete_is_cancelled_all_the_way(how: str) -> None:
    bench = Bench(capacity=0 if how == "is cleared" else 1)
    bench.enqueue(
        spec("a", retry=NEVER_AGAIN, priority=1),
        spec("b", after=("a",), queue="other", owner="run:r"),
        spec("c", after=("b",)),
        spec("d", after=("c", "b")),
        spec("e", queue="other"),
    )
    if how == "fails":
        said = bench.finish("a", "error")
    elif how == "is cancelled":
        said = bench.when(CancelJob("a"))
    elif how == "dies":
        bench.restart()
        bench.restart()
        said = bench.restart()
    else:
        said = bench.when(ClearQueue("q"))
    gone = {event.job_id for event in said.of(JobCancelled)}
    assert gone - {"a"} == {"b", "c", "d"}
    assert [message.job_id for _, message in said.tells if isinstance(message, JobEnded)] == ["b"]
    assert "e" in bench.state.jobs
    bench.check()


def test_what_waits_for_two_jobs_that_die_together_is_cancelled_once() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(spec("a"), spec("b"), spec("c", after=("a", "b")), spec("d", after=("c",)))
    said = [bench.restart() for _ in range(4)][-1]
    assert [event.job_id for event in said.of(JobFailed, JobCancelled)] == ["a", "c", "d", "b"]
    bench.check()


def test_what_waits_for_two_leases_that_run_out_together_is_cancelled_once() -> None:
    bench = idle()
    bench.enqueue(spec("a"), spec("b"), spec("c", after=("a", "b")))
    said = [lease_and_lose(bench) for _ in range(4)][-1]
    assert [event.job_id for event in said.of(JobFailed, JobCancelled)] == ["a", "c", "b"]
    bench.check()


def test_a_chain_of_ten_thousand_is_cancelled_without_recursion() -> None:
    bench = idle()
    bench.enqueued(spec("0"), *(spec(str(n), after=(str(n - 1),)) for n in range(1, 10_000)))
    assert len(bench.decide(CancelJob("0")).events) == 10_000


def test_a_job_retried_on_its_own_does_not_wait_or_fall_with_what_it_waited_for() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(spec("a"), spec("b", after=("a",)))
    bench.when(CancelJob("b"))
    bench.when(RetryJob("b"))
    assert bench.running == ["a", "b"]
    assert bench.finish("a").of(JobUnblocked, JobReady) == []
    assert bench.finish("b", "error").of(JobRetrying)
    assert bench.running == ["b"]
    bench.check()


def test_a_job_retried_on_its_own_does_not_fall_with_what_it_waited_for() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(spec("a", retry=NEVER_AGAIN), spec("b", after=("a",)))
    bench.when(CancelJob("b"))
    bench.when(RetryJob("b"))
    bench.finish("a", "error")
    assert bench.running == ["b"]
    bench.check()


@pytest.mark.parametrize("first", ["time", "dependency"])
def test_a_job_that_waits_for_a_time_and_for_a_job_waits_for_both(first: str) -> None:
    bench = Bench()
    bench.enqueue(spec("a"), spec("b", after=("a",), due_us=START + SECOND))
    if first == "time":
        bench.pass_time(SECOND)
        bench.check()
        assert bench.running == ["a"]
        bench.finish("a")
    else:
        bench.finish("a")
        bench.check()
        assert bench.running == []
        bench.pass_time(SECOND)
    assert bench.running == ["b"]
    bench.check()
