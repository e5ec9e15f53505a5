"""What would happen: the rules go on from a state of the store, with no function called and time that leaps."""

from __future__ import annotations

import heapq
from collections import deque
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.queue.events import JobEnqueued
from actors.queue.specs import NOTE_VALUE
from actors.runtime.effects import AttemptFinished, CancelAttempt, StartAttempt
from actors.runtime.messages import Context, Known
from actors.runtime.patience import patiently
from actors.workflow.inside import plans_inside
from actors.workflow.messages import StartRun
from eventstore.errors import LogisticsError
from logistics.audit.foreseen import foreseen
from logistics.inputs import as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.queue.specs import JobSpec
    from actors.runtime.effects import AttemptKey
    from actors.runtime.messages import Decision, Event, Message
    from actors.runtime.rules import Rules
    from logistics.audit.past import Past

SECOND_US = 1_000_000
"""How far time goes if somebody wants to be woken, is, and has nothing to do."""
NO_PARAMETERS = b"\x80"
MOST_EVENTS = 200_000
"""After so many events, or so many times that somebody was woken, a rehearsal ends, however far it has come."""


_ENCODE = msgspec.msgpack.Encoder().encode


class RehearsedEvent(NamedTuple):
    """An event that would be recorded."""

    at: datetime
    tag: str
    entity: str
    event: Event


class Rehearsal(NamedTuple):
    """What would happen, and up to when that was found out."""

    events: tuple[RehearsedEvent, ...]
    until: datetime
    """Earlier than asked for, if there were too many events."""
    unknown: tuple[str, ...]
    """Jobs whose end nobody can tell without calling a function: what follows hangs on their result."""


class Stage:
    """The actors' rules on states of their own; messages, ends of attempts and time are the stage's."""

    def __init__(
        self,
        rules: Sequence[Rules],
        states: Mapping[str, Any],
        past: Past,
        *,
        epoch: int,
        now_us: int,
        workers: int,
        took_us: int,
    ) -> None:
        self._rules = {each.name: each for each in rules}
        self._states = states
        self._past = past
        self._epoch = epoch
        self._now_us = now_us
        self._workers = workers
        self._took_us = took_us
        """How long a function takes that was never measured."""
        self._letters: deque[tuple[str, Message]] = deque()
        self._ends: list[tuple[int, int, AttemptFinished]] = []
        """A heap of when which attempts end."""
        self._numbers = count()
        self._new: dict[str, list[Event]] = {}
        """What would be on record of an entity, by that."""
        self.events: list[RehearsedEvent] = []
        self.unknown: dict[str, None] = {}

    def play(self, until_us: int, told: Callable[[int], object] | None = None) -> Rehearsal:
        """Let everything happen up to an instant; `told` hears, again and again, how many events there are."""
        for rules in self._rules.values():
            self._take_in(rules, rules.pending(self._states[rules.name], self._context({})))
        for _ in range(MOST_EVENTS):
            self._come_to_rest()
            if told is not None:
                told(len(self.events))
            if len(self.events) >= MOST_EVENTS:
                break
            next_us = self._next_us()
            if next_us is None or next_us > until_us:
                self._now_us = until_us
                break
            is_over = next_us <= self._now_us and not (self._ends and self._ends[0][0] <= self._now_us)
            self._now_us = self._now_us + SECOND_US if is_over else max(self._now_us, next_us)
            self._end_attempts()
        return Rehearsal(tuple(self.events), as_datetime(self._now_us), tuple(self.unknown))

    def _next_us(self) -> int | None:
        wakes = [
            rules.next_wake_us(self._states[name], self._context({})) for name, rules in self._rules.items()
        ]
        ends = [self._ends[0][0]] if self._ends else []
        return min([*ends, *(wake for wake in wakes if wake is not None)], default=None)

    def _come_to_rest(self) -> None:
        """Take what is said, and what follows from it, until nobody has anything to say."""
        busy = True
        while busy and len(self.events) < MOST_EVENTS:
            while self._letters:
                self._take(*self._letters.popleft())
            before = len(self.events)
            for rules in self._rules.values():
                for decision in rules.settle(self._states[rules.name], self._context({})):
                    self._take_in(rules, decision)
            busy = bool(self._letters) or len(self.events) > before

    def _context(self, known: Mapping[str, Known]) -> Context:
        return Context(self._now_us, self._epoch, self._workers, None, scheduling=True, known=known)

    def _take(self, name: str, message: Message) -> None:
        rules = self._rules[name]
        state = self._states[name]
        known = {entity: past for entity in rules.lookups(state, message) if (past := self._known(entity))}
        try:
            decision = rules.decide(state, message, self._context(known))
        except LogisticsError:  # refused, as it would be
            return
        self._take_in(rules, decision)

    def _known(self, entity: str) -> Known | None:
        events = [each.event for each in patiently(lambda: self._past.of(entity)) if each.event is not None]
        events += self._new.get(entity, ())
        return Known(tuple(events)) if events else None

    def _take_in(self, rules: Rules, decision: Decision) -> None:
        state = self._states[rules.name]
        for event, _ in decision.events:
            state.evolve(event)
            self._new.setdefault(event.entity, []).append(event)
            tag = str(type(event).__struct_config__.tag)
            self.events.append(RehearsedEvent(as_datetime(self._now_us), tag, event.entity, event))
        state.forget(state.take_retired())
        self._letters.extend(decision.tells)
        self._perform(decision.effects)

    def _perform(self, effects: Iterable[object]) -> None:
        """Have attempts end after a while, instead of beginning; one that is cancelled ends at once."""
        for effect in effects:
            if isinstance(effect, StartAttempt):
                for key in (effect.key, *effect.others):  # those of a batch end one by one
                    self._start(key)
            elif isinstance(effect, CancelAttempt):
                self._letters.append(("queue", AttemptFinished(key=effect.key, outcome="returned")))

    def _start(self, key: AttemptKey) -> None:
        known = self._known(f"job:{key.job_id}")
        first = None if known is None else known.history[0]
        if isinstance(first, JobEnqueued):
            note = self._note(first.spec)
            if note is None:
                self.unknown[f"job:{key.job_id}"] = None
                return
            run_us = self._states["queue"].run_us.get(first.spec.function, self._took_us)
            end = AttemptFinished(key=key, outcome="ok", result=b"\xc0", run_us=run_us, note=note)
            heapq.heappush(self._ends, (self._now_us + run_us, next(self._numbers), end))

    def _note(self, spec: JobSpec) -> bytes | None:
        """Return what a worker would tell the owner of a job; None if only a call can tell."""
        if spec.work is None or not spec.work.gives:
            return b""
        if spec.work.gives != "run":
            known = self._known(spec.owner)
            return None if known is None else foreseen(spec, known.history[0])
        firing = self._states["scheduler"].firings.get(spec.job_id)
        supervisor = self._states["supervisor"]
        plan_id = "" if firing is None else supervisor.newest.get(firing.target.workflow, "")
        if not plan_id:
            return None
        graphs = supervisor.graphs
        plan = graphs[plan_id].plan
        children = tuple(plans_inside(plan, lambda child: graphs[child].plan).items())
        run = StartRun(spec.job_id, plan, plan_id, NO_PARAMETERS, blocking=False, children=children)
        return NOTE_VALUE + _ENCODE(run)

    def _end_attempts(self) -> None:
        """Have those attempts succeed whose time has come."""
        while self._ends and self._ends[0][0] <= self._now_us:
            self._letters.append(("queue", heapq.heappop(self._ends)[2]))
