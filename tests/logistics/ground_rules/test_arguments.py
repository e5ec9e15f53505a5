"""What can be stored, and what is said of what cannot."""

from __future__ import annotations

import re
from typing import Any

import pytest

from logistics.errors import InputError, PayloadError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import add


class Handle:
    """No plain data."""


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((1, Handle()), {}, r"^args\[1\]: Handle cannot be stored"),
        (({"deep": [0, {"handle": Handle()}]},), {}, r"^args\[0\]\['deep'\]\[1\]\['handle'\]: Handle"),
        ((), {"x": {"y": Handle()}}, r"^kwargs\['x'\]\['y'\]: Handle cannot be stored"),
        ((2**64,), {}, r"^args\[0\]: 18446744073709551616 does not fit into 64 bits; pass it as text"),
        (("\ud800",), {}, r"^args\[0\]: the text has a lone surrogate"),
        ((lambda: 1,), {}, r"^args\[0\]: function cannot be stored"),
        (([bytearray(1), open],), {}, r"^args\[0\]\[1\]: builtin_function_or_method cannot be stored"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_path(
    queue: Queue, args: Any, kwargs: Any, text: str
) -> None:
    with refused(text, PayloadError) as caught:
        queue.enqueue(Job("sum", add, args, kwargs))
    assert caught.value.path
    assert queue.get_stats()["total_jobs"] == 0


def test_what_contains_itself_is_refused(queue: Queue) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with refused(r"^args\[0\]\[0\]: contains itself; plain data is a tree", PayloadError):
        queue.enqueue(Job("sum", add, (loop,)))


def test_f62_what_is_too_large_is_refused_with_size_and_limit() -> None:
    with OrchestrationEngine(":memory:", max_payload=1_000) as engine:
        queue = Queue(engine=engine)
        queue.enqueue(Job("fits", add, (b"x" * 990,)))
        text = r"^the arguments take 1006 bytes, the limit is 1000 bytes \(max_payload=\); put the data into a file"
        with refused(text, PayloadError) as caught:
            queue.enqueue(Job("large", add, (b"x" * 1_000,)))
        assert (caught.value.size, caught.value.limit) == (1_006, 1_000)
        job = queue.dequeue()
        assert job is not None
        with refused("^the result takes 2003 bytes, the limit is 1000 bytes", PayloadError):
            queue.complete(job, b"x" * 2_000)


def test_the_default_limit_is_a_mebibyte(queue: Queue) -> None:
    room = (1 << 20) - 8
    queue.enqueue(Job("fits", add, (b"x" * room,)))
    with refused("the limit is 1048576 bytes", PayloadError):
        queue.enqueue(Job("large", add, (b"x" * (room + 1),)))


@pytest.mark.parametrize(("say", "to"), [("retry_all", {}), ("move_all", {"to": "other"})])
@pytest.mark.parametrize(
    ("slip", "text"),
    [
        ("concurency_key", "'concurency_key', did you mean 'concurrency_key'?"),
        ("among", "'among', expected name"),
    ],
)
def test_a_misspelt_filter_of_jobs_is_refused(
    queue: Queue, say: str, to: dict[str, Any], slip: str, text: str
) -> None:
    with refused(f"{say}: there is no option {re.escape(text)}", InputError):
        getattr(queue, say)(**to, **{slip: "a"})
