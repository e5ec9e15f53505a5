"""The clock actor: it wakes the others when their time has come, and notices when time itself jumps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from actors.clock.decider import JUMP_US, ClockRules
from actors.clock.messages import GetNextWake, ObserveTime
from actors.runtime.actor import EventSourcedActor
from actors.runtime.messages import Letter, Nudge
from actors.runtime.rules import Rules
from actors.runtime.wake import WakeAt

if TYPE_CHECKING:
    from collections.abc import Iterator

SLICE_US = 1_000_000
"""Longest wait without a look at the wall clock, while anybody waits for an instant (time.md)."""


class ClockActor(EventSourcedActor):
    """Keeps one wake-up per actor. They are not recorded: after a rebuild each actor asks anew (R8)."""

    rules: ClassVar[Rules] = ClockRules()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clock = self._runtime.clock
        self._wakes: dict[str, int] = {}
        self._seen_us = (clock.now_us(), clock.monotonic_us())

    @property
    def wake_us(self) -> int | None:
        """The earliest instant (µs UTC) for which somebody wants to be woken."""
        return min(self._wakes.values(), default=None)

    def turn(self, letters: list[Letter]) -> Iterator[str]:
        """Take wake-ups, look at the time, ring for whom it is due."""
        others = [letter for letter in letters if not (self._take_wake(letter) or self._answer(letter))]
        observed = self._observe()
        if observed is not None:
            others.append(Letter(observed))
        yield from super().turn(others)
        yield from self._ring(jumped=observed is not None)

    def _take_wake(self, letter: Letter) -> bool:
        message = letter.message
        if type(message) is not WakeAt:
            return False
        if letter.generation == self.generation:
            if message.at_us is None:
                self._wakes.pop(message.who, None)
            else:
                self._wakes[message.who] = message.at_us
        return True

    def _answer(self, letter: Letter) -> bool:
        """Say when the next wake-up is, which is on no record."""
        if type(letter.message) is not GetNextWake:
            return False
        if letter.reply is not None:
            letter.reply.set(self.wake_us)
        return True

    def _observe(self) -> ObserveTime | None:
        clock = self._runtime.clock
        last_wall_us, last_monotonic_us = self._seen_us
        self._seen_us = wall_us, monotonic_us = clock.now_us(), clock.monotonic_us()
        if abs((wall_us - last_wall_us) - (monotonic_us - last_monotonic_us)) <= JUMP_US:
            return None
        return ObserveTime(
            wall_us=wall_us,
            monotonic_us=monotonic_us,
            last_wall_us=last_wall_us,
            last_monotonic_us=last_monotonic_us,
        )

    def _ring(self, *, jumped: bool) -> Iterator[str]:
        now_us = self._runtime.clock.now_us()
        due = [who for who, at_us in self._wakes.items() if jumped or at_us <= now_us]
        for who in due:
            del self._wakes[who]
            self._runtime.directory.post(who, Letter(Nudge(), generation=self.generation))
            yield "rung"
        wake_us = self.wake_us
        self.actor_inbox.deadline = (  # type: ignore[attr-defined]  # our mailbox has it, Pykka's protocol not
            None if wake_us is None else time.monotonic() + min(wake_us - now_us, SLICE_US) / 1e6
        )
