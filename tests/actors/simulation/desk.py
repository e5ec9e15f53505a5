"""A simulated engine in hand: one command at a time, answered before the next one, and crashes in between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from actors.queue.specs import Backoff, Conflict, Scope, Terms, Unique
from actors.runtime.journal import DEFINITE_TRIES
from actors.simulation.world import World
from eventstore.errors import StoreError
from eventstore.faulty_log import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.messages import Event, Message

MOST_STEPS = 10_000
SECOND = 1_000_000
SOME = st.integers(0, 30)
"""Which of those there are, by their number modulo how many there are."""
FIXED = Backoff("fixed")
UNIQUE = tuple(
    Terms(unique=Unique("u", scope, conflict, 5 * SECOND), backoff=FIXED)
    for scope in Scope
    for conflict in Conflict
)
"""Jobs that want to be the only one of their kind, in every way there is."""


class Desk(World):
    """A world in which nothing happens but what is asked for; no worker serves anything."""

    def __init__(self) -> None:
        self._fails = 0
        super().__init__(0, steps=0)
        self._faulty = False
        self.pump()

    def _boot(self) -> None:
        super()._boot()
        self.runtime.served = frozenset()
        self.runtime.scheduling = False

    def pump(self) -> None:
        """Let all actors and the journal go on until they have nothing to do."""
        for _ in range(MOST_STEPS):
            runnable = [actor for actor in self._actors if actor.runnable]
            if runnable:
                runnable[0].step(256)
            elif self._journal_has_work():
                self.journal_step()
            else:
                return
        raise AssertionError("the engine does not come to rest")

    def ask(self, message: Message) -> Any:
        """Send a message to the queue and return its answer; raises a refusal."""
        reply = self.runtime.send("queue", message)
        self.pump()
        return reply.get(0)

    def pass_time(self, by_us: int) -> None:
        """Let time pass, and everybody notice."""
        self.clock.advance(by_us)
        self.runtime.nudge("queue")
        self.pump()

    def crash(self) -> None:
        """The process dies, and another one opens the store."""
        self.medium.kill()
        self._reboot()
        self.pump()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Have the next commit certainly fail: nothing of it is on record, and the actors are rebuilt."""
        self._fails = DEFINITE_TRIES + 1
        yield
        self._fails = 0

    def lose(self, message: Message) -> None:
        """Send a message whose commit certainly fails."""
        with self.failing():
            reply = self.runtime.send("queue", message)
            self.pump()
        with pytest.raises(StoreError):
            reply.get(0)

    def _plan(self) -> Fault:
        self._fails -= self._fails > 0
        return Fault.BEFORE if self._fails else Fault.OK

    def history(self, job_id: str) -> list[Event]:
        """What the log says of a job."""
        stored = self.medium.history(f"job:{job_id}", upto=self.medium.synced)
        return [self.codec.decode(each.record) for each in stored]
