"""Answers: set once, seen by all who wait."""

from __future__ import annotations

import threading

import pytest

from actors.runtime.reply import Reply


def test_an_answer_reaches_a_thread_that_waits() -> None:
    reply, got = Reply(), []
    thread = threading.Thread(target=lambda: got.append(reply.get(10)))
    thread.start()
    reply.set(7)
    thread.join()
    assert got == [7]


def test_the_first_answer_stands() -> None:
    reply = Reply()
    reply.set(1)
    reply.fail(ValueError("too late"))
    assert reply.get(0) == 1


def test_an_error_is_raised_at_the_waiting_side() -> None:
    reply = Reply()
    reply.fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        reply.get(0)


def test_waiting_ends_without_an_answer() -> None:
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        Reply().get(0.01)


def test_many_may_wait_and_ask_again() -> None:
    reply, got = Reply(), []
    threads = [threading.Thread(target=lambda: got.append(reply.get(10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    reply.set("x")
    for thread in threads:
        thread.join()
    assert got == ["x"] * 8
    assert reply.get(0) == "x"


def test_callbacks_are_called_once_before_or_after_the_answer() -> None:
    reply, seen = Reply(), []
    reply.when_done(lambda done: seen.append(("early", done.get(0))))
    reply.set(3)
    reply.when_done(lambda done: seen.append(("late", done.get(0))))
    assert seen == [("early", 3), ("late", 3)]


def test_of_many_answers_at_once_one_wins_and_nothing_breaks() -> None:
    for _ in range(200):
        reply = Reply()
        threads = [threading.Thread(target=reply.set, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        first = reply.get(10)
        for thread in threads:
            thread.join()
        assert reply.get(0) == first
