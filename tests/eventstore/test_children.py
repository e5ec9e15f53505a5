"""A function in a child process: its answer comes back, and so does what killed it."""

from __future__ import annotations

import ctypes
import os
import signal

import pytest

from eventstore.children import ChildDiedError, in_child


def answer(one: str, two: str) -> list[str]:
    return [two, one]


def raises(_: str) -> str:
    raise RuntimeError("the disk\nis made of cheese")


def aborts(_: str) -> None:
    os.abort()


def reads_nowhere(_: str) -> None:
    ctypes.string_at(0)


def is_killed(_: str) -> None:
    os.kill(os.getpid(), signal.SIGBUS)


def test_an_answer_comes_back() -> None:
    assert in_child(answer, "a", "é\n", answer=list[str]) == ["é\n", "a"]


@pytest.mark.parametrize(
    ("function", "words"),
    [(raises, "is made of cheese"), (aborts, "SIGABRT"), (reads_nowhere, "SIGSEGV"), (is_killed, "SIGBUS")],
)
def test_what_killed_it_is_told_and_kills_nobody_else(function: object, words: str) -> None:
    with pytest.raises(ChildDiedError, match=words) as caught:
        in_child(function, "x", answer=object)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
