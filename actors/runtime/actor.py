"""The base of every actor: decide, encode, evolve, hand over, tell, answer, in this order and no other."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

from actors.runtime.clock import SystemClock
from actors.runtime.errors import ForgottenIdError, InternalError, not_now
from actors.runtime.fold import snapshot_of
from actors.runtime.ids import made_us
from actors.runtime.journal import Item
from actors.runtime.mailbox import Mailbox, refuse
from actors.runtime.messages import (
    Context,
    Decision,
    Inspect,
    Known,
    Letter,
    Message,
    Nudge,
    Resume,
    TakeSnapshot,
)
from actors.runtime.wake import WakeAt
from eventstore.errors import LogisticsError, ReopenNeededError
from eventstore.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actors.runtime.engine import Runtime
    from actors.runtime.rules import Rules

logger = logging.getLogger("logistics.actors")


class EventSourcedActor(pykka.ThreadingActor):
    """An actor whose state is the fold of its events.

    A subclass names its rules and nothing else. It holds no reference to peers, executor or timers:
    what its rules return is carried out here, so the wrong order cannot be written (R1).
    """

    use_daemon_thread = True
    rules: ClassVar[Rules]

    def __init__(self, runtime: Runtime, state: Any, generation: int) -> None:
        super().__init__()
        self._runtime = runtime
        self.state = state
        self.generation = generation
        self._gave_up = False
        self._looking = False
        """Whether it is inside the gate of those who have looked into the log."""
        self._last_number = 0
        self._retired: deque[tuple[int, list[tuple[str, Any]]]] = deque()
        self._wake_us: int | None = None

    # -- Pykka's extension points -----------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    def _start_actor_loop(self) -> None:
        """Start the thread; if there is none, nobody is left who would have to be stopped."""
        try:
            super()._start_actor_loop()
        except BaseException:
            self.stop()  # interrupted, it may run all the same
            pykka.ActorRegistry.unregister(self.actor_ref)
            raise

    def on_receive(self, message: Any) -> None:
        """Take one turn. No exception, of whatever kind, gets out of here: Pykka would stop every actor."""
        letters: list[Letter] = message if isinstance(message, list) else [message]
        try:
            for _ in self.turn(letters):
                pass
        except BaseException as error:  # noqa: BLE001 -- see above; the engine is rebuilt from the log
            self.give_up(letters, error)

    def on_stop(self) -> None:
        """Answer for whatever is still in the mailbox."""
        self.actor_inbox.close()  # type: ignore[attr-defined]  # Pykka knows the protocol, not our class

    def give_up(self, letters: Iterable[Letter], error: BaseException) -> None:
        """Leave: the state cannot be trusted any more. Same as a failed commit (R20)."""
        self._look_away()
        logger.error("the actor %r cannot go on", self.rules.name, exc_info=error)
        self._gave_up = True
        for letter in letters:
            refuse(letter)
        self._runtime.journal.fail_from(self.generation, error)

    # -- one turn -----------------------------------------------------------------------------------------

    def turn(self, letters: list[Letter]) -> Iterator[str]:
        """Take a drained mailbox as one item. Each `yield` is a point where a thread may be preempted."""
        if self.is_dropped:
            for letter in letters:
                refuse(letter)
            return
        item, tells = self._decide_all(letters)
        yield "evolved"
        yield from self.conclude(item, tells)

    @property
    def is_dropped(self) -> bool:
        """Whether this actor must not decide any more: it gave up, or the engine was rebuilt without it (R10)."""
        return self._gave_up or bool(self._runtime.journal.generation != self.generation)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing else for it to do just now, so that it may see to a commit."""
        return bool(self.actor_inbox.empty())

    def admits(self, letter: Letter) -> bool:
        """Whether a letter is of this generation, or of none (R10, R15)."""
        return letter.generation is None or letter.generation == self.generation

    def conclude(self, item: Item, tells: list[tuple[str, Message]]) -> Iterator[str]:
        """Hand over, and only then tell the peers (R1); see to the commit if nothing else is to be done."""
        item.attended = not tells and self.is_idle
        taken = self.hand_over(item)
        if self._looking:
            self._look_away()
        if not taken:
            return
        yield "handed over"
        if tells:
            yield from self.tell(tells)
        if item.number and item.attended and item.urgent:
            yield "attends"
            self._runtime.journal.attend()

    def tell(self, tells: list[tuple[str, Message]]) -> Iterator[str]:
        """Post what is to be told: to each peer all that is for it, in one envelope."""
        generation, cause = self.generation, self.rules.name
        for peer, messages in _by_peer(tells):
            letters = [Letter(message, generation=generation, cause=cause) for message in messages]
            self._runtime.directory.post(peer, *letters)
            yield "told"

    def _decide_all(self, letters: list[Letter]) -> tuple[Item, list[tuple[str, Message]]]:
        self._forget_durable()
        item = Item(self.generation)
        tells: list[tuple[str, Message]] = []
        context = self._runtime.context({})
        for letter in letters:
            if type(letter.message) is TakeSnapshot:
                item.snapshot = (self.rules.name, b"")
            elif self.admits(letter):
                self._take(letter, context, item, tells)
            else:
                refuse(letter)
        for settled in self.rules.settle(self.state, context):
            self._apply(settled, item, tells, cause="")
        if item.snapshot is not None:
            item.snapshot = (self.rules.name, snapshot_of(self.state))
        self._arm(context, tells)
        return item, tells

    def _take(self, letter: Letter, context: Context, item: Item, tells: list[tuple[str, Message]]) -> None:
        message, reply = letter.message, letter.reply
        try:
            decision = self._decide(message, context, asked=reply is not None)
            records = self._records(decision, letter.cause)
        except LogisticsError as refusal:
            if reply is None:  # said by a peer: it would say the same after a rebuild
                logger.error("%s refuses %r: %s", self.rules.name, message, refusal)  # noqa: TRY400 -- expected
            else:
                item.replies.append((reply, refusal))
            return
        except Exception as error:
            if reply is None:
                raise
            logger.exception("the command %r could not be decided", message)
            internal = InternalError(
                f"{type(message).__name__} could not be decided: {error!r}; nothing was changed"
            )
            internal.__cause__ = error
            item.replies.append((reply, internal))
            return
        self._take_in(decision, records, item, tells)
        if reply is not None:
            item.replies.append((reply, decision.reply))

    def _decide(self, message: Message, context: Context, *, asked: bool) -> Decision:
        if type(message) is Resume:
            return self.pending(context)
        if type(message) is Inspect:
            decision = Decision()
            decision.answer(self.state.dump())
            return decision
        if type(message) is Nudge:
            self._wake_us = None  # the clock has forgotten it: arm again, even for the same instant
            return Decision()
        wanted = self.rules.lookups(self.state, message)
        if wanted:
            wanted = tuple(wanted)
            try:
                known = self._look_up(wanted)
                horizon_us = self._runtime.log.horizon.head.recorded_us
                context = context._replace(known=known, horizon_us=horizon_us)
            except ReopenNeededError as error:  # a commit has failed, and the journal is about to say so
                raise not_now(error) from error
            if asked:
                self._refuse_forgotten(wanted, context.known)
        return self.rules.decide(self.state, message, context)

    def pending(self, context: Context) -> Decision:
        """Say what is owed (R8)."""
        return self.rules.pending(self.state, context)

    def _look_up(self, entities: Iterable[str]) -> Mapping[str, Known]:
        """Read what the log says of entities: it forgets nothing of them until the decision is handed over."""
        known: dict[str, Known] = {}
        runtime = self._runtime
        if not self._looking:
            runtime.looking.__enter__()
            self._looking = True
        for entity in entities:
            past = runtime.log.history(entity, upto=runtime.journal.watermark)
            if past:
                known[entity] = Known(tuple(runtime.codec.decode(stored.record) for stored in past))
        return known

    def _refuse_forgotten(self, wanted: Iterable[str], known: Mapping[str, Known]) -> None:
        """Refuse an id from before the horizon that is not on record: it may have been used (R21)."""
        if not isinstance(self._runtime.clock, SystemClock):
            return  # ids are made by the host's clock
        horizon_us = self._runtime.log.horizon.head.recorded_us
        for entity in wanted:
            us = made_us(entity) if horizon_us and entity not in known else None
            if us is not None and us <= horizon_us:
                msg = f"{entity} is not on record, and older than what is: it may have been forgotten"
                raise ForgottenIdError(msg)

    def _look_away(self) -> None:
        if self._looking:
            self._looking = False
            self._runtime.looking.__exit__()

    def _apply(self, decision: Decision, item: Item, tells: list[tuple[str, Message]], *, cause: str) -> None:
        self._take_in(decision, self._records(decision, cause), item, tells)

    def _records(self, decision: Decision, cause: str) -> list[Record]:
        return self._runtime.codec.records(decision.events, cause=cause) if decision.events else []

    def _take_in(
        self, decision: Decision, records: list[Record], item: Item, tells: list[tuple[str, Message]]
    ) -> None:
        handlers, events = self.state.handlers, item.events  # `evolve` would be a call more for each event
        for event, _ in decision.events:
            handlers[type(event)](event)
            events.append(event)
        item.records += records
        for effect in decision.effects:
            item.effects.append(effect)
            if effect.urgent:
                item.urgent = True
        tells += decision.tells

    def hand_over(self, item: Item) -> bool:
        """Give the item to the journal, or answer at once if there is nothing in flight; False if refused."""
        if item.replies:
            item.urgent = True
        if item.silent:
            if self.all_durable():
                for reply, value in item.replies:
                    reply.set(value)
                return True
            if not item.replies:
                return True
        number = self._runtime.journal.hand_over(item)
        if not number:
            return False
        self._last_number = number
        retired = self.state.take_retired()
        if retired:
            self._retired.append((number, retired))
        return True

    def all_durable(self) -> bool:
        """Whether nothing that this state contains is still in flight (R5).

        The generation is looked at after the number: a later generation's numbers are higher, and would
        vouch for an item of ours that failed.
        """
        journal = self._runtime.journal
        durable = journal.durable
        return bool(self._last_number <= durable and journal.generation == self.generation)

    def _forget_durable(self) -> None:
        durable = self._runtime.journal.durable
        while self._retired and self._retired[0][0] <= durable:
            self.state.forget(self._retired.popleft()[1])

    def _arm(self, context: Context, tells: list[tuple[str, Message]]) -> None:
        wake_us = self.rules.next_wake_us(self.state, context)
        if wake_us != self._wake_us:
            self._wake_us = wake_us
            tells.append(("clock", WakeAt(who=self.rules.name, at_us=wake_us)))


def _by_peer(tells: Iterable[tuple[str, Message]]) -> Iterable[tuple[str, list[Message]]]:
    """Return what each peer is told, in its order; neighbours that one message can say are one."""
    by_peer: dict[str, list[Message]] = {}
    for peer, message in tells:
        messages = by_peer.setdefault(peer, [])
        both = messages[-1].joined(message) if messages else None
        if both is None:
            messages.append(message)
        else:
            messages[-1] = both
    return by_peer.items()
