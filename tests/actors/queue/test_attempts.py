"""How attempts end, and what becomes of results that do not count."""

from __future__ import annotations

import pytest

from actors.queue.events import (
    AttemptInterrupted,
    AttemptRefused,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobReady,
    JobRetrying,
    JobStarted,
    JobUnresolved,
)
from actors.queue.messages import (
    CancelJob,
    FunctionsKnown,
    GetJob,
    GetStats,
    JobEnded,
    JobView,
    Unfinished,
)
from actors.queue.specs import RetryPolicy
from actors.queue.state import PROCESS_ENDED
from actors.runtime.effects import (
    Acknowledge,
    AttemptKey,
    CancelAttempt,
    ReportUnacknowledged,
)
from actors.runtime.messages import Shutdown
from tests.actors.queue.bench import (
    NEVER_AGAIN,
    RULES,
    SECOND,
    START,
    Bench,
    knows,
    spec,
    stale,
    start_of,
)

# -- the end of an attempt -----------------------------------------------------------------------------


def test_a_success_is_recorded_with_its_result_and_acknowledged() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    said = bench.finish("a", result=b"x", run_us=7)
    assert said.events == [JobCompleted("a", 1, b"x", START, 7)]
    assert said.effects == [Acknowledge(key=AttemptKey("a", 1, 1))]
    assert bench.when(GetJob("a")).reply is None
    bench.check()


def test_a_failure_is_tried_again_until_the_tries_are_used_up() -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=RetryPolicy(2, 0, 0)))
    for attempt in (1, 2):
        said = bench.finish("a", "error", error="E", traceback="T")
        assert said.events == [
            JobRetrying("a", attempt, "E", "T", START, START),
            JobStarted("a", attempt + 1, 1, START),
        ]
    assert bench.finish("a", "error", error="E").events == [JobFailed("a", 3, "E", "", START)]
    assert bench.when(GetStats("q")).reply.retried == 2
    bench.check()


def test_a_failed_attempt_waits_for_its_time_in_between() -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=RetryPolicy(1, SECOND, SECOND)))
    (retrying,) = bench.finish("a", "error", error="E").events
    assert isinstance(retrying, JobRetrying)
    assert START < retrying.due_us <= START + SECOND
    assert RULES.next_wake_us(bench.state, bench.context()) == retrying.due_us
    assert bench.when(GetJob("a")).reply == JobView("a", "q", "RETRYING", 1, retrying.due_us)
    bench.check()
    assert bench.pass_time(retrying.due_us - START - 1).events == []
    said = bench.pass_time(1)
    assert said.events == [
        JobReady("a", retrying.due_us, "due"),
        JobStarted("a", 2, 1, retrying.due_us),
    ]
    assert RULES.next_wake_us(bench.state, bench.context()) is None


def test_an_attempt_given_back_is_ready_again_uncharged() -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=NEVER_AGAIN))
    said = bench.finish("a", "returned")
    assert said.events == [
        AttemptInterrupted("a", 1, START, charged=False, reason="returned"),
        JobStarted("a", 2, 1, START),
    ]
    bench.check()


def test_a_function_that_is_not_found_parks_its_jobs_uncharged_until_it_is() -> None:
    bench = Bench()
    bench.enqueue(spec("a", function="app:gone", retry=NEVER_AGAIN), spec("b"))
    said = bench.finish("a", "unresolved", error="gone")
    assert said.events == [JobUnresolved("a", 1, "gone", START), JobStarted("b", 1, 1, START)]
    assert bench.when(GetJob("a")).reply == JobView("a", "q", "UNRESOLVED", 0, 0)
    assert bench.when(Unfinished("q")).reply == 1
    bench.check()
    bench.finish("b")
    assert bench.when(FunctionsKnown(("app:other",))).events == []
    said = bench.when(FunctionsKnown(("app:gone",)))
    assert said.events == [JobReady("a", START, "function known"), JobStarted("a", 2, 1, START)]
    bench.check()


def test_a_function_that_is_not_found_is_looked_for_again_at_every_opening_and_rebuild() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a", "unresolved", error="gone")
    assert bench.restart().events == [JobReady("a", START, "reopened"), JobStarted("a", 2, 2, START)]
    bench.finish("a", "unresolved", error="gone")
    assert bench.rebuild().events == [JobReady("a", START, "reopened"), JobStarted("a", 3, 2, START)]


# -- results that do not count -------------------------------------------------------------------------


def test_the_result_of_a_superseded_attempt_is_refused_and_recorded() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.restart()
    assert bench.state.jobs["a"].course.attempt == 2
    assert stale(bench, "a", 1) == [AttemptRefused("a", 1, "ok", START)]
    assert bench.finish("a").of(JobCompleted)
    bench.check()


def test_the_late_result_of_a_cancelled_job_is_refused_and_recorded_once() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    key = bench.state.jobs["a"].key
    said = bench.when(CancelJob("a"))
    assert said.effects == [CancelAttempt(key=key)]
    assert said.events == [JobCancelled("a", 1, START, "cancelled by a caller")]
    bench.enqueue(spec("b"))
    assert bench.running == [], "its worker is still taken"
    bench.check()
    assert stale(bench, "a", 1) == [AttemptRefused("a", 1, "ok", START), JobStarted("b", 1, 1, START)]
    assert stale(bench, "a", 1) == []
    bench.state.forget(bench.state.take_retired())
    assert stale(bench, "a", 1) == []
    bench.check()


def test_the_same_end_said_twice_is_acknowledged_silently() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a")
    assert stale(bench, "a", 1) == []
    bench.state.forget(bench.state.take_retired())
    assert stale(bench, "a", 1) == []


def test_the_same_failure_said_twice_is_acknowledged_silently() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    end = bench.ended("a", "error", error="E")
    bench.when(end)
    assert bench.running == ["a"]
    assert bench.when(end).events == []


def test_the_late_result_of_a_live_job_is_recorded_once() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.restart()
    assert stale(bench, "a", 1) == [AttemptRefused("a", 1, "ok", START)]
    assert stale(bench, "a", 1) == []
    bench.enqueue(spec("b"))
    bench.finish("a", "returned")
    assert stale(bench, "a", 2, epoch=2) == []


def test_the_end_of_a_job_that_no_log_knows_is_acknowledged_and_forgotten() -> None:
    assert stale(Bench(), "never", 1) == []


def test_a_worker_of_an_earlier_process_takes_no_place_of_this_one() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.when(CancelJob("a"))
    bench.restart()
    bench.enqueue(spec("b"))
    assert bench.running == ["b"]


# -- the end of the process ----------------------------------------------------------------------------


def test_a_running_attempt_is_said_again_after_a_rebuild() -> None:
    bench = Bench()
    bench.enqueue(spec("a", owner="run:r"))
    said = bench.rebuild()
    assert said.events == []
    assert said.effects == [start_of("a", owner="run:r"), ReportUnacknowledged()]


def test_a_running_attempt_is_interrupted_at_the_next_opening_charged_and_tried_again() -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=NEVER_AGAIN))
    said = bench.restart()
    assert said.events == [
        AttemptInterrupted("a", 1, START, charged=True, reason=PROCESS_ENDED),
        JobStarted("a", 2, 2, START),
    ]
    bench.check()


def test_a_start_behind_others_that_may_never_have_begun_is_not_charged() -> None:
    bench = Bench(capacity=1)
    knows(bench, run_us=10)
    bench.enqueued(spec("a"), spec("b"))
    bench.settle()
    assert bench.running == ["a", "b"]
    bench.served = frozenset()
    interrupted = bench.restart().of(AttemptInterrupted)
    assert [(event.job_id, event.charged) for event in interrupted] == [("a", True), ("b", False)]


@pytest.mark.parametrize(("max_retries", "starts"), [(0, 3), (2, 3), (3, 4), (5, 6)])
def test_a_job_that_kills_its_process_parks_after_its_starts(max_retries: int, starts: int) -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=RetryPolicy(max_retries, 0, 0), owner="run:r"))
    for _ in range(starts - 1):
        assert bench.restart().tells == []
    said = bench.restart()
    error = f"Interrupted: the process or lease ended during each of {starts} attempts"
    assert said.events == [JobFailed("a", starts, error, "", START)]
    assert said.tells == [("supervisor", JobEnded("a", "FAILED", error, starts, START))]
    bench.check()


def test_closing_charges_nobody_however_often() -> None:
    bench = Bench()
    bench.enqueue(spec("a", retry=NEVER_AGAIN))
    for attempt in range(1, 9):
        said = bench.ask(Shutdown())
        assert said.events == [AttemptInterrupted("a", attempt, START, charged=False, reason="closed")]
        bench.restart()
    assert bench.state.jobs["a"].course.charged == 0
