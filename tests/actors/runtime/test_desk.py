"""Whoever comes to the desk is let in, whatever others do at the door, and as soon as there is room."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import pytest

from actors.runtime import desk as room
from actors.runtime.desk import WELCOME, Desk, Guest, Hello, Said, encode
from actors.runtime.effects import AttemptKey

GENERATION = 3
KEY = AttemptKey("job", 1, 1)


class House:
    """A desk, and what it was told."""

    def __init__(self) -> None:
        self.greeted: list[int] = []
        self.said: list[Said] = []
        self.left = threading.Event()
        self.desk = Desk(greet=self.greet, hear=self.hear, gone=self.gone)
        self.address = self.desk.address(GENERATION)

    def greet(self, generation: int, _: Guest) -> bool:
        self.greeted.append(generation)
        return generation == GENERATION

    def hear(self, _: Guest, said: Said) -> None:
        self.said.append(said)

    def gone(self, generation: int, guest: Guest) -> None:
        assert generation == GENERATION
        assert guest._reader is threading.current_thread()
        self.left.set()

    def come(self, secret: bytes, generation: int = GENERATION) -> Connection:
        """Come as a process of a pool does."""
        connection = Client(self.address.place, family="AF_UNIX", authkey=secret)
        connection.send_bytes(encode(Hello(generation, os.getpid())))
        return connection


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.desk.close()


def is_let_in(house: House) -> bool:
    connection = house.come(house.address.secret)
    assert connection.recv_bytes() == WELCOME
    connection.send_bytes(encode(Said(KEY)))
    connection.close()
    assert house.left.wait(60)
    return house.said == [Said(KEY)] and house.greeted == [GENERATION]


def test_who_stops_while_it_shows_who_it_is_holds_up_nobody(house: House) -> None:
    """As a worker that was stopped by a debugger."""
    silent = [Client(house.address.place, family="AF_UNIX") for _ in range(3)]
    assert is_let_in(house)
    for connection in silent:
        connection.close()


def test_who_does_not_know_the_secret_is_not_let_in_and_others_are(house: House) -> None:
    with pytest.raises(Exception, match="digest sent was rejected"):
        house.come(b"a guess")
    assert is_let_in(house)


def test_who_belongs_to_a_pool_that_is_over_is_not_let_in(house: House) -> None:
    late = house.come(house.address.secret, GENERATION - 1)
    with pytest.raises(EOFError):
        late.recv_bytes()
    assert house.greeted == [GENERATION - 1]


def test_where_no_more_files_can_be_opened_the_desk_waits_and_then_lets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not ask again and again without a pause, which takes a whole processor."""
    refusals, pauses = [errno.EMFILE, errno.ENFILE, errno.EMFILE], []

    class Door(Listener):
        def accept(self) -> Any:
            if refusals:
                raise OSError(refusals.pop(), "planned")
            return super().accept()

    class Pause(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                pauses.append(timeout)
            return super().wait(0)

    monkeypatch.setattr(room, "Listener", Door)
    serve = Desk._serve

    def serve_with_pauses(desk: Desk) -> None:
        desk._closed = Pause()
        serve(desk)

    monkeypatch.setattr(Desk, "_serve", serve_with_pauses)
    house = House()
    try:
        assert is_let_in(house)
        assert pauses == [room.AGAIN_S] * 3
    finally:
        house.desk.close()
