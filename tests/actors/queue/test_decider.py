"""The rules of the queue, as given events, when something is said, then events, effects and words."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.admission import digest_of
from actors.queue.events import (
    JobEnqueued,
    JobReady,
    JobStarted,
)
from actors.queue.messages import (
    CancelJob,
    EnqueueJobs,
    GetJob,
    GetStats,
    JobEnded,
    ListJobs,
    ListQueues,
    PeekQueue,
    Unfinished,
)
from actors.queue.specs import JobSpec, JobStatus
from actors.queue.state import FRESH_BYTES, FRESH_JOBS
from actors.runtime.effects import (
    StartAttempt,
)
from actors.runtime.errors import ConflictingIdError, InternalError
from actors.runtime.messages import Message, Nudge
from tests.actors.queue.bench import (
    NEVER_AGAIN,
    RULES,
    SECOND,
    START,
    Bench,
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
