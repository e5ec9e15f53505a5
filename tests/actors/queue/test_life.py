"""Against the clock: what takes too long is abandoned, what is not started in time expires."""

from __future__ import annotations

import pytest

from actors.queue.events import (
    AttemptPrinted,
    AttemptRefused,
    AttemptTimedOut,
    JobCancelled,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    QueueConfigured,
)
from actors.queue.messages import CancelJob, EnqueueJobs, JobEnded, LeaseJob, RetryJob, SettleLease
from actors.queue.specs import JobLife, JobSpec, JobStatus, QueueSettings, Rate, RetryPolicy
from actors.runtime.effects import AttemptFinished, AttemptKey, CancelAttempt, StartAttempt
from actors.runtime.errors import ConflictingIdError
from tests.actors.queue.bench import NEVER_AGAIN, RULES, SECOND, START, Bench, folded, spec, through_image
from tests.support.work import lines_run

QUICK = JobLife(timeout_us=2 * SECOND)
SOON = JobLife(expires_in_us=5 * SECOND)


def test_an_attempt_that_takes_too_long_has_failed_and_is_tried_again() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK, retry=RetryPolicy(1, SECOND, SECOND)))
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 2 * SECOND
    assert not bench.pass_time(2 * SECOND - 1).events
    said = bench.pass_time(1)
    first, second = said.events[:2]
    assert first == AttemptTimedOut("j", 1, bench.now_us, 2 * SECOND)
    assert isinstance(second, JobRetrying)
    assert second.error == "TimeoutError: attempt 1 did not end within 2 s"
    assert said.of(CancelAttempt) == [CancelAttempt(AttemptKey("j", 1, 1))]
    bench.check()


def test_the_last_attempt_that_takes_too_long_ends_the_job_and_its_owner_is_told() -> None:
    bench = Bench()
    bench.enqueue(
        spec("r.0", owner="run:r", life=QUICK, retry=NEVER_AGAIN), spec("b", after=("r.0",), life=QUICK)
    )
    said = bench.pass_time(2 * SECOND)
    assert [type(event) for event in said.events] == [AttemptTimedOut, JobFailed, JobCancelled]
    ended = said.tells[0][1]
    assert isinstance(ended, JobEnded)
    assert ended.status == JobStatus.FAILED
    assert ended.attempts == 1
    bench.check()


def test_attempts_that_take_too_long_together_stay_within_the_rate_of_retries() -> None:
    """F78: they fail in one decision, none of which is known when the first one is decided."""
    bench = Bench(capacity=6)
    bench.given(QueueConfigured("q", QueueSettings(retry_rate=Rate(2, SECOND)), bench.now_us))
    silent = JobLife(heartbeat_us=2 * SECOND)
    bench.enqueue(
        *(spec(f"j{n}", life=QUICK if n < 3 else silent, retry=RetryPolicy(1, 0)) for n in range(6))
    )
    said = bench.pass_time(2 * SECOND)
    due_us = [event.due_us for event in said.of(JobRetrying)]
    half = SECOND // 2
    assert sorted(due_us) == [bench.now_us + n * half for n in range(6)]
    bench.check()


def test_f74_what_an_abandoned_attempt_came_to_is_refused_and_recorded_once() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK))
    bench.pass_time(2 * SECOND)
    late = AttemptFinished(key=AttemptKey("j", 1, 1), outcome="ok")
    assert bench.when(late).of(AttemptRefused) == [AttemptRefused("j", 1, "ok", bench.now_us)]
    assert not bench.when(late).of(AttemptRefused)


def test_what_an_attempt_has_printed_is_told_before_what_it_came_to() -> None:
    bench = Bench()
    bench.enqueue(spec(retry=NEVER_AGAIN))
    said = bench.finish("j", "error", error="no", output="last words\n")
    assert [type(event) for event in said.events] == [AttemptPrinted, JobFailed]
    assert said.events[0] == AttemptPrinted("j", 1, "last words\n", bench.now_us)
    bench.check()


def test_what_a_killed_attempt_has_printed_is_told_with_its_refusal_and_once() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK, retry=NEVER_AGAIN))
    bench.pass_time(2 * SECOND)
    late = AttemptFinished(key=AttemptKey("j", 1, 1), outcome="error", output="x")
    assert [type(event) for event in bench.when(late).events] == [AttemptPrinted, AttemptRefused]
    assert not bench.when(late).events
    assert bench.when(RetryJob("j")).of(JobRetried), "how it ended is still known"


def test_an_abandoned_attempt_holds_its_worker_until_the_executor_makes_up_for_it() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec(life=QUICK), spec("b"))
    assert not bench.pass_time(2 * SECOND).of(JobStarted)
    bench.capacity = 2
    assert bench.settle().of(StartAttempt)


def test_an_end_that_comes_before_the_deadline_counts() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK))
    bench.now_us += 3 * SECOND
    bench.finish()
    assert bench.state.first_deadlines.first() is None
    assert not bench.state.deadlines
    assert not bench.pass_time(SECOND).events


def test_an_abandonment_is_said_again_after_a_rebuild_and_over_with_the_process() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK, retry=NEVER_AGAIN))
    bench.pass_time(2 * SECOND)
    assert CancelAttempt(AttemptKey("j", 1, 1)) in bench.rebuild().effects
    assert not bench.restart().of(CancelAttempt)


def test_nothing_with_a_timeout_is_started_ahead_of_a_free_worker() -> None:
    bench = Bench()
    bench.enqueue(spec("warm"))
    bench.finish("warm", run_us=1)
    bench.enqueue(spec("a"), spec("b", life=QUICK), spec("c"))
    assert bench.running == ["a"]


@pytest.mark.parametrize(
    ("life", "is_ahead"),
    [
        (JobLife(result_ttl_us=SECOND), True),
        (JobLife(retry_on=("ValueError",), give_up_on=("KeyError",)), True),
        (JobLife(heartbeat_us=SECOND), False),
        (JobLife(timeout_us=SECOND, result_ttl_us=SECOND), False),
        (JobLife(executor="process"), False),
    ],
    ids=["result_ttl", "retry_on", "heartbeat", "timeout", "process"],
)
def test_only_a_limit_to_the_attempt_or_a_process_keeps_a_short_job_from_starting_ahead(
    life: JobLife, is_ahead: bool
) -> None:
    bench = Bench()
    bench.enqueue(spec("warm"))
    bench.finish("warm", run_us=1)
    bench.enqueue(*(spec(f"j{n}", life=life) for n in range(5)))
    assert len(bench.running) == (5 if is_ahead else 1)
    bench.check()


def test_a_job_that_is_not_started_in_time_expires_with_what_waits_for_it() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(spec(life=SOON), spec("b", after=("j",)), spec("c"))
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 5 * SECOND
    assert not bench.pass_time(5 * SECOND - 1).events
    assert bench.pass_time(1).events == [
        JobExpired("j", 0, bench.now_us),
        JobCancelled("b", 0, bench.now_us, "job 'j' expired"),
    ]
    bench.check()


def test_no_attempt_begins_at_the_instant_of_expiry_not_even_another_try() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(spec(life=JobLife(expires_us=START + SECOND)))
    bench.served = None
    assert bench.pass_time(SECOND).of(JobExpired)
    bench.enqueue(spec("k", life=SOON, retry=RetryPolicy(3, 0, 0)))
    bench.now_us += 6 * SECOND
    assert bench.finish("k", "error").events[1:] == [JobExpired("k", 1, bench.now_us)]
    bench.check()


def test_what_has_begun_in_time_goes_on() -> None:
    bench = Bench()
    bench.enqueue(spec(life=SOON))
    assert RULES.next_wake_us(bench.state, bench.context()) is None
    assert not bench.pass_time(60 * SECOND).events
    bench.finish()


def test_expiry_survives_a_restart_and_what_happened_meanwhile() -> None:
    bench = Bench()
    bench.enqueue(spec(life=JobLife(timeout_us=9 * SECOND, expires_in_us=5 * SECOND)))
    bench.served = frozenset()
    bench.now_us += 6 * SECOND
    assert bench.restart().of(JobExpired)


def test_a_job_taken_by_hand_does_not_expire_until_it_comes_back() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(spec(life=SOON))
    key = bench.ask(LeaseJob("q", 60 * SECOND)).reply
    assert not bench.pass_time(10 * SECOND).events
    assert bench.when(SettleLease(key, "error")).of(JobExpired)


def test_what_has_just_expired_is_passed_over_by_a_hand() -> None:
    """The hand may come before time has passed in the queue: both are one turn."""
    bench = Bench(served=frozenset())
    bench.enqueue(spec(life=SOON), spec("k"), spec("m", life=SOON))
    bench.now_us += 5 * SECOND
    given = bench.ask(LeaseJob("q", SECOND)).reply
    assert given.job_id == "k"
    assert bench.pass_time(0).of(JobExpired)
    bench.check()


def test_an_expired_job_is_taken_up_again_without_a_limit() -> None:
    bench = Bench(served=frozenset())
    bench.enqueue(spec(life=SOON))
    bench.pass_time(5 * SECOND)
    bench.state.forget(bench.state.take_retired())
    bench.when(RetryJob("j"))
    assert not bench.pass_time(100 * SECOND).events
    bench.check()


def test_a_cancelled_job_has_no_deadline_left() -> None:
    bench = Bench()
    bench.enqueue(spec(life=QUICK), spec("b", life=SOON))
    bench.when(CancelJob("j"))
    bench.when(CancelJob("b"))
    assert RULES.next_wake_us(bench.state, bench.context()) is None
    bench.check()


@pytest.mark.parametrize("life", [None, QUICK, SOON])
def test_the_same_id_with_another_life_is_another_job(life: JobLife | None) -> None:
    bench = Bench()
    bench.enqueue(spec(life=life))
    bench.now_us += 1
    assert bench.enqueue(spec(life=life)).reply == ("j",)
    other = spec(life=JobLife(timeout_us=77))
    assert isinstance(bench.refusal(EnqueueJobs(jobs=(other,))), ConflictingIdError)


def test_a_spec_of_before_there_were_lives_is_read_as_one_without() -> None:
    assert JobSpec("j", "q", "n", "f", b"").life is None


# -- signs of life ---------------------------------------------------------------------------------------

ALIVE = JobLife(heartbeat_us=3 * SECOND)


def test_an_attempt_that_gives_no_sign_of_life_is_given_up() -> None:
    bench = Bench()
    bench.enqueue(spec(life=ALIVE, retry=NEVER_AGAIN))
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 3 * SECOND
    bench.check()
    assert not bench.pass_time(3 * SECOND - 1).events
    said = bench.pass_time(1)
    assert said.events[0] == AttemptTimedOut("j", 1, bench.now_us, 3 * SECOND, silent=True)
    assert said.of(JobFailed)[0].error == "TimeoutError: attempt 1 gave no sign of life for 3 s"
    assert not bench.state.pulses


def test_each_sign_of_life_gives_it_as_long_again() -> None:
    bench = Bench()
    bench.enqueue(spec(life=ALIVE))
    key = bench.state.jobs["j"].key
    bench.now_us += 2 * SECOND
    bench.beats[key] = bench.now_us
    assert not bench.pass_time(SECOND).events
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 5 * SECOND
    assert not bench.pass_time(2 * SECOND - 1).events
    assert bench.pass_time(1).of(AttemptTimedOut)


def test_a_sign_of_life_counts_from_when_it_was_given_though_the_clock_was_set_back() -> None:
    bench = Bench()
    bench.enqueue(spec(life=JobLife(heartbeat_us=2 * SECOND)))
    bench.pass_time(-3_600 * SECOND)
    bench.beats[AttemptKey("j", 1, 1)] = bench.now_us
    assert not bench.pass_time(2 * SECOND - 1).events
    assert bench.pass_time(1).of(AttemptTimedOut)


def test_deadlines_of_one_instant_are_met_in_one_order_by_all_who_know_the_same() -> None:
    bench = Bench()
    again = RetryPolicy(1, 60 * SECOND, 60 * SECOND)
    bench.enqueue(spec("a", life=JobLife(timeout_us=SECOND, expires_in_us=5 * SECOND), retry=again))
    bench.enqueue(spec("b", life=SOON, queue="paused"), spec("c", life=SOON, after=("b",)))
    bench.pass_time(SECOND)
    bench.when(LeaseJob("paused", SECOND))
    for state in (bench.state, through_image(bench.state), folded(bench.log)):
        late = state.past_deadline(START + 5 * SECOND)
        assert [job.job_id for job in late] == ["c", "a"]


def test_the_signs_of_an_earlier_attempt_are_none_of_the_next() -> None:
    bench = Bench(capacity=2)
    bench.enqueue(spec(life=ALIVE))
    bench.beats[bench.state.jobs["j"].key] = START + 100 * SECOND
    bench.finish("j", "error")
    assert bench.state.jobs["j"].course.attempt == 2
    assert bench.pass_time(3 * SECOND).of(AttemptTimedOut)


# -- what an exception means -----------------------------------------------------------------------------


def test_a_job_that_is_to_give_up_has_failed_at_once() -> None:
    bench = Bench()
    bench.enqueue(spec())
    assert bench.finish("j", "error", error="E: x", advice="give-up").of(JobFailed)


def test_a_job_names_the_time_of_its_next_try_and_it_counts() -> None:
    bench = Bench()
    bench.enqueue(spec(retry=RetryPolicy(1, SECOND, SECOND)))
    event = bench.finish("j", "error", advice="retry", after_us=7 * SECOND).events[0]
    assert isinstance(event, JobRetrying)
    assert event.due_us == START + 7 * SECOND
    bench.pass_time(7 * SECOND)
    assert bench.finish("j", "error", advice="retry", after_us=7 * SECOND).of(JobFailed)


def test_a_job_that_snoozes_is_called_again_and_no_attempt_is_charged() -> None:
    bench = Bench()
    bench.enqueue(spec(retry=NEVER_AGAIN))
    for attempt in (1, 2, 3):
        said = bench.finish("j", "error", error="Snooze: later", advice="snooze", after_us=SECOND)
        assert said.events == [JobSnoozed("j", attempt, bench.now_us, bench.now_us + SECOND, "Snooze: later")]
        assert bench.state.jobs["j"].status is JobStatus.SCHEDULED
        bench.check()
        assert bench.pass_time(SECOND).of(JobStarted)
    assert bench.state.jobs["j"].course.charged == 0
    assert not bench.when(AttemptFinished(key=AttemptKey("j", 2, 1), outcome="error")).events


@pytest.mark.no_cover
def test_an_end_that_nobody_waits_for_costs_the_same_however_many_others_have_outlived_their_jobs() -> None:
    def cost(jobs: int) -> int:
        bench = Bench(capacity=jobs)
        for n in range(jobs):
            one = spec(f"j{n}", life=JobLife(timeout_us=SECOND), retry=NEVER_AGAIN)
            bench.given(JobEnqueued(one, b"", START), JobStarted(one.job_id, 1, 1, START))
            bench.given(
                AttemptTimedOut(one.job_id, 1, START, SECOND), JobFailed(one.job_id, 1, "", "", START)
            )
        assert len(bench.state.zombies) == jobs
        refused = AttemptRefused(f"j{jobs - 1}", 1, "ok", START)
        lines = lines_run(lambda: bench.state.evolve(refused))
        assert len(bench.state.zombies) == jobs - 1
        return lines

    assert cost(1_000) == cost(10)


def test_who_is_silent_is_found_at_its_time_though_the_clock_was_set_back_after_others_gave_signs() -> None:
    bench = Bench(capacity=9)
    bench.enqueue(spec("a", life=ALIVE), spec("b", life=ALIVE))
    a, b = (bench.state.jobs[job_id].key for job_id in "ab")
    bench.now_us += 2 * SECOND
    bench.beats |= {a: bench.now_us, b: bench.now_us}
    bench.settle()
    bench.pass_time(-3_600 * SECOND)
    bench.pass_time(1)
    bench.beats |= {a: bench.now_us, b: bench.now_us + SECOND}
    wake_us = RULES.next_wake_us(bench.state, bench.context())
    assert wake_us is not None
    assert wake_us <= bench.now_us + 3 * SECOND
    assert not bench.pass_time(3 * SECOND - 1).events
    assert [event.job_id for event in bench.pass_time(1).of(AttemptTimedOut)] == ["a"]
    bench.enqueue(spec("c", life=JobLife(heartbeat_us=SECOND // 2)))
    assert RULES.next_wake_us(bench.state, bench.context()) == bench.now_us + SECOND // 2


@pytest.mark.no_cover
def test_a_turn_costs_the_same_however_many_have_to_give_signs_of_life() -> None:
    def cost(jobs: int) -> int:
        bench = Bench(capacity=jobs)
        for n in range(jobs):
            one = spec(f"j{n}", life=ALIVE)
            bench.given(JobEnqueued(one, b"", START), JobStarted(one.job_id, 1, 1, START))
        bench.now_us += SECOND
        bench.settle()

        def turn() -> None:
            bench.settle()
            RULES.next_wake_us(bench.state, bench.context())

        return lines_run(turn)

    assert cost(1_000) == cost(10)
