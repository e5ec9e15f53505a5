"""The rules of the queue, as given events, when something is said, then events, effects and words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queue.admission import digest_of
from actors.queue.events import (
    AttemptInterrupted,
    AttemptRefused,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobFailed,
    JobLeased,
    JobReady,
    JobRetried,
    JobRetrying,
    JobStarted,
    JobUnblocked,
    JobUnresolved,
    QueuePaused,
    QueueResumed,
)
from actors.queue.messages import (
    CancelJob,
    CancelOwned,
    ClearQueue,
    EnqueueJobs,
    FunctionsKnown,
    GetJob,
    GetStats,
    JobEnded,
    JobView,
    LeaseJob,
    ListJobs,
    ListQueues,
    PauseQueue,
    PeekQueue,
    ResumeQueue,
    RetryJob,
    SettleLease,
    Unfinished,
)
from actors.queue.specs import FIRINGS, STEPS, JobSpec, JobStatus, RetryPolicy
from actors.queue.starting import PREFETCH, PREFETCH_US
from actors.queue.state import FRESH_BYTES, FRESH_JOBS, PROCESS_ENDED
from actors.runtime.effects import (
    Acknowledge,
    AttemptFinished,
    AttemptKey,
    CancelAttempt,
    ReportUnacknowledged,
    StartAttempt,
)
from actors.runtime.errors import ConflictingIdError, InputError, InternalError, UnknownIdError
from actors.runtime.messages import Message, Nudge, Shutdown
from tests.actors.queue.bench import (
    NEVER_AGAIN,
    RULES,
    SECOND,
    START,
    Bench,
    Said,
    spec,
    start_of,
    through_image,
)


def idle(**more: Any) -> Bench:
    """A queue that nobody serves."""
    return Bench(served=frozenset(), **more)


# -- enqueueing ----------------------------------------------------------------------------------------


def test_a_job_is_recorded_with_its_fingerprint_and_started_by_a_free_worker() -> None:
    bench = Bench()
    said = bench.enqueue(spec("a"))
    assert said.reply == ("a",)
    assert said.events == [
        JobEnqueued(spec("a"), digest_of(spec("a")), START),
        JobStarted("a", 1, 1, START),
    ]
    assert said.effects == [start_of("a", spec=spec("a"))]
    bench.check()


def test_few_jobs_are_remembered_as_they_were_enqueued_until_they_start() -> None:
    bench = idle()
    bench.enqueue(spec("long", payload=b"x" * (FRESH_BYTES + 1)), spec("first"), spec("second"), spec("gone"))
    assert list(bench.state.fresh) == ["first", "second", "gone"]
    bench.when(CancelJob("gone"))
    bench.served = None
    starts = [start for start in bench.settle().effects if isinstance(start, StartAttempt)]
    assert starts == [start_of("long")], "what is not remembered is read from the log"
    assert list(bench.state.fresh) == ["first", "second"]
    assert start_of("first", spec=spec("first")) in bench.finish("long").effects
    assert not bench.state.fresh
    many = idle()
    many.enqueue(*(spec(f"job-{number}") for number in range(FRESH_JOBS + 10)))
    assert len(many.state.fresh) == FRESH_JOBS
    assert not through_image(many.state).fresh


def test_all_jobs_of_one_command_are_recorded_in_their_order() -> None:
    bench = idle()
    assert bench.enqueue(spec("b"), spec("a"), spec("c")).reply == ("b", "a", "c")
    assert bench.when(ListJobs("q")).reply == ("b", "a", "c")


def test_saying_it_again_with_the_same_body_changes_nothing() -> None:
    bench = idle()
    bench.enqueue(spec("a"))
    said = bench.enqueue(spec("a"))
    assert (said.events, said.reply) == ([], ("a",))


@pytest.mark.parametrize("settled", ["in memory", "on disk"])
def test_saying_it_again_after_its_end_changes_nothing(settled: str) -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a")
    if settled == "on disk":
        bench.state.forget(bench.state.take_retired())
    assert bench.enqueue(spec("a")).events == []


@pytest.mark.parametrize("when", ["waiting", "ended", "forgotten", "same command"])
def test_another_body_under_a_known_id_is_a_conflict(when: str) -> None:
    bench = Bench(served=frozenset() if when == "waiting" else None)
    jobs: tuple[JobSpec, ...] = (spec("a", priority=5),)
    if when == "same command":
        jobs = (spec("a"), *jobs)
    else:
        bench.enqueue(spec("a"))
    if when in ("ended", "forgotten"):
        bench.finish("a")
    if when == "forgotten":
        bench.state.forget(bench.state.take_retired())
    refusal = bench.refusal(EnqueueJobs(jobs=jobs))
    assert isinstance(refusal, ConflictingIdError)
    assert str(refusal) == "job id 'a' is on record for another job"


def test_one_conflict_refuses_the_whole_command() -> None:
    bench = idle()
    bench.enqueue(spec("a"))
    bench.refusal(EnqueueJobs(jobs=(spec("b"), spec("a", priority=1))))
    assert bench.when(ListJobs("q")).reply == ("a",)


def test_fresh_ids_are_not_looked_up() -> None:
    assert list(RULES.lookups(RULES.initial(), EnqueueJobs(jobs=(spec("a"),)))) == ["job:a"]
    assert list(RULES.lookups(RULES.initial(), EnqueueJobs(jobs=(spec("a"),), fresh=True))) == []


def test_an_owner_who_asks_again_after_the_end_is_told_of_it_again() -> None:
    bench = Bench()
    mine = spec("r.0", owner="run:r")
    bench.enqueue(mine)
    told = bench.finish("r.0").tells
    assert told == [("supervisor", JobEnded("r.0", "COMPLETED", "", 1, START))]
    assert bench.enqueue(mine).tells == told
    bench.state.forget(bench.state.take_retired())
    assert bench.enqueue(mine).tells == told


def test_a_schedule_hears_of_its_jobs_as_a_run_does() -> None:
    bench = Bench()
    bench.enqueue(spec("s.1", owner="schedule:s", retry=NEVER_AGAIN))
    told = bench.finish("s.1", "error", error="ValueError: no").tells
    assert told == [("scheduler", JobEnded("s.1", "FAILED", "ValueError: no", 1, START))]


# -- order ---------------------------------------------------------------------------------------------


def start_order(bench: Bench) -> list[str]:
    """Run everything to its end on one worker; in which order it started."""
    bench.served = None
    bench.settle()
    while bench.running:
        bench.finish(bench.running[0])
    return bench.started()


def test_the_higher_priority_goes_first_and_equals_in_the_order_in_which_they_came() -> None:
    bench = idle()
    bench.enqueue(spec("a"), spec("b", priority=1), spec("c", priority=-1), spec("d", priority=1))
    assert start_order(bench) == ["b", "d", "a", "c"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from("xyz"))), st.data())
def test_whatever_is_enqueued_starts_by_priority_then_age_across_queues_and_restarts(
    jobs: list[tuple[int, str]], data: st.DataObject
) -> None:
    bench = idle()
    specs = [spec(f"{n}", priority=priority, queue=queue) for n, (priority, queue) in enumerate(jobs)]
    for each in specs:
        bench.enqueue(each)
        if data.draw(st.booleans()):
            bench.restart()
    expected = [each.job_id for each in sorted(specs, key=lambda each: -each.priority)]
    assert start_order(bench) == expected


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=12), st.data())
def test_what_is_cancelled_leaves_the_others_in_their_order(
    priorities: list[int], data: st.DataObject
) -> None:
    bench = idle()
    specs = [spec(f"{n}", priority=priority) for n, priority in enumerate(priorities)]
    bench.enqueue(*specs)
    gone = data.draw(st.sets(st.sampled_from([each.job_id for each in specs])))
    for job_id in gone:
        bench.when(CancelJob(job_id))
    bench.check()
    left = [each for each in sorted(specs, key=lambda each: -each.priority) if each.job_id not in gone]
    assert bench.when(PeekQueue("q")).reply == (left[0].job_id if left else None)
    assert start_order(bench) == [each.job_id for each in left]


# -- what is served ------------------------------------------------------------------------------------


def test_only_served_queues_start_and_none_means_all() -> None:
    bench = idle(capacity=9)
    bench.enqueue(spec("a", queue="one"), spec("b", queue="two"))
    assert bench.running == []
    bench.served = frozenset({"two"})
    bench.settle()
    assert bench.running == ["b"]
    bench.served = None
    bench.settle()
    assert bench.running == ["b", "a"]


def test_steps_are_always_served_and_firings_while_schedules_fire() -> None:
    bench = idle(capacity=9)
    bench.enqueue(spec("step", queue=STEPS), spec("firing", queue=FIRINGS))
    assert bench.running == ["step"]
    bench.scheduling = True
    bench.settle()
    assert bench.running == ["step", "firing"]


def test_a_paused_queue_starts_nothing_and_stays_paused_over_a_restart() -> None:
    bench = Bench()
    assert bench.when(PauseQueue("q")).events == [QueuePaused("q", START)]
    assert bench.when(PauseQueue("q")).events == []
    bench.enqueue(spec("a"))
    bench.restart()
    assert bench.running == []
    assert bench.when(LeaseJob("q", SECOND)).reply is None
    assert bench.when(Unfinished("q")).reply == 0
    bench.check()
    said = bench.when(ResumeQueue("q"))
    assert said.events == [QueueResumed("q", START), JobStarted("a", 1, 2, START)]
    assert bench.when(ResumeQueue("q")).events == []


# -- starting ahead ------------------------------------------------------------------------------------


def ready(bench: Bench, count: int, **more: Any) -> list[str]:
    ids = [f"w{n}" for n in range(count)]
    bench.enqueued(*(spec(job_id, **more) for job_id in ids))
    return ids


def knows(bench: Bench, run_us: int, function: str = "app:work") -> None:
    """Have the queue see one run of a function."""
    bench.enqueue(spec("first", function=function))
    bench.finish("first", run_us=run_us)


def test_no_more_than_free_workers_take_are_started_of_a_function_never_seen() -> None:
    bench = Bench(capacity=3)
    ready(bench, 10)
    bench.settle()
    assert bench.running == ["w0", "w1", "w2"]
    assert all(not event.behind for event in bench.log if isinstance(event, JobStarted))


def test_surely_short_functions_are_started_a_little_ahead() -> None:
    bench = Bench(capacity=2)
    knows(bench, run_us=100)
    ready(bench, 100)
    bench.settle()
    ahead = PREFETCH_US * 2 // 100
    starts = [event for event in bench.log if isinstance(event, JobStarted)][1:]
    assert [event.behind for event in starts] == [0, 0, *range(1, ahead + 1)]


def test_at_most_so_many_are_started_ahead() -> None:
    bench = Bench(capacity=2)
    knows(bench, run_us=0)
    ready(bench, 3 * PREFETCH)
    bench.settle()
    assert len(bench.running) == 2 + PREFETCH
    assert bench.settle().events == []


def test_long_functions_are_not_started_ahead() -> None:
    bench = Bench(capacity=2)
    knows(bench, run_us=PREFETCH_US * 2 + 1)
    ready(bench, 9)
    bench.settle()
    assert len(bench.running) == 2


def test_how_long_a_function_takes_follows_its_runs_slowly() -> None:
    """One run that the machine has interrupted must not stop the starts ahead; many long ones must."""
    bench = Bench(capacity=1)
    knows(bench, run_us=10)
    assert bench.state.run_us["app:work"] == 10
    bench.enqueue(spec("interrupted"))
    bench.finish("interrupted", run_us=5_000)
    assert bench.state.run_us["app:work"] == (10 * 7 + 5_000) // 8
    for number in range(30):
        bench.enqueue(spec(f"s{number}"))
        bench.finish(f"s{number}", run_us=5_000)
    assert bench.state.run_us["app:work"] > PREFETCH_US
    ready(bench, 3)
    bench.settle()
    assert len(bench.running) == 1


def test_nothing_is_started_while_the_engine_closes() -> None:
    bench = Bench(capacity=0)
    bench.enqueue(spec("a", queue=STEPS))
    assert bench.running == []


# -- suspects ------------------------------------------------------------------------------------------


def crashed(**more: Any) -> Bench:
    """A queue whose process has ended while `bad` was running."""
    bench = Bench(**more)
    knows(bench, run_us=10)
    bench.enqueue(spec("bad"))
    bench.served = frozenset()
    bench.restart()
    bench.served = None
    return bench


def test_nothing_is_started_behind_a_job_that_may_have_killed_its_process() -> None:
    bench = crashed(capacity=1)
    ready(bench, 5)
    bench.settle()
    assert bench.running == ["bad"]
    bench.check()
    bench.finish("bad")
    assert len(bench.running) > 1


def test_a_job_that_may_have_killed_its_process_is_not_started_behind_others() -> None:
    bench = crashed(capacity=1)
    bench.enqueued(spec("good", priority=1), spec("other"))
    bench.settle()
    assert bench.running == ["good"]


def test_an_attempt_given_back_or_closed_makes_nobody_suspect() -> None:
    bench = Bench()
    bench.enqueue(spec("a"))
    bench.finish("a", "returned")
    bench.ask(Shutdown())
    assert not bench.state.jobs["a"].course.suspect


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


def stale(bench: Bench, job_id: str, attempt: int, epoch: int = 1) -> list[Any]:
    key = AttemptKey(job_id, attempt, epoch)
    said = bench.when(AttemptFinished(key=key, outcome="ok", result=b"late"))
    assert said.effects[0] == Acknowledge(key=key)
    return said.events


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


# -- by hand -------------------------------------------------------------------------------------------


def leased(job_id: str = "a", **more: Any) -> tuple[Bench, AttemptKey]:
    bench = idle()
    bench.enqueue(spec(job_id, **more))
    key = bench.when(LeaseJob("q", 60 * SECOND)).reply
    assert isinstance(key, AttemptKey)
    return bench, key


def test_the_first_ready_job_is_given_out_for_a_while() -> None:
    bench = idle()
    assert bench.when(LeaseJob("q", SECOND)).reply is None
    bench.enqueue(spec("a"), spec("b", priority=1))
    said = bench.when(LeaseJob("q", SECOND))
    assert said.reply == AttemptKey("b", 1, 1)
    assert said.events == [JobLeased("b", 1, 1, START, START + SECOND)]
    assert bench.running == []
    assert bench.when(GetStats("q")).reply.by_status["RUNNING"] == 1
    assert bench.when(Unfinished("q")).reply == 1
    bench.check()


def test_hand_work_ends_as_its_taker_says() -> None:
    bench, key = leased()
    said = bench.when(SettleLease(key, "ok", result=b"r"))
    assert said.reply is True
    assert said.events == [JobCompleted("a", 1, b"r", START, 0)]
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench, key = leased()
    assert bench.when(SettleLease(key, "error", error="E")).events == [
        JobRetrying("a", 1, "E", "", START, START)
    ]
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench.check()


def test_an_unknown_outcome_is_refused() -> None:
    bench, key = leased()
    refusal = bench.refusal(SettleLease(key, "done"))
    assert isinstance(refusal, InputError)
    assert str(refusal) == "outcome: expected 'ok' or 'error', got 'done'"


def test_a_lease_that_runs_out_counts_as_an_attempt_and_fences_its_taker() -> None:
    bench, key = leased(retry=NEVER_AGAIN)
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 60 * SECOND
    assert bench.pass_time(60 * SECOND - 1).events == []
    said = bench.pass_time(1)
    assert said.events == [AttemptInterrupted("a", 1, bench.now_us, charged=True, reason="lease expired")]
    assert not bench.state.jobs["a"].course.suspect
    assert bench.when(SettleLease(key, "ok")).reply is False
    assert [lease_and_lose(bench) for _ in range(2)][-1].of(JobFailed)
    bench.check()


def test_hand_work_is_cut_off_at_once_by_the_end_of_its_process_and_charged() -> None:
    bench, key = leased(retry=NEVER_AGAIN)
    assert bench.rebuild().events == []
    said = bench.restart()
    assert said.events == [
        AttemptInterrupted("a", 1, START, charged=True, reason="process ended while taken by hand")
    ]
    assert bench.when(SettleLease(key, "ok")).reply is False


def test_closing_takes_hand_work_back_uncharged() -> None:
    bench, _ = leased(retry=NEVER_AGAIN)
    assert bench.ask(Shutdown()).events == [AttemptInterrupted("a", 1, START, charged=False, reason="closed")]
    assert bench.restart().events == []
    bench.check()


def test_hand_work_can_be_cancelled() -> None:
    bench, key = leased()
    said = bench.when(CancelJob("a"))
    assert said.reply is True
    assert said.effects == []
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench.check()


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


def lease_and_lose(bench: Bench) -> Said:
    bench.when(LeaseJob("q", SECOND))
    bench.when(LeaseJob("q", SECOND))
    return bench.pass_time(SECOND)


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


# -- time ----------------------------------------------------------------------------------------------


def test_scheduled_jobs_become_ready_in_the_order_of_their_times() -> None:
    bench = idle()
    bench.enqueue(*(spec(f"{n}", due_us=START + n * SECOND) for n in (3, 1, 2, 9)))
    assert bench.when(GetStats("q")).reply.waiting == 4
    assert RULES.next_wake_us(bench.state, bench.context()) == START + SECOND
    ready = bench.pass_time(3 * SECOND).of(JobReady)
    assert [event.job_id for event in ready] == ["1", "2", "3"]
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 9 * SECOND
    bench.check()


def test_a_time_in_the_past_means_now() -> None:
    bench = Bench()
    bench.enqueue(spec("a", due_us=START - 1))
    assert bench.running == ["a"]


# -- counts --------------------------------------------------------------------------------------------


def test_counts_of_one_queue_and_of_all() -> None:
    bench = Bench(served=frozenset({"one"}))
    bench.enqueue(spec("a", queue="one"), spec("b", queue="two"), spec("c", queue="two", due_us=START + 1))
    bench.finish("a")
    two, total = (bench.when(GetStats(name)).reply for name in ("two", ""))
    assert (two.ready, two.waiting, two.by_status["PENDING"]) == (1, 1, 1)
    assert (total.by_status["COMPLETED"], total.ready, total.waiting) == (1, 1, 1)
    assert set(total.by_status) == set(map(str, JobStatus))
    assert bench.when(GetStats("three")).reply.by_status == dict.fromkeys(map(str, JobStatus), 0)
    assert bench.when(ListQueues()).reply == ("one", "two")


def test_the_queue_says_what_it_does_not_know() -> None:
    refusal = Bench().refusal(Nudge())
    assert isinstance(refusal, InternalError)
    assert str(refusal) == "the queue does not know what to do with Nudge"


@pytest.mark.parametrize(
    "message",
    [GetJob("j"), GetStats("q"), PeekQueue("q"), Unfinished("q"), ListJobs("q"), ListQueues()],
    ids=lambda message: type(message).__name__,
)
def test_a_question_changes_nothing(message: Message) -> None:
    bench = idle()
    bench.enqueue(spec("j"))
    decision = bench.decide(message)
    assert (decision.events, decision.effects, decision.tells) == ([], [], [])
