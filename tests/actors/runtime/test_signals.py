"""What attempts say of themselves while they run, and no longer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.queue.worker import encode
from actors.runtime.attempt import AttemptContext
from actors.runtime.clock import VirtualClock
from actors.runtime.effects import AttemptKey
from actors.runtime.errors import InputError
from actors.runtime.signals import Progress, Signals

KEY = AttemptKey("j", 1, 1)


class Half(float):
    """A number of a kind of its own, as numpy has them."""


def test_signs_of_life_that_come_when_the_attempt_is_over_are_not_kept() -> None:
    """A thread that it has left behind may go on giving them: one of each attempt would stay for ever."""
    known = {KEY}
    signals = Signals(known.__contains__)
    runtime: Any = SimpleNamespace(signals=signals, clock=VirtualClock())
    ctx = AttemptContext(KEY, "name", "", runtime)
    ctx.progress(1, total=2)
    assert (len(signals.beats), len(signals.progress)) == (1, 1)
    known.clear()
    signals.forget(KEY)
    ctx.heartbeat()
    ctx.progress(2, total=2)
    assert (signals.beats, signals.progress) == ({}, {})


def test_progress_is_told_in_numbers_of_python_s_own() -> None:
    """Others cannot be sent from process to process."""
    signals = Signals({KEY}.__contains__)
    runtime: Any = SimpleNamespace(signals=signals, clock=VirtualClock())
    AttemptContext(KEY, "name", "", runtime).progress(Half(0.5), total=Half(1))
    said = signals.progress[KEY]
    assert (type(said.done), type(said.total)) == (float, float)


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), 10**400, True, None, "1"])
def test_progress_that_is_no_number_is_refused_and_a_long_one_is_told(number: Any) -> None:
    signals = Signals({KEY}.__contains__)
    ctx = AttemptContext(KEY, "name", "", SimpleNamespace(signals=signals, clock=VirtualClock()))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="done: expected a number, got "):
        ctx.progress(number)
    assert not signals.progress
    ctx.progress(-(10**30), total=0)
    said = signals.progress[KEY]
    assert (said.done, said.total) == (-1e30, 0)
    assert encode(said) == encode(Progress(-1e30, 0, "", said.at_us))
