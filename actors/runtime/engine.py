"""The runtime that holds the parts together: opening, sending, rebuilding after a failure, closing."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from pykka import ActorDeadError

from actors.runtime.directory import Directory
from actors.runtime.effects import Acknowledge, CancelAttempt, ReportUnacknowledged, StartAttempt
from actors.runtime.errors import BusyError, EngineClosedError, not_now
from actors.runtime.events import EngineClosed, EngineOpened
from actors.runtime.fold import first_states, replay, whole_enough
from actors.runtime.journal import HOLD_S, Journal
from actors.runtime.keeper import Keeper
from actors.runtime.messages import Context, Letter, Message, Nudge, Shutdown, TakeSnapshot
from actors.runtime.reply import Reply
from actors.runtime.seals import MAGIC
from actors.runtime.signals import Signals
from actors.runtime.vault import SUBJECT, Vault
from actors.runtime.watch import Watch
from eventstore.errors import (
    CorruptStoreError,
    FencedError,
    ForkedError,
    OutcomeUnknownError,
    ReplayError,
    StoreError,
)
from eventstore.gate import Gate
from eventstore.keyring import KeyRing
from eventstore.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pykka import ActorRef

    from actors.runtime.actor import EventSourcedActor
    from actors.runtime.clock import Clock
    from actors.runtime.executor import Executor
    from actors.runtime.keeper import Photographer
    from actors.runtime.messages import Effect, Event, Known
    from eventstore.codec import EventCodec
    from eventstore.log import Log

logger = logging.getLogger("logistics.engine")

BACKLOG_LIMIT = 10_000
"""Letters and items before a command above which callers are refused (F52, R22)."""
MAX_REBUILDS = 5
"""Rebuilds caused by failing actors within a minute, before the engine gives up (F49)."""
JOIN_S = 10.0
"""How long a stopping actor may take to finish its turn."""


class Runtime:
    """One open store: its log, journal, actors and executor."""

    journal_type: ClassVar[type[Journal]] = Journal

    def __init__(
        self,
        log: Log,
        codec: EventCodec,
        clock: Clock,
        actors: Sequence[type[EventSourcedActor]],
        *,
        executor: Callable[[Runtime], Executor],
        version: str = "",
        tzdata: str = "",
        hold_s: float = HOLD_S,
        photographer: Photographer | None = None,
        keys: KeyRing | None = None,
        whole_log: Callable[[], Log] | None = None,
    ) -> None:
        self.log = log
        self.whole_log = whole_log or (lambda: log)
        """Returns the log joined with its archive, for one thread."""
        self.codec = codec
        self.clock = clock
        self.directory = Directory()
        self.watch = Watch()
        self.journal = self.journal_type(
            log,
            clock,
            perform=self.perform,
            published=self.watch.published,
            recover=self.recover,
            close_intake=self._close_intake,
            awaited=self.watch.awaits,
            hold_s=hold_s,
        )
        ring = KeyRing(None) if keys is None else keys
        self.vault = Vault(ring, lambda: log.entities(SUBJECT, upto=self.journal.watermark))
        self.keeper = Keeper(log, lambda: self.journal.watermark, photographer)
        self.keeper.tidy = self.tidy
        self.executor = executor(self)
        self.signals = Signals(self.executor.knows, lambda: self.nudge("queue"))
        self.served: frozenset[str] | None = frozenset()
        self.scheduling = False
        self.failed: BaseException | None = None
        """Why the engine gave up, if it did: every command is refused with this as the cause."""
        self.trouble: BaseException | None = None
        """Why commands are refused for now, while the engine comes back."""
        self.looking = Gate()
        """Inside are actors between a look into the log and the hand-over of what they decided by it."""
        self._actor_types = tuple(actors)
        self._refs: dict[str, ActorRef[EventSourcedActor]] = {}
        self._stamp = (version, tzdata)
        self._closing = threading.Event()
        self._intake_open = False
        self._close_once = threading.RLock()
        self._closed = False
        self._rebuilds: deque[float] = deque(maxlen=MAX_REBUILDS)
        self._pid = os.getpid()
        self._capacity: int | None = None
        """None: the executor's; 0 once `close` has begun."""
        self._turning = threading.Lock()
        """Held while actors are published by a rebuild, or stopped for good."""

    # -- what actors see -----------------------------------------------------------------------------------

    def context(self, known: Mapping[str, Known]) -> Context:
        """Stamp a turn: the time and everything else that is not state."""
        capacity = self.executor.capacity if self._capacity is None else self._capacity
        return Context(
            self.clock.now_us(),
            self.journal.epoch,
            capacity,
            self.served,
            self.scheduling,
            known,
            self.signals.beats,
        )

    def perform(self, effect: Effect) -> None:
        """Carry out an effect that the journal lets out."""
        if type(effect) is StartAttempt:
            self.executor.start(effect)
        elif type(effect) is Acknowledge:
            self.executor.acknowledge(effect.key)
            self.signals.forget(effect.key)
        elif type(effect) is CancelAttempt:
            if self.executor.cancel(effect.key):
                self.directory.post("queue", Letter(Nudge()))  # there is a worker more
        elif type(effect) is ReportUnacknowledged:
            self.executor.report_unacknowledged()
        else:
            msg = f"unknown effect {effect!r}"
            raise TypeError(msg)

    def read(self, record: Record) -> Event:
        """Return an event for somebody to look at: what is sealed in it is opened, or a mark."""
        event = self.codec.decode(record)
        return self.vault.shown(event) if MAGIC in record.payload else event

    def report(self, message: Message, cause: str) -> None:
        """Deliver a completion to the queue: no generation, state decides (R15), no bound (R22)."""
        self.directory.post("queue", Letter(message, cause=cause))

    # -- opening ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Raise the epoch, recover, start the actors and the journal; commands are served when this returns.

        If that fails, whatever it started is stopped, and the log is closed.
        """
        try:
            self.begin()
            self.vault.settle(self)
            self.journal.start()
            self.keeper.start()
        except BaseException as error:
            self.failed = error  # so nobody is asked to settle anything, and nothing is written
            self.close(0.0)
            raise

    def begin(self) -> None:
        """Raise the epoch, fold the log, write the barrier and publish the actors.

        In this order: to a log that this code cannot read, because a newer one has written in it, nothing is added.
        """
        self.journal.epoch = self.log.head.epoch + 1
        self.journal.expected = self.log.head.position
        states = self._folded(self.log.head.position)
        self.write_barrier()
        self.publish(self._started(states))

    def write_barrier(self) -> None:
        """Commit a synced frame on top of what was read; until then none of it counts as durable (R12)."""
        version, tzdata = self._stamp
        journal = self.journal
        event = EngineOpened(
            epoch=journal.epoch,
            generation=journal.generation,
            at_us=self.clock.now_us(),
            version=version,
            tzdata=tzdata,
        )
        self.record(event)

    def record(self, event: Event) -> None:
        """Write an event of the engine's own, in a frame of its own."""
        self.journal.append([self.codec.record(event, entity=event.entity)])
        self.watch.published([event], self.journal.watermark)

    def build(self) -> dict[str, ActorRef[EventSourcedActor]]:
        """Fold every actor and start it; nobody knows its address yet."""
        return self._started(self._folded(self.journal.watermark))

    def _folded(self, upto: int) -> dict[str, Any]:
        rules = [actor.rules for actor in self._actor_types]
        states, begun = first_states(self.log, rules, upto=upto)
        log = whole_enough(self.log, begun, self.whole_log)
        replay(log, self.codec, states, begun, upto=upto)
        self.keeper.position = min(begun.values())
        return states

    def _started(self, states: dict[str, Any]) -> dict[str, ActorRef[EventSourcedActor]]:
        generation = self.journal.generation
        refs: dict[str, ActorRef[EventSourcedActor]] = {}
        try:
            for actor in self._actor_types:
                refs[actor.rules.name] = actor.start(self, states[actor.rules.name], generation)
        except BaseException:
            _stop(refs)
            raise
        return refs

    def publish(self, refs: dict[str, ActorRef[EventSourcedActor]]) -> None:
        """Open the gate, then make all addresses known at once, `Resume` first in each mailbox (R17)."""
        self._refs = refs
        self.journal.open_gate()
        self.directory.publish(refs)
        self._intake_open = True

    @property
    def accepting(self) -> bool:
        """Whether commands are taken."""
        return self._intake_open

    @property
    def is_here(self) -> bool:
        """Whether this is the process that opened it; in a forked one its threads are missing (F18)."""
        return os.getpid() == self._pid

    def check_here(self) -> None:
        """Refuse to be used in a process that was forked from the one that opened it. `ForkedError`."""
        if not self.is_here:
            msg = f"this engine was opened by process {self._pid}, not by this one, which was forked from it"
            raise ForkedError(msg)

    # -- commands ------------------------------------------------------------------------------------------

    def send(self, actor: str, message: Message, *, cause: str = "") -> Reply:
        """Send a caller's command to an actor; the reply comes once everything it says is durable.

        Raises `EngineClosedError`, `BusyError` or `StoreError` when the command was certainly not taken.
        """
        if not self._intake_open or not self.is_here:
            self._refuse()
        if (backlog := self.backlog(actor)) > BACKLOG_LIMIT:
            msg = f"{backlog} commands wait; nothing was changed, try again in a moment"
            raise BusyError(msg)
        reply = Reply()
        self.directory.post(actor, Letter(message, reply=reply, cause=cause))
        return reply

    def backlog(self, actor: str) -> int:
        """Return what waits before a command to an actor is durable: letters for it, and items to be written."""
        return self.journal.backlog + self.directory.backlog(actor)

    def _refuse(self) -> None:
        self.check_here()
        if self.failed is not None:
            msg = f"the engine gave up: {self.failed!r}"
            raise EngineClosedError(msg) from self.failed
        if self._capacity is not None:
            msg = "the engine is closed"
            raise EngineClosedError(msg)
        raise not_now(self.trouble) from self.trouble

    def nudge(self, *actors: str) -> None:
        """Have actors look again: something outside their state changed."""
        self.check_here()
        for actor in actors:
            self.directory.post(actor, Letter(Nudge()))

    def tidy(self) -> bool:
        """Have the log take out a little of what was forgotten; whether there was something.

        A commit that fails there is a failed commit: the log refuses everything until the engine is rebuilt.
        """
        generation = self.journal.generation
        try:
            return self.log.tidy()
        except OutcomeUnknownError as error:
            self.journal.fail_from(generation, error)
            raise

    # -- after a failure -----------------------------------------------------------------------------------

    def _close_intake(self, error: BaseException) -> None:
        self.trouble = error
        self._intake_open = False

    def recover(self, error: BaseException) -> None:
        """Come back from a failed commit or a failed actor, on the journal's thread (R24)."""
        for _ in self.recovery(error):
            pass

    def recovery(self, error: BaseException) -> Iterator[str]:
        """Drop the actors, reopen the log until a barrier is synced, fold and publish (R11, R12, R17)."""
        self.directory.withdraw()
        _stop(self._refs)
        yield "dropped"
        if not isinstance(error, (StoreError, OSError)) and self._too_many_rebuilds():
            self._give_up(error)
            return
        told = self.journal.watermark
        wait_s = 0.01
        while not self._closing.is_set():
            try:
                self.journal.expected = self.log.reopen().position
                self.write_barrier()
                self._tell_survivors(told)
                refs = self.build()
            except (FencedError, CorruptStoreError, ReplayError) as hopeless:
                self._give_up(hopeless)
                return
            except Exception as again:  # noqa: BLE001 -- the disk is not back yet
                if not isinstance(again, (StoreError, OSError)) and self._too_many_rebuilds():
                    self._give_up(again)  # the replay fails: nothing will change that
                    return
                self.trouble = again
                logger.warning("the store cannot be written yet: %s", again)
                yield "waiting"
                self.pause(wait_s)
                wait_s = min(wait_s * 2, 5.0)
                self.journal.close_gate()
                continue
            yield "folded"
            self._come_back(refs)
            yield "published"
            return

    def _come_back(self, refs: dict[str, ActorRef[EventSourcedActor]]) -> None:
        """Publish rebuilt actors, unless the engine closed meanwhile: nobody else would stop them."""
        with self._turning:
            if self._closing.is_set():
                self._refs = refs
                _stop(self._refs)
            else:
                self.publish(refs)
                self._intake_open = self._capacity is None
                self.trouble = None

    def _tell_survivors(self, after: int) -> None:
        """Tell whoever waits of what a failed commit had written all the same: nobody else will (R13)."""
        for frame in self.log.frames(after=after, upto=self.journal.watermark):
            self.watch.published(self.codec.decode_frame(frame), frame.last)

    def pause(self, seconds: float) -> None:
        """Wait before the disk is tried again, or until the engine closes."""
        self._closing.wait(seconds)

    def _too_many_rebuilds(self) -> bool:
        now = time.monotonic()
        if len(self._rebuilds) == MAX_REBUILDS and now - self._rebuilds[0] < 60:  # noqa: PLR2004 -- seconds
            return True
        self._rebuilds.append(now)
        return False

    def _give_up(self, error: BaseException) -> None:
        logger.critical("the engine gives up", exc_info=error)
        self.failed = error
        self.watch.close(EngineClosedError(f"the engine gave up: {error!r}"))

    # -- closing -----------------------------------------------------------------------------------------------

    def close(self, grace_s: float = 10.0) -> None:
        """Stop in the one right order (R23). A second call waits for the first, and does nothing."""
        if not self.is_here:
            return
        with self._close_once:
            if not self._closed:
                self._close(grace_s)
                self._closed = True

    def _close(self, grace_s: float) -> None:
        """Do what `close` says; done again from the beginning if it was interrupted."""
        with self._turning:
            self._capacity = 0  # decide no more starts
            self._intake_open = False
        self.executor.close(grace_s)
        if self.failed is None:
            reply = Reply()
            self.directory.post("queue", Letter(Shutdown(), reply=reply))
            self._wait_for(reply)
        self.keeper.stop()
        with self._turning:
            self._closing.set()
            if self.failed is None and self.keeper.is_behind:
                for name in self._refs:
                    self.directory.post(name, Letter(TakeSnapshot()))
            self.directory.withdraw()
            _stop(self._refs)
        for ref in self._refs.values():
            ref.actor_stopped.wait(JOIN_S)  # set behind the last turn: no handler is in progress after it
        self.journal.stop()
        self._write_last()
        self.watch.close(EngineClosedError("the engine was closed"))
        self.log.close()

    def _wait_for(self, reply: Reply) -> None:
        try:
            reply.get(JOIN_S)
        except (StoreError, TimeoutError):
            logger.warning("the queue did not settle its running jobs before the engine closed")

    def _write_last(self) -> None:
        if self.failed is not None:
            return
        try:
            self.record(EngineClosed(epoch=self.journal.epoch, at_us=self.clock.now_us()))
        except StoreError:
            logger.warning("the closing of the engine could not be recorded", exc_info=True)


def _stop(refs: Mapping[str, ActorRef[EventSourcedActor]]) -> None:
    for ref in refs.values():
        with contextlib.suppress(ActorDeadError):
            _ = ref.stop(block=False)
