"""Jobs whose arguments do not fit their function: refused when they are enqueued, and no others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.attempt import context_place
from logistics import (
    BatchedJob,
    InputError,
    RecurringSchedule,
    RecurringScheduler,
    TaskOrchestrator,
    group,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.fitting import check_fit
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue


def send_mail(to: str, subject: str, *, cc: str = "") -> str:
    return f"{to}: {subject}{cc}"


def told(to: str, ctx: Any) -> tuple[str, int]:
    return to, ctx.attempt


def told_first(ctx: Any, to: str) -> str:
    return to


def given_by_place_only(to: str, ctx: Any, /) -> str:
    return to


def together(jobs: list[BatchedJob]) -> None: ...


def add_greeting(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def greeting(*args: Any, **kwargs: Any) -> Any:
        return func("hello", *args, **kwargs)

    return greeting


@add_greeting
def say(greeting: str, name: str) -> str:
    return f"{greeting}, {name}"


class Mail:
    @classmethod
    def send(cls, to: str) -> str:
        return to


def loose(*things: Any, **others: Any) -> None: ...
def places(a: Any, b: Any = 0, /, c: Any = 0, *, d: Any = 0) -> None: ...
def named(a: Any, *, d: Any, e: Any = 0) -> None: ...
def both(a: Any = 0, /, *rest: Any, d: Any, **others: Any) -> None: ...
def context(a: Any, ctx: Any, b: Any = 0) -> None: ...
def optional_context(a: Any, *, ctx: Any = None) -> None: ...


FUNCTIONS = (loose, places, named, both, context, optional_context, told_first, given_by_place_only)


@given(
    st.sampled_from(FUNCTIONS),
    st.integers(0, 4),
    st.frozensets(st.sampled_from(("a", "b", "c", "d", "e", "ctx", "to", "z"))),
    st.integers(0, 2),
)
def test_what_is_refused_is_what_python_would_not_call(
    func: Callable[..., Any], count: int, names: frozenset[str], results: int
) -> None:
    kwargs: dict[str, Any] = dict.fromkeys(names, 1)
    job = Job("any", func, (1,) * count, kwargs)
    place = context_place(func)
    if not results and place is not None and count <= place:
        kwargs.setdefault("ctx", 1)  # as the attempt does
    try:
        func(*(1,) * (count + results), **kwargs)
    except TypeError:
        with pytest.raises(InputError, match=rf"^job: {func.__name__}\(.* cannot be called with "):
            check_fit(job, results)
    else:
        check_fit(job, results)


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (
            Job("mail", send_mail, ["ada"]),
            (
                "job: send_mail(to, subject, *, cc=…) cannot be called with 1 positional argument: "
                "nothing fills the required parameter 'subject': args and kwargs do not give it"
            ),
        ),
        (
            Job("mail", send_mail, [1, 2, 3]),
            "with 3 positional arguments: it takes 2 positional arguments, args has 3",
        ),
        (
            Job("mail", send_mail, [1, 2], {"bc": 3}),
            "with 2 positional arguments and 'bc' by name: it has no parameter 'bc', which kwargs gives",
        ),
        (
            Job("mail", send_mail, [1, 2], {"to": 3}),
            "parameter 'to' is given by args and by kwargs",
        ),
        (
            Job("first", told_first, ["ada"]),
            "parameter 'to': args and kwargs do not give it, and args[0] goes to 'ctx': have that behind the others",
        ),
        (
            Job("mail", send_mail, ["ada"], batch=5),
            "cannot be called with a list of BatchedJob and nothing else, as batch= says: nothing fills",
        ),
    ],
)
def test_a_job_that_does_not_fit_is_refused_wherever_it_is_given(
    engine: OrchestrationEngine, queue: Queue, job: Job, text: str
) -> None:
    fine = Job("fine", send_mail, ["ada", "hello"])
    scheduler = RecurringScheduler(engine=engine)
    with TaskOrchestrator(engine=engine) as tasks:
        for give in (
            lambda: queue.enqueue(job),
            lambda: queue.enqueue_many([fine, job]),
            lambda: queue.schedule(job, 60),
            lambda: queue.enqueue_chain(fine.then(job)),
            lambda: queue.enqueue(Job("fine", send_mail, ["ada", "hello"], on_success=job)),
            lambda: queue.enqueue(Job("fine", send_mail, ["ada", "hello"], on_failure=job)),
            lambda: tasks.submit_task(job),
            lambda: scheduler.add("hourly", RecurringSchedule(60), job),
        ):
            with pytest.raises(InputError) as refused:
                give()
            assert text in str(refused.value)
        assert len(queue) == 0
        assert not list(queue.list_jobs())
        assert not tasks.list_tasks()


def test_a_schedule_of_a_function_that_cannot_be_called_is_refused(engine: OrchestrationEngine) -> None:
    scheduler = RecurringScheduler(engine=engine)
    with pytest.raises(InputError, match="nothing fills the required parameter 'subject'"):
        scheduler.add("hourly", RecurringSchedule(60), send_mail, ["ada"])
    assert not scheduler.list()
    scheduler.add("hourly", RecurringSchedule(60), send_mail, ["ada"], {"subject": "hello"})


def test_results_of_the_jobs_before_count_as_arguments(engine: OrchestrationEngine, queue: Queue) -> None:
    one = Job("one", send_mail, ["ada", "hello"])
    ids = queue.enqueue_chain(one.then(Job("two", send_mail, ["bob"]), results=True))
    JobScheduler(engine=engine).process(queue)
    assert queue.result(ids[-1][0]) == "bob: ada: hello"
    with pytest.raises(InputError) as refused:
        queue.enqueue_chain(group([one, one]).then(Job("sum", send_mail, ["bob"]), results=True))
    assert "3 positional arguments (1 in args, and 2 that the jobs before returned): it takes 2" in str(
        refused.value
    )


def test_a_job_that_gets_results_gets_no_context(queue: Queue) -> None:
    one = Job("one", send_mail, ["ada", "hello"])
    with pytest.raises(InputError, match="nothing fills the required parameter 'ctx'"):
        queue.enqueue_chain(one.then(Job("two", told), results=True))


def test_the_context_of_the_attempt_is_nobodys_to_give(engine: OrchestrationEngine, queue: Queue) -> None:
    ids = queue.enqueue_many([Job("told", told, ["ada"]), Job("told", told, kwargs={"to": "bob"})])
    JobScheduler(engine=engine).process(queue)
    assert [queue.result(each) for each in ids] == [["ada", 1], ["bob", 1]]


def test_jobs_of_a_batch_may_have_any_arguments(engine: OrchestrationEngine, queue: Queue) -> None:
    queue.enqueue_many([Job("many", together, [1, 2, 3], batch=9), Job("many", together, batch=9)])
    assert JobScheduler(engine=engine).process(queue).completed == 2


def test_what_is_no_plain_function_is_not_judged(engine: OrchestrationEngine, queue: Queue) -> None:
    decorated = queue.enqueue(Job("say", say, ["Ada"]))
    queue.enqueue_many(
        [
            Job("class", Mail.send, max_retries=0),
            Job("built in", len, max_retries=0),
            Job("say", say, max_retries=0),
        ]
    )
    JobScheduler(engine=engine).process(queue)
    assert queue.result(decorated) == "hello, Ada"


def test_a_job_that_was_read_back_is_not_judged_by_the_code_of_today(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.get_job(queue.enqueue(Job("mail", send_mail, ["ada", "hello"])))
    assert job is not None
    monkeypatch.setattr(send_mail, "__code__", (lambda: None).__code__)
    job.job_id = None
    queue.enqueue(job)
    assert len(queue) == 2


def test_a_function_that_was_replaced_is_judged_anew(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("mail", together)
    with pytest.raises(InputError, match="'jobs'"):
        queue.enqueue(job)
    monkeypatch.setattr(together, "__code__", (lambda: None).__code__)
    queue.enqueue(job)
