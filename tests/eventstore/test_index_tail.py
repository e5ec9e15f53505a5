"""The newest part of the index by entity, while it is added to."""

from __future__ import annotations

from itertools import count
from threading import Thread

from eventstore.index_tail import Tail
from tests.support.collecting import at_every_collection


def test_entities_can_be_listed_while_another_thread_sorts_out_those_that_come() -> None:
    tail = Tail([f"job:{number}" for number in range(5_000)], after=0)
    assert tail.of("job:0") == [1]

    numbers = count(5_000)

    def come() -> None:
        entity = f"job:{next(numbers)}"
        tail.add([entity])
        tail.of(entity)

    others: list[Thread] = []

    def between() -> None:
        if len(others) < 3:  # before the list is begun, and while it is made
            others.append(Thread(target=come))
            others[-1].start()
            others[-1].join(0.05)  # it comes between, or waits

    with at_every_collection(between):
        found = tail.items()
    for other in others:
        other.join(10)
    assert len(found) >= 5_000
