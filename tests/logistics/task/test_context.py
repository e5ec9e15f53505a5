"""A job's function that asks for `ctx` gets it."""

from __future__ import annotations

from logistics import AttemptContext, Job, JobScheduler, OrchestrationEngine, Queue


def by_name(ctx: AttemptContext) -> list[object]:
    return [ctx.job_id, ctx.attempt, ctx.idempotency_key, ctx.name, ctx.run_id]


def behind_an_argument(number: int, ctx: AttemptContext | None = None) -> list[object]:
    return [number, ctx is not None and ctx.attempt]


def its_own(ctx: str) -> str:
    return ctx


def run(job: Job) -> object:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        job_id = queue.enqueue(job)
        JobScheduler(engine=engine).process(queue)
        return queue.result(job_id, timeout=10)


def test_the_context_says_which_job_and_attempt_it_is() -> None:
    assert run(Job("j", by_name, job_id="mine")) == ["mine", 1, "mine", "j", None]


def test_the_context_comes_beside_arguments() -> None:
    assert run(Job("j", behind_an_argument, (7,))) == [7, 1]


def test_an_argument_of_that_name_stays_what_it_is() -> None:
    assert run(Job("j", its_own, kwargs={"ctx": "mine"})) == "mine"
    assert run(Job("j", its_own, ("mine",))) == "mine"
