"""Jobs that are done in one call: which of them start together, and that each ends by itself."""

from __future__ import annotations

from typing import Any

from actors.queue.admission import digest_of
from actors.queue.events import BatchStarted, JobCompleted, JobRetrying, JobStarted
from actors.queue.messages import CancelJob, ConfigureQueue
from actors.queue.specs import JobLife, QueueSettings, Rate, RetryPolicy, Terms
from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from tests.actors.queue.bench import SECOND, START, Bench, Said, from_the_log, spec, start_of

THREE = Terms(batch=3)


def key(job_id: str, attempt: int = 1, epoch: int = 1) -> AttemptKey:
    return AttemptKey(job_id, attempt, epoch)


def batch(*job_ids: str, attempt: int = 1, epoch: int = 1) -> StartAttempt:
    first, *others = (key(job_id, attempt, epoch) for job_id in job_ids)
    return StartAttempt(key=first, batched=True, others=tuple(others))


def starts(said: Said) -> list[Any]:
    return from_the_log(said.of(StartAttempt))


def enqueue(bench: Bench, *job_ids: str, terms: Terms = THREE, **more: Any) -> Said:
    more = {"retry": RetryPolicy(1, 0, 0), **more}
    return bench.enqueue(*(spec(job_id, terms=terms, **more) for job_id in job_ids))


def test_as_many_as_are_ready_start_in_one_call_up_to_the_size_of_a_batch() -> None:
    bench = Bench(capacity=2)
    said = enqueue(bench, *"abcde")
    assert starts(said) == [batch(*"abc"), batch(*"de")]
    assert said.of(BatchStarted) == [
        BatchStarted("a", 1, (("b", 1), ("c", 1)), 1, START),
        BatchStarted("d", 1, (("e", 1),), 1, START),
    ]
    assert bench.started() == list("abcde")
    bench.check()


def test_a_batch_has_one_worker_until_the_last_of_it_has_ended() -> None:
    bench = Bench(capacity=2)
    enqueue(bench, *"abc")
    assert starts(bench.enqueue(spec("x", function="m:x"), spec("y", function="m:x"))) == [start_of("x")]
    assert not starts(bench.finish("a"))
    assert not starts(bench.finish("b"))
    bench.check()
    assert starts(bench.finish("c")) == [start_of("y")]
    assert (bench.state.riders, bench.state.batches) == (0, {})


def test_each_ends_by_itself_and_what_has_failed_is_tried_again_alone() -> None:
    bench = Bench()
    enqueue(bench, *"abc")
    assert bench.finish("b", "error", error="no").of(JobRetrying)
    assert bench.finish("a").of(JobCompleted)
    enqueue(bench, "d", "e")
    said = bench.finish("c")
    assert starts(said) == [batch("b", attempt=2)], "it was before the others"
    assert starts(bench.finish("b")) == [batch("d", "e")]


def test_what_may_have_killed_its_process_goes_alone() -> None:
    bench = Bench()
    enqueue(bench, *"abc", retry=RetryPolicy(5))
    said = bench.restart()
    assert starts(said) == [batch("a", attempt=2, epoch=2)]
    assert starts(bench.finish("a")) == [batch("b", attempt=2, epoch=2)]
    bench.check()


def test_a_rebuild_says_again_which_attempts_are_made_together() -> None:
    bench = Bench()
    enqueue(bench, *"abc")
    assert starts(bench.rebuild()) == [batch(*"abc")]
    bench.finish("a")
    assert starts(bench.rebuild()) == [batch(*"bc")]


def test_limits_count_each_of_a_batch() -> None:
    bench = Bench(capacity=3)
    bench.ask(ConfigureQueue("q", QueueSettings(concurrency=2)))
    assert starts(enqueue(bench, *"abc")) == [batch(*"ab")]
    assert starts(bench.finish("a")) == [batch("c")]
    bench = Bench(capacity=3)
    bench.ask(ConfigureQueue("q", QueueSettings(rate=Rate(2, SECOND))))
    assert starts(enqueue(bench, *"abc")) == [batch(*"ab")]
    assert starts(bench.pass_time(SECOND)) == [batch("c")]


def test_one_of_a_batch_that_is_cancelled_holds_no_worker_of_its_own() -> None:
    bench = Bench(capacity=1)
    enqueue(bench, *"abc")
    bench.enqueue(spec("x", function="m:x"))
    bench.when(CancelJob("b"))
    bench.check()
    assert not bench.finish("a").of(JobStarted)
    bench.finish("c")
    assert not bench.running, "the call goes on for what was cancelled"
    said = bench.when(AttemptFinished(key=key("b"), outcome="ok"))
    assert starts(said) == [start_of("x")]


def test_a_batch_that_takes_too_long_is_given_up_as_a_whole() -> None:
    bench = Bench()
    enqueue(bench, *"abc", life=JobLife(timeout_us=SECOND))
    said = bench.pass_time(SECOND)
    assert len(said.of(JobRetrying)) == 3
    assert not starts(said), "its worker is not back"
    bench.check()
    for job_id in "abc":
        bench.when(AttemptFinished(key=key(job_id), outcome="ok"))
    assert bench.state.riders == 0
    assert bench.running == ["a"], "alone"


def test_nothing_is_started_ahead_in_batches_and_batches_go_with_their_kind_only() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec("x"))
    bench.finish("x", run_us=1)
    bench.enqueue(spec("y"))
    assert not starts(enqueue(bench, "a", "b"))
    bench.enqueue(spec("c", terms=THREE, function="m:other"))
    assert starts(bench.finish("y")) == [batch("a", "b")]


def test_a_job_without_a_batch_is_the_same_as_before_there_were_any() -> None:
    assert digest_of(spec(terms=Terms(key="k"))).hex() == "5779b95296158645"
    assert digest_of(spec(terms=Terms(key="k", batch=2))) != digest_of(spec(terms=Terms(key="k")))
