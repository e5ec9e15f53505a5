"""A scheduler in hand: its rules and state, a time that the test sets, and all that it said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.events import JobEnqueued
from actors.queue.messages import CancelOwned, EnqueueJobs, JobEnded
from actors.queue.specs import JobSpec
from actors.runtime.messages import Context, Decision, Event, Known, Message, Resume
from actors.schedule.decider import SchedulerRules
from actors.schedule.messages import (
    SCHEDULE_EVENTS,
    GetSchedules,
    JobTemplate,
    Policies,
    PutSchedule,
    SchedulePut,
    ScheduleResumed,
    ScheduleView,
)
from actors.schedule.spec import CronSpec, ScheduleSpec
from eventstore.codec import EventCodec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.schedule.state import SchedulerState

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

CODEC = EventCodec(SCHEDULE_EVENTS)
RULES = SchedulerRules()
HOURLY = CronSpec("0 * * * *", timezone="UTC")
MINUTELY = CronSpec("* * * * *", timezone="UTC")
TARGET = JobTemplate("app:report", b"arguments")


def at(text: str) -> int:
    """An instant (µs UTC) from ISO text; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * SECOND


START = at("2026-01-01T00:00")


def through_codec(event: Event) -> Event:
    """The event as it comes back from the log."""
    decoded: Event = CODEC.decode(CODEC.record(event, entity=event.entity))
    assert decoded == event
    return decoded


def bare(event: Event) -> Event:
    """The event without what is there for the record only."""
    besides = {"policy": "", "next_us": 0}
    if isinstance(event, SchedulePut | ScheduleResumed):
        besides |= {"tzdata": ""}
    known = {key: value for key, value in besides.items() if key in event.__struct_fields__}
    return msgspec.structs.replace(event, **known) if known else event


def folded(events: Iterable[Event]) -> SchedulerState:
    """The state that the log gives."""
    state = RULES.initial()
    for event in events:
        state.evolve(event)
    state.forget(state.take_retired())
    return state


def through_image(state: SchedulerState) -> SchedulerState:
    """The state as it comes back from a snapshot."""
    return RULES.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(state.dump())))


def owed(state: SchedulerState, context: Context) -> list[tuple[str, Message]]:
    """What the scheduler says to the queue after a restart."""
    return RULES.pending(state, context).tells


class World:
    """A scheduler that lives through a test; its queue only takes notes."""

    def __init__(self, now_us: int = START) -> None:
        self.now_us = now_us
        self.scheduling = True
        self.state = RULES.initial()
        self.full: list[Event] = []
        """All that it recorded."""
        self.log: list[Event] = []
        """The same without what events say besides: by which policy, and what comes next."""
        self.jobs: dict[str, JobSpec] = {}
        """Every job that the queue was ever asked for."""
        self.cancelled: list[str] = []
        self.runs_told: list[Message] = []
        """What the supervisor was told, of runs."""
        self.known: dict[str, Known] = {}
        self.horizon_us = 0
        """Up to when the log was compacted."""

    @property
    def context(self) -> Context:
        return Context(self.now_us, 1, 4, None, self.scheduling, self.known, horizon_us=self.horizon_us)

    # -- given, when ---------------------------------------------------------------------------------------

    def given(self, *events: Event) -> World:
        for event in events:
            self._take(event)
        return self

    def send(self, message: Message) -> Any:
        """Decide on a message, then settle: one turn of the actor. Answered with the reply."""
        decision = RULES.decide(self.state, message, self.context)
        self._apply(decision)
        self.settle()
        return decision.reply

    def settle(self) -> list[Event]:
        """Let the scheduler look at the time; what it recorded."""
        before = len(self.log)
        for decision in RULES.settle(self.state, self.context):
            self._apply(decision)
        return self.log[before:]

    def put(
        self,
        name: str = "report",
        spec: ScheduleSpec = HOURLY,
        target: JobTemplate = TARGET,
        *,
        schedule_id: str = "",
        **policies: Any,
    ) -> str:
        schedule_id = schedule_id or f"s{len(self.events(SchedulePut)) + 1}"
        put = PutSchedule(
            name=name, schedule_id=schedule_id, spec=spec, target=target, policies=Policies(**policies)
        )
        answered: str = self.send(put)
        return answered

    def pass_time(self, by_us: int) -> list[Event]:
        """Let time pass in one step, as when nobody was there, and look then."""
        self.now_us += by_us
        return self.settle()

    def wake(self) -> list[Event]:
        """Go to the instant for which the scheduler asked to be woken, and look."""
        wake_us = self.wake_us
        assert wake_us is not None
        assert wake_us > self.now_us
        self.now_us = wake_us
        return self.settle()

    def end(self, job_id: str, status: str = "COMPLETED", note: bytes = b"") -> None:
        """Have the queue say that a job has ended."""
        self.send(
            JobEnded(job_id=job_id, status=status, error="", attempts=1, ended_us=self.now_us, note=note)
        )

    def end_all(self) -> None:
        for job_id in list(self.state.firings):
            self.end(job_id)

    def restart(self) -> list[str]:
        """Fold the log anew and say what is owed; the ids of the jobs that the queue is asked for again."""
        self.state = folded(self.full)
        assert RULES.lookups(self.state, Resume()) == ()
        decision = RULES.pending(self.state, self.context)
        assert not decision.events
        asked = [
            spec.job_id for _, said in decision.tells if isinstance(said, EnqueueJobs) for spec in said.jobs
        ]
        self._apply(decision)
        return asked

    def remember(self, job_id: str) -> None:
        """Have the log know a job that memory has forgotten."""
        self.known[f"job:{job_id}"] = Known((JobEnqueued(self.jobs[job_id], b"", self.now_us),))

    # -- then ----------------------------------------------------------------------------------------------

    @property
    def wake_us(self) -> int | None:
        return RULES.next_wake_us(self.state, self.context)

    def view(self, name: str = "report") -> ScheduleView:
        (found,) = RULES.decide(self.state, GetSchedules(names=(name,)), self.context).reply
        assert isinstance(found, ScheduleView)
        return found

    def events(self, *types: type[Event]) -> list[Event]:
        return [event for event in self.log if isinstance(event, types)]

    def check(self) -> None:
        """The log gives the live state; so does a snapshot; and both would wake at the same time."""
        image = self.state.dump()
        fold = folded(self.full)
        restored = through_image(self.state)
        assert fold.dump() == image
        assert restored.dump() == image
        for other in (fold, restored):
            assert RULES.next_wake_us(other, self.context) == self.wake_us
            assert list(other.released) == list(self.state.released)
            assert other.open == self.state.open
            assert owed(other, self.context) == owed(self.state, self.context)

    # -- what the runtime does -----------------------------------------------------------------------------

    def _apply(self, decision: Decision) -> None:
        for event, _ in decision.events:
            self._take(event)
        for peer, message in decision.tells:
            if peer == "supervisor":
                self.runs_told.append(message)
            elif isinstance(message, EnqueueJobs):
                for spec in message.jobs:
                    assert self.jobs.setdefault(spec.job_id, spec) == spec
            else:
                assert isinstance(message, CancelOwned)
                assert message.job_id in self.jobs
                self.cancelled.append(message.job_id)

    def _take(self, event: Event) -> None:
        self.full.append(through_codec(event))
        self.log.append(bare(self.full[-1]))
        self.state.evolve(event)
