"""Who starts next: order, what is served, starting ahead, and who goes alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queue.events import (
    JobEnqueued,
    JobReady,
    JobStarted,
    QueuePaused,
    QueueResumed,
)
from actors.queue.messages import (
    CancelJob,
    LeaseJob,
    PauseQueue,
    PeekQueue,
    ResumeQueue,
    Unfinished,
)
from actors.queue.specs import FIRINGS, STEPS
from actors.queue.starting import DUE_AT_ONCE, PREFETCH, PREFETCH_US
from actors.runtime.messages import Shutdown
from tests.actors.queue.bench import (
    RULES,
    SECOND,
    START,
    Bench,
    knows,
    spec,
)
from tests.support.work import lines_run


def idle(**more: Any) -> Bench:
    """A queue that nobody serves."""
    return Bench(served=frozenset(), **more)


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


# -- many at once ----------------------------------------------------------------------------------------


def test_of_very_many_that_fall_due_at_once_a_turn_makes_some_ready_and_the_queue_wakes_at_once() -> None:
    bench = idle()
    many = 2 * DUE_AT_ONCE + 3
    jobs = [spec(f"{n:05}", queue=f"q{n % 3}", due_us=START + SECOND + n // 7) for n in range(many)]
    bench.enqueue(*jobs[::-1])
    first = bench.pass_time(2 * SECOND).of(JobReady)
    assert len(first) == DUE_AT_ONCE
    wake_us = RULES.next_wake_us(bench.state, bench.context())
    assert wake_us is not None
    assert wake_us <= bench.now_us
    bench.restart()  # which is a turn, too
    last = bench.settle().of(JobReady)
    assert (len(last), bench.settle().events) == (3, [])
    assert RULES.next_wake_us(bench.state, bench.context()) is None
    ready = [event for event in bench.log if isinstance(event, JobReady)]
    due = [next(job.due_us for job in jobs if job.job_id == event.job_id) for event in ready]
    assert due == sorted(due)
    bench.check()


def test_what_is_due_behind_very_many_of_another_queue_is_not_over() -> None:
    bench = idle()
    bench.enqueue(*(spec(f"{n:05}", queue="many", due_us=START + SECOND) for n in range(DUE_AT_ONCE)))
    bench.enqueue(spec("later", due_us=START + 3 * SECOND), spec("due", due_us=START + SECOND + 1))
    assert bench.when(Unfinished("q")).reply == 0
    assert "due" not in {event.job_id for event in bench.pass_time(2 * SECOND).of(JobReady)}
    assert bench.decide(Unfinished("q")).reply == 1
    bench.given(QueuePaused("q", bench.now_us))
    assert bench.decide(Unfinished("q")).reply == 0


@pytest.mark.no_cover
def test_a_turn_costs_the_same_however_many_have_fallen_due() -> None:
    def cost(many: int) -> int:
        bench = idle()
        for n in range(many):
            bench.given(JobEnqueued(spec(f"{n:05}", due_us=START + SECOND + n), b"", START))
        bench.now_us += 2 * SECOND
        return lines_run(bench.settle)

    assert cost(8 * DUE_AT_ONCE) < 1.3 * cost(2 * DUE_AT_ONCE)
