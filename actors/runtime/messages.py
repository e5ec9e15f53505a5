"""What every actor's messages are made of: events, commands, letters, decisions and effects."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.effects import AttemptKey
    from actors.runtime.reply import Reply


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A fact: written once, never changed. Subclasses carry an explicit, permanent, dotted tag."""

    schema_version: ClassVar[int] = 1
    final: ClassVar[bool] = False
    """True if the entity is over with this event: whoever waits for its end is told."""

    @property
    def entity(self) -> str:
        """The key of the thing this is a fact about (`job:…`, `run:…`); the log keeps an index by it."""
        raise NotImplementedError


class Message(msgspec.Struct, frozen=True, gc=False):
    """Something said to an actor: a command of a caller, a word of a peer, a query.

    Messages, events and effects are data without cycles: the garbage collector does not look at them (`gc=False`).
    """

    def joined(self, _later: Message) -> Message | None:
        """Return one message that says both, and is one decision; None if there is none."""
        return None


class Effect(msgspec.Struct, frozen=True, gc=False):
    """Something done to the outside world, let out by the journal once its cause is durable."""

    urgent: ClassVar[bool] = False
    """True if somebody waits for it: the journal then commits at once instead of waiting for company."""


class Resume(Message, frozen=True, tag="runtime.resume"):
    """First message of every actor after its state was folded: say again whatever is owed."""


class Nudge(Message, frozen=True, tag="runtime.nudge"):
    """Something outside the state changed (workers, served queues, the time): look again."""


class Shutdown(Message, frozen=True, tag="runtime.shutdown"):
    """Word to the queue that the engine closes: what still runs is interrupted, at nobody's charge."""


class Inspect(Message, frozen=True, tag="runtime.inspect"):
    """A query for the actor's whole state as plain data: for tests, snapshots and time travel."""


class TakeSnapshot(Message, frozen=True, tag="runtime.take_snapshot"):
    """Have the actor hand a copy of its state to the journal, which places it (R19)."""


class Known(NamedTuple):
    """What the log says of an entity that memory has forgotten."""

    history: tuple[Event, ...]
    """All its events, oldest first; never empty."""


NO_BEATS: Mapping[AttemptKey, int] = MappingProxyType({})


class Context(NamedTuple):
    """Everything a rule may know besides its state and the message. Rules read no clock of their own."""

    now_us: int
    """The time of the decision, microseconds UTC."""
    epoch: int
    """The incarnation of the store's owner, and so of its executor: raised by one at every opening."""
    capacity: int
    """User functions that may run at one time."""
    served: frozenset[str] | None
    """Queues that workers serve now, beside the engine's own; None: all of them."""
    scheduling: bool
    """True while a scheduler is started: due schedules fire."""
    known: Mapping[str, Known]
    """The durable past of the entities that `lookups` asked for."""
    beats: Mapping[AttemptKey, int] = NO_BEATS
    """When attempts last gave a sign of life (µs UTC); only of those that gave any."""
    horizon_us: int = 0
    """Of a message with `lookups`: what was recorded up to this instant may have been forgotten; 0: nothing was."""


class Decision(msgspec.Struct, eq=False):
    """The outcome of one decision. The actor's base class applies it in the one right order (R1)."""

    events: list[tuple[Event, str]] = []
    effects: list[Effect] = []
    tells: list[tuple[str, Message]] = []
    reply: Any = None
    replied: bool = False

    def emit(self, event: Event, correlation: str = "") -> None:
        """Record `event`; `correlation` is the root entity it belongs to ("" for itself)."""
        self.events.append((event, correlation))

    def do(self, effect: Effect) -> None:
        """Let `effect` out once everything decided so far is durable."""
        self.effects.append(effect)

    def tell(self, actor: str, message: Message) -> None:
        """Tell a peer, by name, after the hand-over."""
        self.tells.append((actor, message))

    def answer(self, reply: object) -> None:
        """Answer whoever asked; an exception is a refusal and is raised at the caller's side."""
        self.reply = reply
        self.replied = True


class Letter(msgspec.Struct, eq=False):
    """One message on its way to an actor.

    `generation` is None for callers' commands and completions, which state alone judges (R15); peers'
    messages carry the generation of their sender and are ignored by another one (R10).

    The collector has to see it: a refusal leads from the reply back to its letter, by the frames of its traceback.
    """

    message: Message
    generation: int | None = None
    reply: Reply | None = None
    cause: str = ""


Tells: TypeAlias = "list[tuple[str, Letter]]"
