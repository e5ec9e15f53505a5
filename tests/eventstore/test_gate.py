"""The gate: readers pass together, and who wants to be alone is."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from eventstore.gate import Doors, Gate
from tests.logistics.orchestration.children import ROOT


@pytest.fixture(params=[Gate, Doors])
def gate(request: pytest.FixtureRequest) -> Any:
    return request.param()


def inside(gate: Gate | Doors) -> AbstractContextManager[Any]:
    """Return what is entered by a reader."""
    return gate.own() if isinstance(gate, Doors) else gate


def test_readers_pass_together(gate: Gate | Doors) -> None:
    meeting = Barrier(3)

    def read() -> None:
        with inside(gate):
            meeting.wait(10)

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not meeting.broken


def test_alone_waits_for_readers_and_holds_back_new_ones(gate: Gate | Doors) -> None:
    order: list[str] = []
    is_inside, may_leave = Event(), Event()

    def read() -> None:
        with inside(gate):
            is_inside.set()
            may_leave.wait(10)
            order.append("reader")

    def close() -> None:
        with gate.alone():
            order.append("alone")

    reader, closer = Thread(target=read), Thread(target=close)
    reader.start()
    is_inside.wait(10)
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


def test_readers_without_end_cannot_keep_out_who_wants_to_be_alone(gate: Gate | Doors) -> None:
    done = Event()

    def read() -> None:
        while not done.is_set():
            with inside(gate):
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


def test_many_readers_and_many_who_want_to_be_alone_all_get_through(gate: Gate | Doors) -> None:
    held = [0]

    def read() -> None:
        for _ in range(500):
            with inside(gate):
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


def test_an_error_inside_leaves_the_gate_as_it_was(gate: Gate | Doors) -> None:
    for enter in (lambda: inside(gate), gate.alone):
        with pytest.raises(KeyError), enter():
            raise KeyError
    with gate.alone(), pytest.raises(KeyError):
        raise KeyError


INTERRUPTED = """
import signal
from contextlib import suppress
from threading import Thread
from eventstore.gate import Doors

doors = Doors()

def hold():
    with doors.alone():
        pass

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for number in range(100):
    with suppress(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 1e-4 + number * 1e-6)
        while True:
            with doors.own():
                pass
    holder = Thread(target=hold, daemon=True)
    holder.start()
    holder.join(10)
    assert not holder.is_alive()
"""


@pytest.mark.no_cover
def test_an_interrupt_leaves_no_door_held() -> None:
    """In a process of its own: what measures coverage holds locks, too, that an interrupt leaves held."""
    subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, check=True)


def test_doors_of_threads_that_are_gone_are_forgotten() -> None:
    doors = Doors()
    for _ in range(3):
        thread = Thread(target=doors.own)
        thread.start()
        thread.join(10)
    doors.own()
    assert len(doors._doors) == 1
