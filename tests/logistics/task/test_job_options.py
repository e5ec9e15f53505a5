"""What jobs and queues may be told beside what to call: limits, keys, delays, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.queue.outcome import retry_delay_us
from actors.queue.specs import RetryPolicy
from actors.runtime.clock import VirtualClock
from logistics import DuplicateJobError, InputError, LogisticsError, Rate, ResourceManager, Retry, group
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Chain, Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.task import functions as do
from tests.logistics.task.support import pass_time

A_CHAIN: Any = Chain()
WRONG: Any = 3


def job(**options: Any) -> Job:
    return Job("add", do.add, (1, 2), **options)


def test_limits_are_told_as_they_were_set(queue: Queue) -> None:
    queue.configure(
        concurrency=2,
        per_key=1,
        per_function={do.add: 3},
        rate=Rate(5, per=2),
        rate_per_key=Rate(1, per=timedelta(minutes=1), burst=4),
        weights={"a": 2},
        ageing=timedelta(minutes=1),
        max_retries=7,
        retry_rate=Rate(9),
    )
    limits = queue.limits()
    assert (limits.concurrency, limits.per_key, limits.weights, limits.ageing) == (2, 1, {"a": 2}, 60.0)
    assert dict(limits.per_function) == {"tests.logistics.task.functions:add": 3}
    assert (limits.rate, limits.rate_per_key) == (Rate(5, 2.0), Rate(1, 60.0, 4))
    assert (limits.max_retries, limits.retry_delay, limits.retry_rate) == (7, 1.0, Rate(9))
    queue.configure()
    assert (queue.limits().concurrency, queue.limits().rate, queue.limits().max_retries) == (None, None, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda q: q.configure(concurrency=0), "concurrency: expected a whole number from 1"),
        (lambda q: q.configure(rate=5), "rate: expected a Rate, as in Rate(10, per=60), got 5"),
        (lambda _: Rate("5/m"), "Rate.count: expected a whole number from 1 to 10000, got '5/m'"),  # type: ignore[arg-type]
        (
            lambda _: Rate(20_000),
            "Rate.count: expected at most 10000 without burst=, or that as well, got 20000",
        ),
        (
            lambda q: q.enqueue_many([job(unique_key="k"), job(unique_key="k")]),
            "two jobs of one call want the unique key 'k' of queue 'work': one is 'add'",
        ),
        (lambda _: Retry(after=-1), "after: expected 0 or more seconds, or a timedelta, got -1"),
        (
            lambda q: q.enqueue(Job("a", do.add, [Path("a.csv")])),
            "args[0]: PosixPath cannot be stored; pass it as text, str(…)",
        ),
        (lambda q: q.configure(rate=Rate(0)), "Rate.count: expected a whole number from 1 to 10000"),
        (lambda q: q.configure(rate=Rate(1, per=-1)), "Rate.per: expected"),
        (lambda q: q.configure(per_function={do.add: "x"}), "per_function: expected a whole number"),
        (lambda q: q.configure(weights={"a": 0}), "weights['a']: expected a whole number from 1 to 1000"),
        (lambda q: q.configure(ageing=0), "ageing: expected"),
        (lambda _: job(resources={"gpu": -1}), "resources['gpu']: expected a number above 0"),
        (lambda _: job(resources=["gpu"]), "resources: expected a mapping"),
        (lambda _: job(concurrency_key=""), "concurrency_key: expected 1 to 200 characters"),
        (
            lambda _: job(unique_key="k", on_conflict="x"),
            "on_conflict: expected one of reject, return_existing",
        ),
        (
            lambda _: job(unique_key="k", unique_scope="x"),
            "unique_scope: expected until_finished, while_pending",
        ),
        (lambda _: job(debounce=5), "debounce: expected a unique_key with it"),
        (lambda _: job(unique_scope=60), "unique_scope: expected a unique_key with it"),
        (lambda _: job(on_conflict="return_existing"), "on_conflict: expected a unique_key with it"),
        (
            lambda q: q.configure(retry_delay=[1, 60]),
            "retry_delay: expected seconds or a timedelta, got [1, 60]",
        ),
        (lambda _: job(backoff="x"), "backoff: expected one of exponential, linear, fixed"),
        (lambda _: job(jitter=1), "jitter: expected True, False or None, got 1"),
        (lambda _: job(retry_delay=[]), "retry_delay: expected at least one delay"),
        (lambda _: job(retry_delay=[1, "x"]), "retry_delay[1]: expected seconds"),
        (lambda _: job(on_failure="x"), "on_failure: expected a Job, got 'x'"),
        (
            lambda _: job(on_success=[job()]),
            "on_success: expected a Job, got [Job('add')]; Queue.enqueue_many",
        ),
        (lambda _: job().then(A_CHAIN), "and a.then(b).then(c) makes one longer"),
        (
            lambda q: q.enqueue([job()]),
            "job: expected a Job, got [Job('add')]; Queue.enqueue_many takes several",
        ),
        (lambda _: job().then([]), "then: expected at least one job"),
        (lambda _: job().then(WRONG), "then: expected a Job, got 3"),
        (
            lambda q: q.enqueue(group([job(), job()]).then(job())),
            "job: expected a Job, got Chain(['add', 'add'] -> 'add'); Queue.enqueue_chain takes a chain",
        ),
        (lambda q: q.enqueue_chain(Chain()), "chain: expected what Job.then or group() returns"),
    ],
)
def test_what_is_wrong_is_refused_with_what_was_expected(
    queue: Queue, call: Callable[[Queue], Any], text: str
) -> None:
    with pytest.raises(LogisticsError) as refusal:
        call(queue)
    assert text in str(refusal.value)
    assert queue.get_stats()["total_jobs"] == 0


def test_a_job_that_is_read_back_has_its_options(queue: Queue) -> None:
    ResourceManager(engine=queue.engine).add_resource("gpu", "x", 2)
    job_id = queue.enqueue(
        job(
            concurrency_key="c",
            group="g",
            resources={"gpu": 1},
            unique_key="u",
            retry_delay=[1, 2.5],
            max_retries=2,
        )
    )
    read = queue.get_job(job_id)
    assert read is not None
    assert (read.concurrency_key, read.group, read.resources) == ("c", "g", {"gpu": 1.0})
    assert (read.unique_key, read.retry_delay) == ("u", [1.0, 2.5])


def test_a_key_is_refused_returned_or_replaced(queue: Queue) -> None:
    first = queue.enqueue(job(unique_key="k"))
    with pytest.raises(DuplicateJobError) as refusal:
        queue.enqueue(job(unique_key="k"))
    assert refusal.value.job_id == first
    assert isinstance(refusal.value, ValueError)
    assert queue.enqueue(job(unique_key="k", on_conflict="return_existing")) == first
    with pytest.raises(DuplicateJobError, match="has its unique key"):
        queue.enqueue_chain(job(unique_key="k", on_conflict="return_existing").then(job()))
    second = queue.enqueue(job(unique_key="k", on_conflict="replace"))
    assert queue.get_status(first) == "CANCELLED"
    JobScheduler(engine=queue.engine).process(queue)
    assert queue.result(second) == 3


def test_results_go_down_a_chain_and_callbacks_follow(engine: OrchestrationEngine) -> None:
    queue = Queue(engine=engine)
    chain = group([job(), Job("add", do.add, (3,))]).then(Job("add", do.add), results=True)
    ids = queue.enqueue_chain(chain.then(Job("add", do.add, (10,)), results=True))
    queue.enqueue(
        Job(
            "fails",
            do.fail,
            max_retries=0,
            job_id="mine",
            on_success=job(),
            on_failure=Job("note", do.note, ("told",), on_success=job(job_id="last")),
        )
    )
    JobScheduler(engine=engine).process(queue)
    assert [len(stage) for stage in ids] == [2, 1, 1]
    assert queue.result(ids[-1][0]) == 16
    assert queue.result("mine.failed") == "told"
    assert queue.get_status("mine.ok") == "CANCELLED"
    assert queue.result("last") == 3


def test_enqueueing_a_job_with_an_id_and_callbacks_twice_makes_each_once(queue: Queue) -> None:
    for _ in range(2):
        queue.enqueue(job(job_id="mine", on_success=job(), on_failure=job()))
    assert queue.get_stats()["total_jobs"] == 3


@pytest.mark.parametrize("job_id", ["mine", "m" * 200])
def test_so_it_is_however_far_behind_it_they_are(queue: Queue, job_id: str) -> None:
    for _ in range(2):
        last = job()
        for _ in range(1_200):
            last = job(on_success=last)
        queue.enqueue(job(job_id=job_id, on_success=last))
    assert queue.get_stats()["total_jobs"] == 1_202
    JobScheduler(engine=queue.engine).process(queue)
    assert queue.get_stats()["completed"] == 1_202


def test_a_job_cannot_follow_itself(queue: Queue) -> None:
    first, second = job(), job()
    first.on_success, second.on_failure = second, first
    with pytest.raises(InputError, match="job 'add' is among the jobs that follow it"):
        queue.enqueue(first)
    shared = job()
    queue.enqueue(job(on_success=shared, on_failure=shared))
    assert queue.get_stats()["total_jobs"] == 3


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        ({}, 2),
        ({"max_retries": 3}, 4),
        ({"retry_delay": 0}, 4),
        ({"max_retries": 0}, 1),
        ({"backoff": "exponential"}, 4),
        ({"jitter": True}, 4),
    ],
)
def test_only_a_job_that_says_nothing_of_its_retries_has_those_of_its_queue(
    said: dict[str, Any], tries: int
) -> None:
    clock = VirtualClock()
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        queue = Queue("work", engine=engine)
        queue.configure(max_retries=1, retry_delay=0)
        failing = Job("fails", do.fail, job_id="fails", **said)
        queue.enqueue(failing)
        for _ in range(tries):
            pass_time(engine, clock, 300)
            taken = queue.dequeue() or queue.dequeue()  # what is due is ready once the queue has looked
            assert taken is not None
            queue.fail(taken, "no")
        job = queue.get_job("fails")
        assert job is not None
        assert (job.status, job.attempts) == ("FAILED", tries)


def test_a_job_that_says_just_the_usual_has_the_usual_delays() -> None:
    said, unsaid = Job("a", do.fail, max_retries=3, retry_delay=1), Job("a", do.fail)
    assert (said.max_retries, said.retry_delay) == (unsaid.max_retries, unsaid.retry_delay) == (3, 1)
    assert said.retry_policy == unsaid.retry_policy == RetryPolicy()
    assert unsaid.terms is None, "what most jobs are costs nothing"
    assert said.terms is not None
    for failures in (1, 2, 9):
        delays = [
            retry_delay_us(RetryPolicy(), failures, "id", shape) for shape in (None, said.terms.backoff)
        ]
        assert delays[0] == delays[1]


def test_a_job_that_was_read_back_says_what_it_said(queue: Queue) -> None:
    ids = queue.enqueue_many([Job("unsaid", do.add), Job("said", do.add, max_retries=3)])
    unsaid, said = (queue.get_job(job_id) for job_id in ids)
    assert unsaid is not None
    assert said is not None
    assert unsaid.terms is None
    assert said.terms == Job("said", do.add, max_retries=3).terms
