"""The parts of an engine whose place in the simulation is taken by something that a seed can step."""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from actors.runtime.actor import EventSourcedActor
from actors.runtime.effects import GIVE_UP, RETRY, SNOOZE, AttemptFinished, AttemptKey
from actors.runtime.engine import Runtime
from actors.runtime.mailbox import letters_of, refuse_envelope
from actors.runtime.messages import Letter
from actors.simulation.checks import violated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.runtime.effects import StartAttempt
    from actors.runtime.journal import Item
    from actors.runtime.messages import Message


class Envelope:
    """What Pykka puts into a mailbox."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_to = None


class SimMailbox:
    """Pykka's inbox protocol, without a thread to wait in it."""

    def __init__(self) -> None:
        self.letters: deque[Any] = deque()
        self.deadline: float | None = None
        self._closed = False

    def put(self, envelope: Any, /) -> None:
        """Take a message."""
        if self._closed:
            refuse_envelope(envelope)
        elif letters := letters_of(envelope.message):
            self.letters += map(Envelope, letters)  # each may be taken in a turn of its own
        else:
            self.letters.append(envelope)

    def get(self) -> Any:
        """Hand out the oldest message."""
        return self.letters.popleft()

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self.letters

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self.letters)

    def close(self) -> None:
        """Refuse what waits and whatever still comes."""
        self._closed = True
        while self.letters:
            refuse_envelope(self.letters.popleft())


class SimActor(EventSourcedActor):
    """Mixed into each actor: it is stepped by the world instead of running on a thread."""

    inbox_type: ClassVar[type[SimMailbox]] = SimMailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_progress: Iterator[str] | None = None
        self.taken: list[Letter] = []
        self.runtime.newest[self.rules.name] = self

    @property
    def runtime(self) -> SimRuntime:
        """The runtime, as the class it is."""
        runtime: SimRuntime = self._runtime  # type: ignore[assignment]
        return runtime

    @classmethod
    def _create_actor_inbox(cls) -> Any:
        return cls.inbox_type()

    def _start_actor_loop(self) -> None:
        self.runtime.actors.append(self)

    @property
    def mailbox(self) -> SimMailbox:
        """The inbox, as the class it is."""
        mailbox: SimMailbox = self.actor_inbox  # type: ignore[assignment]
        return mailbox

    @property
    def is_idle(self) -> bool:
        """Whether it may see to a commit."""
        return self.runtime.actors_attend and super().is_idle

    @property
    def runnable(self) -> bool:
        """Whether there is a step to take."""
        return self.in_progress is not None or bool(self.actor_inbox.letters)  # type: ignore[attr-defined]

    def step(self, most: int) -> None:
        """Go on with the turn in progress, or begin one with up to `most` letters."""
        if self.in_progress is None:
            self._begin(most)
        if self.in_progress is not None:
            try:
                next(self.in_progress)
            except StopIteration:
                self.in_progress = None
            except Exception as error:  # noqa: BLE001 -- what a thread's `on_receive` does
                self.in_progress = None
                self.give_up(self.taken, error)

    def _decide_all(self, letters: list[Letter]) -> tuple[Item, list[tuple[str, Message]]]:
        """Take a turn, after which nothing follows any more: nobody may come by for a long time to settle it."""
        decided = super()._decide_all(letters)
        for more in self.rules.settle(self.state, self._runtime.context({})):
            left = [
                event for event, _ in more.events if not getattr(event, "behind", 0)
            ]  # starts ahead may wait
            if left or more.tells:
                raise violated("a turn has left something to be settled", (self.rules.name, left))
        return decided

    def _begin(self, most: int) -> None:
        letters = self.mailbox.letters
        if not isinstance(letters[0].message, Letter):
            self._handle_receive(letters.popleft().message)  # Pykka's own stop
            return
        self.taken = []
        while letters and len(self.taken) < most and isinstance(letters[0].message, Letter):
            self.taken.append(letters.popleft().message)
        self.in_progress = self.turn(self.taken)


@functools.cache
def simulated(actor: type[EventSourcedActor], mixins: tuple[type[SimActor], ...]) -> type[EventSourcedActor]:
    """Return the class of actors that a world steps.

    It is made once: an abstract class, as every actor's is, remembers of each class whether it is one of its own,
    and would do so of thousands that are all alike.
    """
    return type(f"Sim{actor.__name__}", (*mixins, actor), {})


class SimExecutor:
    """An executor without threads: the world decides when which attempt ends, and how."""

    def __init__(self, runtime: Runtime, capacity: int, on_start: Callable[[AttemptKey], None]) -> None:
        self.capacity = self._workers = capacity
        self.running: dict[AttemptKey, StartAttempt] = {}
        self.finished: dict[AttemptKey, AttemptFinished] = {}
        self.hanging: set[AttemptKey] = set()
        """Attempts that do not end while anybody waits for them."""
        self.batches: list[set[AttemptKey]] = []
        """Attempts that are made in one call: as long as one of them is awaited, its worker is not made up for."""
        self.abandoned: set[AttemptKey] = set()
        self.made_up: set[AttemptKey] = set()
        """Abandoned calls, by the first of their attempts, for each of which there is a worker more."""
        self.refusing = False
        self._runtime = runtime
        self._on_start = on_start

    def start(self, attempt: StartAttempt) -> None:
        """Begin an attempt, once per key."""
        if self.knows(attempt.key) or self.refusing:
            return
        for key in (attempt.key, *attempt.others):
            self._on_start(key)
            self.running[key] = attempt
        if attempt.others:
            self.batches.append({attempt.key, *attempt.others})

    def knows(self, key: AttemptKey) -> bool:
        """Whether an attempt was started and not acknowledged."""
        return key in self.running or key in self.finished

    @property
    def ending(self) -> list[AttemptKey]:
        """Attempts that may end now."""
        return [key for key in self.running if key not in self.hanging or key in self.abandoned]

    def finish(
        self, key: AttemptKey, *, outcome: str, now_us: int, note: bytes = b"", run_us: int = 10
    ) -> None:
        """End an attempt; an outcome may be what its exception advises."""
        start = self.running.pop(key)
        self.abandoned.discard(key)
        self._make_up_for(key)
        advice, after_us = (outcome, 3_000_000) if outcome in (SNOOZE, RETRY, GIVE_UP) else ("", 0)
        outcome = "error" if advice else outcome
        end = AttemptFinished(
            key=key,
            outcome=outcome,
            result=b"\x01" if outcome == "ok" else b"",
            error="" if outcome == "ok" else "planned",
            started_us=now_us,
            run_us=run_us,
            correlation=start.correlation,
            note=note,
            advice=advice,
            after_us=after_us,
        )
        self.finished[key] = end
        self.report(end)

    def report(self, end: AttemptFinished) -> None:
        """Tell the queue."""
        self._runtime.report(end, end.key.cause)

    def cancel(self, key: AttemptKey) -> bool:
        """Make up for the worker: user code cannot be stopped, the world ends it late."""
        if not self.knows(key):
            self.report(AttemptFinished(key=key, outcome="returned"))
        if key not in self.running or key in self.abandoned:
            return False
        self.abandoned.add(key)
        return self._make_up_for(key)

    def _make_up_for(self, key: AttemptKey) -> bool:
        """Have a worker more as long as a call goes on for which nobody waits; whether there is one now."""
        batch = self._batch(key)
        going = batch & self.running.keys()
        if going and going <= self.abandoned:
            self.made_up.add(min(batch))
        else:
            self.made_up.discard(min(batch))
        had, self.capacity = self.capacity, self._workers + len(self.made_up)
        return self.capacity > had

    def _batch(self, key: AttemptKey) -> set[AttemptKey]:
        return next((batch for batch in self.batches if key in batch), {key})

    def is_cancelled(self, key: AttemptKey) -> bool:
        """Whether nobody waits for an attempt any more."""
        return key in self.abandoned

    @property
    def under_way(self) -> int:
        """Attempts that were not acknowledged, those aside that nobody waits for."""
        return len((self.running.keys() | self.finished.keys()) - self.abandoned)

    def acknowledge(self, key: AttemptKey) -> None:
        """Forget an attempt."""
        self.finished.pop(key, None)

    def report_unacknowledged(self) -> None:
        """Tell every end again."""
        for end in list(self.finished.values()):
            self.report(end)

    def hire(self) -> None:
        """There is nobody to hire."""

    def blocking(self, key: AttemptKey) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002 -- see below
        """No user code runs here that could wait."""
        return contextlib.nullcontext()

    def close(self, grace_s: float) -> bool:  # noqa: ARG002 -- virtual functions end when the world says so
        """Begin nothing new."""
        self.refusing = True
        return not self.running


class SimRuntime(Runtime):
    """A runtime whose recovery is stepped."""

    recovering: Iterator[str] | None = None
    actors_attend = False
    """Whether actors that are idle commit by themselves."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.actors: list[SimActor] = []
        """All that the world steps, the oldest first."""
        self.newest: dict[str, SimActor] = {}
        """The actors of the present generation, by name."""
        super().__init__(*args, **kwargs)

    def recover(self, error: BaseException) -> None:
        """Leave the recovery to the world; until it is over the journal rests."""
        self.recovering = self.recovery(error)

    def pause(self, seconds: float) -> None:
        """No time passes by itself."""
