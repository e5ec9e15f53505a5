"""What the end of an attempt means for the next one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queue.events import (
    JobCompleted,
    JobEnqueued,
    JobFailed,
    JobRetried,
    JobRetrying,
    JobStarted,
    QueueConfigured,
)
from actors.queue.lines import Line
from actors.queue.messages import ConfigureQueue, RetryJob
from actors.queue.outcome import retired_of, retry_delay_us
from actors.queue.specs import Backoff, JobStatus, QueueSettings, Rate, RetryPolicy
from actors.runtime.effects import AttemptFinished
from actors.runtime.messages import Known
from tests.actors.queue.bench import NEVER_AGAIN, RULES, SECOND, START, Bench, spec, through_image
from tests.actors.queue.lives import STEPS, Life

DELAYS = st.integers(0, 10**13)


@given(DELAYS, DELAYS, st.integers(1, 10**6), st.text("abc.0", min_size=1))
def test_a_delay_is_between_a_microsecond_and_the_bound_that_doubles_up_to_the_cap(
    base_us: int, more_us: int, failures: int, job_id: str
) -> None:
    policy = RetryPolicy(10, base_us, base_us + more_us)
    delay_us = retry_delay_us(policy, failures, job_id)
    if not base_us:
        assert delay_us == 0
        return
    assert 1 <= delay_us <= min(policy.cap_us, base_us * 2 ** min(failures - 1, 60))
    assert delay_us == retry_delay_us(policy, failures, job_id)


def test_the_jitter_is_full_and_even() -> None:
    policy = RetryPolicy(10, SECOND, SECOND)
    delays = sorted(retry_delay_us(policy, 1, f"job {n}") for n in range(2_000))
    assert delays[0] < SECOND // 100
    assert delays[-1] > SECOND - SECOND // 100
    for tenth in range(1, 10):
        assert abs(delays[200 * tenth] - tenth * SECOND // 10) < SECOND // 20


def test_ten_thousand_jobs_that_fail_together_are_spread_out() -> None:
    policy = RetryPolicy()
    due = [retry_delay_us(policy, 9, f"job {n}") for n in range(10_000)]
    seconds = [0] * 300
    for delay_us in due:
        seconds[delay_us // SECOND] += 1
    assert max(seconds[:256]) < 100, "39 a second on average"


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (Backoff("fixed"), [2, 2, 2, 2]),
        (Backoff("linear"), [2, 4, 6, 7]),
        (Backoff("exponential"), [2, 4, 7, 7]),
        (Backoff("list", delays=(SECOND, 0, 9 * SECOND)), [1, 0, 9, 9]),
    ],
)
def test_delays_have_the_shape_that_was_asked_for(backoff: Backoff, expected: list[int]) -> None:
    policy = RetryPolicy(9, 2 * SECOND, 7 * SECOND)
    delays = [retry_delay_us(policy, failures, "j", backoff) for failures in (1, 2, 3, 4)]
    assert delays == [seconds * SECOND for seconds in expected]
    jittered = msgspec.structs.replace(backoff, jitter=True)
    for failures, delay_us in enumerate(delays, 1):
        assert 0 <= retry_delay_us(policy, failures, "j", jittered) <= delay_us


def test_a_queue_has_a_default_for_jobs_that_say_nothing() -> None:
    bench = Bench(capacity=2)
    bench.when(ConfigureQueue("q", QueueSettings(retry=RetryPolicy(0))))
    bench.enqueue(spec("says nothing", retry=RetryPolicy()), spec("says", retry=RetryPolicy(1, 0, 0)))
    assert bench.finish("says nothing", "error", error="E").of(JobFailed)
    assert not bench.finish("says", "error", error="E").of(JobFailed)


def test_ten_thousand_jobs_that_fail_together_stay_within_the_budget() -> None:
    """F78, with a budget that the jitter alone would break."""
    bench = Bench(capacity=10_000)
    bench.given(QueueConfigured("q", QueueSettings(retry_rate=Rate(100, SECOND)), bench.now_us))
    jobs = [spec(f"j{n}", retry=RetryPolicy(3, 10 * SECOND, 10 * SECOND)) for n in range(10_000)]
    bench.enqueued(*jobs)
    bench.given(*(JobStarted(job.job_id, 1, 1, bench.now_us) for job in jobs))
    due = []
    for job in jobs:
        ended = AttemptFinished(key=bench.state.jobs[job.job_id].key, outcome="error", error="E")
        [(event, _)] = RULES.decide(bench.state, ended, bench.context()).events
        assert isinstance(event, JobRetrying)
        bench.state.evolve(event)
        due.append(event.due_us)
    seconds = Counter(due_us // SECOND for due_us in due)
    assert max(seconds.values()) == 100
    assert len(seconds) == 100, "and no second is wasted"
    assert through_image(bench.state).dump() == bench.state.dump()


class Looked(dict[int, int]):
    """Retries by span, and how often somebody looked at a span."""

    looks = 0

    def get(self, span: int, default: Any = None, /) -> Any:
        type(self).looks += 1
        return super().get(span, default)


def test_spans_that_are_full_are_not_looked_at_for_each_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """One each second: the last of them would look at all the others, and so would each of those."""
    monkeypatch.setattr(Looked, "looks", 0)
    line, rate = Line("q"), Rate(1, SECOND)
    line.configure(QueueSettings(retry_rate=rate))
    line.retries = Looked()
    for n in range(1_000):
        due_us = line.retry_us(rate, START, ())
        assert due_us == START + n * SECOND
        line.retrying(due_us, START)
    assert Looked.looks < 10_000


def test_spans_that_may_have_passed_are_not_looked_for_at_each_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    dump = Line.dump_retries

    def noted(line: Line, since_us: int) -> list[tuple[int, int]]:
        asked.append(since_us)
        return dump(line, since_us)

    monkeypatch.setattr(Line, "dump_retries", noted)
    line = Line("q")
    line.configure(QueueSettings(retry_rate=Rate(1, SECOND)))
    for n in range(5_000):
        line.retrying(START + n * SECOND, START)
    assert 0 < len(asked) < 10
    assert line.dump_retries(START) == [(START // SECOND + n, 1) for n in range(5_000)]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_every_failure_draws_anew(failures: int) -> None:
    policy = RetryPolicy(9, SECOND, SECOND)
    drawn = {retry_delay_us(policy, failures, job_id) for job_id in ("a", "b", "c")}
    assert len(drawn) == 3
    assert retry_delay_us(policy, failures, "a") != retry_delay_us(policy, failures + 1, "a")


def known(bench: Bench, job_id: str = "j") -> Known:
    return Known(tuple(event for event in bench.log if event.entity == f"job:{job_id}"))


def test_how_a_job_ended_is_read_from_its_past() -> None:
    bench = Bench()
    bench.enqueue(spec())
    assert retired_of(known(bench)) is None
    bench.finish(result=b"x")
    ended = retired_of(known(bench))
    assert ended is not None
    assert (ended.status, ended.attempt, ended.error) == (JobStatus.COMPLETED, 1, "")


@given(STEPS)
def test_what_memory_and_the_log_say_of_an_end_is_the_same(steps: list[tuple[str, int, int]]) -> None:
    life = Life()
    for what, a, b in steps:
        life.step(what, a, b)
    state = life.bench.state
    for job_id in life.specs:
        if job_id in state.jobs:
            assert retired_of(known(life.bench, job_id)) is None
    for job_id, retired in state.retired.items():
        assert retired_of(known(life.bench, job_id)) == retired


def test_a_job_taken_up_again_has_not_ended() -> None:
    bench = Bench()
    bench.enqueue(spec(retry=NEVER_AGAIN))
    bench.finish(outcome="error", error="E")
    enqueued = bench.log[0]
    assert isinstance(enqueued, JobEnqueued)
    failed = bench.log[-1]
    assert isinstance(failed, JobFailed)
    retried = JobRetried(enqueued.spec, enqueued.digest, 1, "FAILED", bench.now_us)
    assert retired_of(Known((*known(bench).history, retried))) is None


def test_only_attempts_since_it_was_taken_up_again_count() -> None:
    bench = Bench()
    bench.enqueue(spec(retry=RetryPolicy(2, 0, 0)))
    for _ in range(3):
        bench.finish(outcome="error", error="E")
    bench.when(RetryJob("j"))
    bench.restart()
    bench.finish(outcome="returned")
    bench.finish(result=b"x")
    ended = retired_of(known(bench))
    assert ended == bench.state.retired["j"]
    assert ended is not None
    assert (ended.attempt, ended.charged) == (6, 2)


def test_a_past_that_does_not_begin_with_the_job_tells_nothing() -> None:
    assert retired_of(Known((JobCompleted("j", 1, b"", 0, 0),))) is None
