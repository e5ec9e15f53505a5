"""What an exception means: judged by type, by predicate, or said by the job itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from actors.runtime.effects import AS_USUAL, Verdict
from actors.runtime.errors import InputError
from actors.runtime.verdict import Retry, Snooze, judge, name_of, type_name


class Broken(ConnectionError):  # noqa: N818 -- a name like any other
    """One kind of it."""


class Unasked(Retry):
    """Does not say when: its own `__init__` is all it has."""

    def __init__(self, after_us: object = None) -> None:
        if after_us is not None:
            self.after_us = after_us  # type: ignore[assignment]


class Unreadable(Unasked):
    """Fails at saying when."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def is_short(error: BaseException) -> bool:
    return len(str(error)) < 3


def is_broken(error: BaseException) -> bool:
    raise RuntimeError(str(error))


def resolve(name: str) -> Callable[..., object]:
    return {"m:is_short": is_short, "m:is_broken": is_broken}[name]


@pytest.mark.parametrize(
    ("error", "retry_on", "give_up_on", "verdict"),
    [
        (ValueError("x"), (), (), AS_USUAL),
        (Broken("x"), ("builtins:ConnectionError",), (), AS_USUAL),
        (ValueError("x"), ("builtins:ConnectionError",), (), Verdict("give-up")),
        (Broken("x"), (), (type_name(Broken),), Verdict("give-up")),
        (ConnectionError("x"), (), (type_name(Broken),), AS_USUAL),
        (Broken("x"), ("builtins:OSError",), (type_name(Broken),), Verdict("give-up")),
        (ValueError("xxx"), ("?m:is_short",), (), Verdict("give-up")),
        (ValueError("x"), ("?m:is_short",), (), AS_USUAL),
        (ValueError("x"), (), ("?m:is_short",), Verdict("give-up")),
        (ValueError("x"), (), ("?m:is_broken",), AS_USUAL),
        (ValueError("x"), ("?m:unknown",), (), Verdict("give-up")),
        (Retry(2), (), ("builtins:Exception",), Verdict("retry", 2_000_000)),
        (Snooze(timedelta(minutes=1)), ("m:x",), (), Verdict("snooze", 60_000_000)),
    ],
)
def test_an_exception_is_judged(
    error: BaseException, retry_on: tuple[str, ...], give_up_on: tuple[str, ...], verdict: Verdict
) -> None:
    assert judge(error, retry_on, give_up_on, resolve) == verdict


@pytest.mark.parametrize(
    "make",
    [Unasked, lambda: Unasked("later"), lambda: Unasked(-1), lambda: Unasked(True), Unreadable],
)
def test_an_exception_that_does_not_say_what_it_should_is_like_any_other(
    make: Callable[[], BaseException],
) -> None:
    assert judge(make(), (), (), resolve) == AS_USUAL


def test_types_and_predicates_have_names() -> None:
    def register(func: Callable[..., object]) -> str:
        return f"m:{func.__name__}"

    assert name_of(ConnectionError, register) == "builtins:ConnectionError"
    assert name_of(is_short, register) == "?m:is_short"
    assert name_of("?m:is_short", register) == "?m:is_short"


@pytest.mark.parametrize("bad", [int, "no name", 7, None])
def test_what_is_no_condition_has_none(bad: object) -> None:
    with pytest.raises(InputError, match="expected exception types or functions"):
        name_of(bad, lambda _func: "m:f")


@pytest.mark.parametrize("bad", [-1, "1", None, float("nan"), True])
def test_a_time_that_makes_no_sense_is_refused(bad: object) -> None:
    with pytest.raises(InputError, match="after: expected 0 or more seconds"):
        Retry(bad)
    with pytest.raises(InputError, match="after: expected 0 or more seconds"):
        Snooze(bad)
