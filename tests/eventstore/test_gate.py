"""The gate: readers pass together, and who wants to be alone is."""

from __future__ import annotations

from threading import Barrier, Event, Thread

import pytest

from eventstore.gate import Gate


def test_readers_pass_together() -> None:
    gate, meeting = Gate(), Barrier(3)

    def read() -> None:
        with gate:
            meeting.wait(10)

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not meeting.broken


def test_alone_waits_for_readers_and_holds_back_new_ones() -> None:
    gate = Gate()
    order: list[str] = []
    inside, may_leave = Event(), Event()

    def read() -> None:
        with gate:
            inside.set()
            may_leave.wait(10)
            order.append("reader")

    def close() -> None:
        with gate.alone():
            order.append("alone")

    reader, closer = Thread(target=read), Thread(target=close)
    reader.start()
    inside.wait(10)
    closer.start()
    may_leave.set()
    reader.join(10)
    closer.join(10)
    assert order == ["reader", "alone"]


def test_who_comes_after_one_who_waits_to_be_alone_waits_too() -> None:
    gate = Gate()
    order: list[str] = []

    def read() -> None:
        with gate:
            order.append("late reader")

    def close() -> None:
        with gate.alone():
            order.append("alone")

    closer, late = Thread(target=close), Thread(target=read)
    with gate:
        closer.start()
        while not gate._waiting:
            closer.join(0.001)
        late.start()
        late.join(0.1)
        order.append("early reader")
    closer.join(10)
    late.join(10)
    assert order[0] == "early reader"
    assert sorted(order[1:]) == ["alone", "late reader"]


def test_readers_without_end_cannot_keep_out_who_wants_to_be_alone() -> None:
    gate, done = Gate(), Event()

    def read() -> None:
        while not done.is_set():
            with gate:
                pass

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with gate.alone():
            pass
    done.set()
    for thread in threads:
        thread.join(10)


def test_many_readers_and_many_who_want_to_be_alone_all_get_through() -> None:
    gate = Gate()
    held = [0]

    def read() -> None:
        for _ in range(500):
            with gate:
                assert held[0] == 0

    def hold() -> None:
        for _ in range(100):
            with gate.alone():
                held[0] += 1
                held[0] -= 1

    threads = [Thread(target=read) for _ in range(4)] + [Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_an_error_inside_leaves_the_gate_as_it_was() -> None:
    gate = Gate()
    for enter in (lambda: gate, gate.alone):
        with pytest.raises(KeyError), enter():
            raise KeyError
    with gate.alone(), pytest.raises(KeyError):
        raise KeyError
