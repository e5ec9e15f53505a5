"""A queue in hand: its rules and state, a time and workers that the test sets, and all that it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.folding import event_codec
from actors.queue.admission import digest_of
from actors.queue.decider import QueueRules
from actors.queue.events import JobEnqueued, JobStarted
from actors.queue.messages import EnqueueJobs, LeaseJob, ListJobs
from actors.queue.specs import JobSpec, JobStatus, RetryPolicy
from actors.runtime.effects import Acknowledge, AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.messages import Context, Decision, Effect, Event, Known, Message
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.queue.state import QueueState

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z"""
CODEC = event_codec()
RULES = QueueRules()
AT_ONCE = RetryPolicy(3, 0, 0)
NEVER_AGAIN = RetryPolicy(0, 0, 0)


class Said(NamedTuple):
    """What one turn came to."""

    events: list[Event]
    effects: list[Effect]
    tells: list[tuple[str, Message]]
    reply: Any

    def of(self, *types: type[Any]) -> list[Any]:
        """The events and effects of some types."""
        return [each for each in (*self.events, *self.effects) if isinstance(each, types)]


def spec(job_id: str = "j", *, queue: str = "q", retry: RetryPolicy = AT_ONCE, **more: Any) -> JobSpec:
    return JobSpec(
        job_id, queue, f"job {job_id}", **{"function": "app:work", "payload": b"args"} | more, retry=retry
    )


def through_codec(event: Event) -> Event:
    """The event as it comes back from the log."""
    decoded: Event = CODEC.decode(CODEC.record(event, entity=event.entity))
    assert decoded == event
    return decoded


def as_sent(message: Message) -> Message:
    """The message as it comes from a caller: checked, and made of tuples."""
    decoded: Message = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=type(message))
    assert repr(decoded) == repr(message), "NaN does not equal itself"
    return decoded


def folded(events: Iterable[Event], state: QueueState | None = None) -> QueueState:
    """The state that the log gives, from the beginning or after `state`."""
    state = RULES.initial() if state is None else state
    state.begin_past()
    for event in events:
        state.evolve(event)
    state.end_past()
    return state


def through_image(state: QueueState) -> QueueState:
    """The state as it comes back from a snapshot."""
    return RULES.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(state.dump())))


class Bench:
    """A queue that lives through a test."""

    def __init__(self, *, capacity: int = 1, served: frozenset[str] | None = None) -> None:
        self.now_us = START
        self.epoch = 1
        self.capacity = capacity
        self.served: frozenset[str] | None = served
        self.scheduling = False
        self.state = RULES.initial()
        self.log: list[Event] = []
        self.beats: dict[AttemptKey, int] = {}
        self.ids: set[str] = set()
        """Every job on record."""

    def context(self, known: dict[str, Known] | None = None) -> Context:
        return Context(
            self.now_us, self.epoch, self.capacity, self.served, self.scheduling, known or {}, self.beats
        )

    # -- given ------------------------------------------------------------------------------------------

    def given(self, *events: Event) -> Bench:
        for event in events:
            self._take(event)
        return self

    def enqueued(self, *specs: JobSpec) -> Bench:
        """Jobs that are on record, none of them started yet."""
        for each in specs:
            missing = sum(other in self.state.jobs for other in each.after)
            self._take(JobEnqueued(each, digest_of(each), self.now_us, missing))
        return self

    # -- when -------------------------------------------------------------------------------------------

    def decide(self, message: Message) -> Decision:
        """Decide, changing nothing: a decision is a proposal, and a refusal leaves the state as it was."""
        message = as_sent(message)
        known = {}
        for entity in RULES.lookups(self.state, message):
            history = tuple(event for event in self.log if event.entity == entity)
            if history:
                known[entity] = Known(history)
        before = self.state.dump()
        try:
            return RULES.decide(self.state, message, self.context(known))
        finally:
            assert self.state.dump() == before

    def ask(self, message: Message) -> Said:
        """Decide and apply, without letting the queue start anything."""
        return self._apply(self.decide(message))

    def when(self, message: Message) -> Said:
        """One turn of the actor: decide, apply, settle."""
        said = self.ask(message)
        after = self.settle()
        return Said(
            said.events + after.events, said.effects + after.effects, said.tells + after.tells, said.reply
        )

    def settle(self) -> Said:
        """Let the queue look at the time and the workers."""
        total = Said([], [], [], None)
        for decision in RULES.settle(self.state, self.context()):
            said = self._apply(decision)
            total.events.extend(said.events)
            total.effects.extend(said.effects)
            total.tells.extend(said.tells)
        return total

    def enqueue(self, *specs: JobSpec, fresh: bool = False) -> Said:
        return self.when(EnqueueJobs(jobs=specs, fresh=fresh))

    def finish(self, job_id: str = "j", outcome: str = "ok", **more: Any) -> Said:
        """Have the newest attempt of a running job come back."""
        return self.when(self.ended(job_id, outcome, **more))

    def ended(self, job_id: str = "j", outcome: str = "ok", **more: Any) -> AttemptFinished:
        key = self.state.jobs[job_id].key if job_id in self.state.jobs else more.pop("key")
        return AttemptFinished(key=key, outcome=outcome, **more)

    def pass_time(self, by_us: int) -> Said:
        self.now_us += by_us
        return self.settle()

    def restart(self, *, epoch: int | None = None) -> Said:
        """Open the store again: fold, say what is owed, settle."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        self.state = folded(self.log)
        said = self._apply(RULES.pending(self.state, self.context()))
        after = self.settle()
        return Said(said.events + after.events, said.effects + after.effects, said.tells + after.tells, None)

    def rebuild(self) -> Said:
        """Come back from a failed commit: same process, same executor."""
        return self.restart(epoch=self.epoch)

    # -- then -------------------------------------------------------------------------------------------

    def refusal(self, message: Message) -> LogisticsError:
        """The error with which a message is refused; nothing was changed."""
        try:
            self.decide(message)
        except LogisticsError as refusal:
            return refusal
        raise AssertionError(f"{message} was not refused")

    @property
    def running(self) -> list[str]:
        return list(self.state.running)

    def started(self) -> list[str]:
        """Every start on record, in order."""
        return [event.job_id for event in self.log if isinstance(event, JobStarted)]

    def check(self) -> None:
        """The log gives the live state, so does a snapshot, and all of them go on alike."""
        self.state.forget(self.state.take_retired())
        image = self.state.dump()
        fold = folded(self.log)
        restored = through_image(self.state)
        for other in (fold, restored):
            assert other.dump() == image
            assert [what_follows(other, self.context())] == [what_follows(self.state, self.context())]
            assert timers(other) == timers(self.state)
            assert other.suspects == self.state.suspects
            assert sorted(other.lines) == sorted(self.state.lines)
            for name, line in other.lines.items():
                mine = self.state.lines[name]
                assert line.ready_count == mine.ready_count
                assert [job.job_id for job in line.in_order()] == [job.job_id for job in mine.in_order()]
        for queue in self.state.lines:
            for status in JobStatus:
                jobs = (job for job in self.state.jobs.values() if job.queue == queue)
                listed = self.decide(ListJobs(queue, (status,))).reply
                assert sorted(listed) == sorted(job.job_id for job in jobs if job.status is status)

    # -- what the runtime does --------------------------------------------------------------------------

    def _apply(self, decision: Decision) -> Said:
        for event, _ in decision.events:
            self._take(event)
        return Said([event for event, _ in decision.events], decision.effects, decision.tells, decision.reply)

    def _take(self, event: Event) -> None:
        event = through_codec(event)
        self.log.append(event)
        if isinstance(event, JobEnqueued):
            self.ids.add(event.spec.job_id)
        self.state.evolve(event)


def timers(state: QueueState) -> tuple[Any, Any]:
    """What will be due; a gate that opens later is known only once a free worker has met it."""
    return state.due_lines.first_key(), state.lease_ends.first_key()


def what_follows(state: QueueState, context: Context) -> tuple[Any, ...]:
    """What is owed, and the first thing that follows from the state."""
    owed = RULES.pending(state, context)
    follows = next(iter(RULES.settle(state, context)), Decision())
    return owed.events, owed.effects, owed.tells, follows.events, from_the_log(follows.effects)


def from_the_log(effects: list[Effect]) -> list[Effect]:
    """Effects as they are when memory has forgotten how the jobs were enqueued."""
    return [
        msgspec.structs.replace(each, spec=None) if isinstance(each, StartAttempt) else each
        for each in effects
    ]


def start_of(
    job_id: str, attempt: int = 1, epoch: int = 1, owner: str = "", spec: JobSpec | None = None
) -> StartAttempt:
    return StartAttempt(key=AttemptKey(job_id, attempt, epoch), correlation=owner, spec=spec)


def knows(bench: Bench, run_us: int, function: str = "app:work") -> None:
    """Have the queue see one run of a function."""
    bench.enqueue(spec("first", function=function))
    bench.finish("first", run_us=run_us)


def stale(bench: Bench, job_id: str, attempt: int, epoch: int = 1) -> list[Any]:
    key = AttemptKey(job_id, attempt, epoch)
    said = bench.when(AttemptFinished(key=key, outcome="ok", result=b"late"))
    assert said.effects[0] == Acknowledge(key=key)
    return said.events


def lease_and_lose(bench: Bench) -> Said:
    bench.when(LeaseJob("q", SECOND))
    bench.when(LeaseJob("q", SECOND))
    return bench.pass_time(SECOND)
