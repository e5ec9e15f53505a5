"""A store as it was at one position of its log: the same rules answer, on a state that was folded for it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from actors.folding import RULES
from actors.queue.messages import GetJob, GetResources, GetStats, ListJobs, ListQueues
from actors.runtime.errors import InputError
from actors.runtime.fold import first_states, replay
from actors.runtime.messages import Context, Known
from actors.runtime.patience import patiently
from actors.schedule.messages import GetSchedules
from actors.workflow.messages import GetRun, GetRuns, GetTotals
from eventstore.errors import CompactedError
from logistics.audit.past import Past
from logistics.audit.rehearsal import Stage
from logistics.audit.why import Witness, explain
from logistics.inputs import as_datetime, check_int, duration_us, instant_us
from logistics.messages import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from actors.queue.messages import JobView, QueueStats, ResourceView
    from actors.runtime.messages import Message
    from actors.schedule.messages import ScheduleView
    from actors.workflow.messages import RunView
    from eventstore.codec import EventCodec
    from eventstore.log import Log
    from logistics.audit.rehearsal import Rehearsal
    from logistics.audit.words import Why
    from logistics.inputs import Duration

_ENCODE = msgspec.msgpack.Encoder().encode
ENOUGH = 1 << 30
"""Workers."""


def _folded(
    log: Log, codec: EventCodec, position: int, *, snapshots: bool
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the states at a position, and what each began with: once more if the log was compacted meanwhile."""
    while True:
        horizon = log.horizon
        try:
            states, begun = first_states(log, RULES, upto=position, snapshots=snapshots)
            replay(log, codec, states, begun, upto=position)
        except CompactedError:
            if log.horizon == horizon:
                raise
        else:
            return states, begun


class StoreView:
    """Workflows, queues, schedules and resources as they were right after one event; read only.

    Made by `OrchestrationEngine.as_of` and `StoreReader.as_of`.
    """

    def __init__(self, log: Log, codec: EventCodec, position: int, *, snapshots: bool = True) -> None:
        """Fold the log up to a position, beginning with the newest snapshot before it."""
        self._log = log
        self._source: object = None
        """What has the log open, if it has to stay: a store in memory is closed when nobody can reach its engine."""
        self._codec = codec
        self._past = Past(log, codec, lambda: position)
        self._position = position
        last = patiently(lambda: log.at(position))
        self._recorded_us = 0 if last is None else last.recorded_us
        folded = patiently(lambda: _folded(log, codec, position, snapshots=snapshots))
        self._states, self.begun = folded
        """The position of the snapshot that each actor's state begins with; 0: with the first event."""

    def __repr__(self) -> str:
        return f"StoreView(position={self._position}, at={self.at.isoformat()})"

    @property
    def position(self) -> int:
        """The position of the last event that is taken in; 0: before the first."""
        return self._position

    @property
    def at(self) -> datetime:
        """When that event was recorded."""
        return as_datetime(self._recorded_us)

    def ask(self, query: Message, *, now_us: int = 0) -> Any:
        """Return the answer that a query of `logistics.messages` would have got. `InputError` for a command.

        At `now_us` (µs UTC), which is before the last event if the clock was set back; 0: when that was recorded. How
        many workers there were, and which queues they served, is not on record: it is answered as if there were enough,
        for all.
        """
        actor = COMMANDS.get(type(query))
        rules = next((rules for rules in RULES if rules.name == actor), None)
        if rules is None:
            msg = f"expected a query of logistics.messages, got {type(query).__name__}"
            raise InputError(msg)
        state = self._states[rules.name]
        context = Context(now_us or self._recorded_us, 0, ENOUGH, None, scheduling=True, known={})
        if entities := tuple(rules.lookups(state, query)):
            known = {entity: Known(past) for entity in entities if (past := self._history(entity))}
            context = context._replace(known=known)
        decision = rules.decide(state, query, context)
        if decision.events or decision.effects or decision.tells or not decision.replied:
            msg = f"{type(query).__name__} is a command: what is past only answers"
            raise InputError(msg)
        return decision.reply

    def _history(self, entity: str) -> tuple[Any, ...]:
        past = patiently(lambda: self._log.history(entity, upto=self._position))
        return tuple(self._codec.decode(stored.record) for stored in past)

    # -- what there was ------------------------------------------------------------------------------------

    def queues(self) -> dict[str, QueueStats]:
        """Return the counts of each queue by its name."""
        return {name: self.ask(GetStats(queue=name)) for name in sorted(self.ask(ListQueues()))}

    def jobs(self, queue: str | None = None) -> Iterator[JobView]:
        """Yield the jobs that had not ended, of one queue or of all, in the order of their enqueueing."""
        for name in sorted(self.ask(ListQueues())) if queue is None else (queue,):
            for job_id in self.ask(ListJobs(queue=name)):
                yield self.ask(GetJob(job_id=job_id))

    def runs(self) -> Iterator[RunView]:
        """Yield the runs that had not ended, oldest first."""
        for run_id in self.ask(GetRuns()):
            yield self.ask(GetRun(run_id=run_id))

    def run_totals(self) -> dict[str, int]:
        """Return the number of runs ever, by status."""
        return {str(status): count for status, count in self.ask(GetTotals()).items()}

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Return the schedules by name."""
        views: tuple[ScheduleView, ...] = self.ask(GetSchedules())
        return views

    def resources(self) -> tuple[ResourceView, ...]:
        """Return the resources and who held them."""
        views: tuple[ResourceView, ...] = self.ask(GetResources())
        return views

    # -- why -----------------------------------------------------------------------------------------------

    def why(self, subject: str, *, at: datetime | str | None = None, now: datetime | None = None) -> Why:
        """Say why a job or run was where it was then, or what became of a schedule's time.

        `subject`: `job:ID`, `run:ID`, or the id alone. Of a schedule (`schedule:NAME`) `at` is the time that is asked
        about: an aware datetime, or a text like `2027-03-28T02:30`, as the wall of its zone shows it; None: why it
        is where it is. With `now`, as if nothing had happened since. How many workers there were, and which queues
        were served, is not on record. `UnknownIdError` for what was not on record.
        """
        now_us = self._recorded_us if now is None else instant_us("now", now)
        witness = Witness(lambda query: self.ask(query, now_us=now_us), self._past, now_us, live=False)
        return patiently(lambda: explain(witness, subject, at))

    def rehearse(
        self,
        until: datetime,
        *,
        now: datetime | None = None,
        workers: int = 4,
        took: Duration = 1,
        told: Callable[[int], object] | None = None,
    ) -> Rehearsal:
        """Say what would happen from here until an instant, if no command came; nothing is called nor written.

        As if an engine with so many workers opened the store now (`now`; None: right after the last event), with
        every queue served and a scheduler started. Each attempt succeeds, after as long as its function took on
        average, or `took` if it never ran. A step whose result decides what comes next is named, and not ended.
        After 200,000 events it ends, and says how far it has come; `told` hears of their number meanwhile.
        """
        begin_us = max(self._recorded_us, 0 if now is None else instant_us("now", now))
        until_us = instant_us("until", until)
        if until_us < begin_us:
            msg = f"until: expected an instant after {as_datetime(begin_us).isoformat()}, got {until.isoformat()}"
            raise InputError(msg)
        check_int("workers", workers, least=1, most=10_000)
        fresh = StoreView(self._log, self._codec, self._position)
        stage = Stage(
            RULES,
            fresh._states,
            self._past,
            epoch=self._log.head.epoch + 1,
            now_us=begin_us,
            workers=workers,
            took_us=duration_us("took", took),
        )
        return stage.play(until_us, told)

    # -- the whole of it -----------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Return all four states as plain data: what snapshots hold."""
        return {name: state.dump() for name, state in self._states.items()}

    def state_hash(self) -> str:
        """Return the SHA-256 of `dump`, in hexadecimal digits: equal for equal states."""
        return sha256(_ENCODE(self.dump())).hexdigest()
