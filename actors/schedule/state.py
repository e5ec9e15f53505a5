"""What the scheduler knows: schedules and how far they are served, and the jobs that they wait for."""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from actors.runtime.state import FoldedState
from actors.schedule.agenda import Agenda
from actors.schedule.jitter import jitter_us
from actors.schedule.messages import (
    DROPPED,
    JobTemplate,
    Policies,
    ScheduleBackfilled,
    ScheduleClosed,
    ScheduleCompleted,
    ScheduleDeferred,
    ScheduleFired,
    ScheduleGroupApplied,
    SchedulePaused,
    SchedulePut,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSkipped,
    ScheduleTriggered,
    ZoneRulesChanged,
)
from actors.schedule.spec import ScheduleSpec
from eventstore.decoding import converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


NONE_OPEN: Mapping[str, None] = MappingProxyType({})
_SPEC: Callable[[Any], ScheduleSpec] = converter(cast("Any", ScheduleSpec))
_TARGET = converter(JobTemplate)
_POLICIES = converter(Policies)


class Waiting(NamedTuple):
    """An instant that waits for a job of its schedule to end."""

    scheduled_us: int
    rule: str
    missed: int


class OpenFiring(msgspec.Struct, gc=False):
    """A job that a schedule had enqueued and of whose end it has not heard."""

    job_id: str
    name: str
    schedule_id: str
    target: JobTemplate
    """As it was when it fired: the schedule may have been replaced since."""
    unwanted: bool = False
    """Whether the queue was asked to cancel it."""


class Schedule:
    """One incarnation of a schedule."""

    __slots__ = (
        "completed",
        "cursor_us",
        "expected_us",
        "last_fired_us",
        "last_us",
        "late_most_us",
        "late_sum_us",
        "late_us",
        "made_up",
        "name",
        "paused",
        "policies",
        "runs",
        "schedule_id",
        "spec",
        "target",
        "waiting",
    )

    def __init__(self, event: SchedulePut) -> None:
        self.name = event.name
        self.schedule_id = event.schedule_id
        self.spec = event.spec
        self.target = event.target
        self.policies = event.policies
        self.cursor_us = event.at_us
        """The last instant that was fired, deferred or passed over: only later ones are still to come."""
        if event.policies.start_us is not None:
            self.cursor_us = max(event.at_us, event.policies.start_us - 1)
        self.paused = False
        self.completed = False
        self.last_us: int | None = None
        """The last instant that fired."""
        self.last_fired_us: int | None = None
        self.late_us = 0
        self.late_most_us = 0
        self.late_sum_us = 0
        self.expected_us = event.next_us
        """The next instant as its events say, by the tz database of their time; 0 if they do not."""
        self.runs = 0
        self.waiting: deque[Waiting] = deque()
        self.made_up: tuple[int, ...] = ()
        """Instants that were made up and are still to be served: their jobs must not be forgotten before."""

    def take_firing(self, event: ScheduleFired) -> None:
        """Take note of a firing, and of how late it was."""
        delay_us = jitter_us(self.name, event.scheduled_us, self.policies.jitter_us)
        self.runs += 1
        self.last_us, self.last_fired_us = event.scheduled_us, event.fired_us
        self.late_us = max(0, event.fired_us - event.scheduled_us - delay_us)
        self.late_sum_us += self.late_us
        self.late_most_us = max(self.late_most_us, self.late_us)

    def still_to_come(self, instants: Iterable[int]) -> tuple[int, ...]:
        """Return those of some instants that this schedule will look at, or fire when a job has ended."""
        if self.completed:
            return ()
        waiting = {each.scheduled_us for each in self.waiting}
        return tuple(at_us for at_us in instants if at_us > self.cursor_us or at_us in waiting)

    def job_id(self, scheduled_us: int) -> str:
        """Return the id of the job of an instant: another instant or incarnation is another id."""
        return f"{self.schedule_id}.{scheduled_us}"


class SchedulerState(FoldedState[ScheduleClosed]):
    """The fold of the scheduler's events."""

    def __init__(self) -> None:
        super().__init__()
        self.schedules: dict[str, Schedule] = {}
        self.firings: dict[str, OpenFiring] = {}
        """Jobs that the queue owes us the end of, by their ids."""
        self.open: dict[str, dict[str, None]] = {}
        """The same, by the id of the schedule's incarnation."""
        self.released: dict[str, None] = {}
        """Schedules with an instant that waits no longer: no job of theirs is left."""
        self.groups: dict[str, tuple[str, ...]] = {}
        """The names that were last applied together, in order."""
        self.tzdata = ""
        """The release of the tz database by which instants were last found."""
        self.agenda = Agenda()
        self.handlers = {
            SchedulePut: self._on_put,
            ScheduleRemoved: self._on_removed,
            SchedulePaused: self._on_paused,
            ScheduleResumed: self._on_resumed,
            ScheduleFired: self._on_fired,
            ScheduleDeferred: self._on_deferred,
            ScheduleSkipped: self._on_skipped,
            ScheduleTriggered: self._on_triggered,
            ScheduleClosed: self._on_closed,
            ScheduleCompleted: self._on_completed,
            ScheduleBackfilled: self._on_backfilled,
            ScheduleGroupApplied: self._on_group_applied,
            ZoneRulesChanged: self._on_zone_rules_changed,
        }

    # -- what the runtime asks of every state --------------------------------------------------------

    def dump(self) -> Any:
        """Give the state as plain data."""
        return {
            "schedules": [
                (
                    schedule.name,
                    schedule.schedule_id,
                    _plain(schedule.spec),
                    _plain(schedule.target),
                    _plain(schedule.policies),
                    schedule.cursor_us,
                    schedule.paused,
                    schedule.completed,
                    schedule.last_us,
                    schedule.runs,
                    [tuple(waiting) for waiting in schedule.waiting],
                    schedule.last_fired_us,
                    schedule.late_us,
                    schedule.late_most_us,
                    schedule.late_sum_us,
                    schedule.expected_us,
                )
                for schedule in self.schedules.values()
            ],
            "firings": [
                (
                    firing.job_id,
                    firing.name,
                    firing.schedule_id,
                    None if self._has_present_target(firing) else _plain(firing.target),
                    firing.unwanted,
                )
                for firing in self.firings.values()
            ],
            "groups": [(group, list(names)) for group, names in self.groups.items()],
            "tzdata": self.tzdata,
            **({"made_up": made_up} if (made_up := self._made_up()) else {}),
        }

    @classmethod
    def restore(cls, image: Any) -> SchedulerState:
        """Return the state whose `dump` was `image`."""
        state = cls()
        for name, schedule_id, spec, target, policies, *rest in image["schedules"]:
            put = SchedulePut(
                name,
                schedule_id,
                _SPEC(spec),
                _TARGET(target),
                _POLICIES(policies),
                0,
            )
            schedule = state.schedules[name] = Schedule(put)
            (
                schedule.cursor_us,
                schedule.paused,
                schedule.completed,
                schedule.last_us,
                schedule.runs,
                waiting,
                schedule.last_fired_us,
                schedule.late_us,
                schedule.late_most_us,
                schedule.late_sum_us,
                schedule.expected_us,
            ) = rest
            schedule.waiting.extend(Waiting(*each) for each in waiting)
        for job_id, name, schedule_id, target, unwanted in image["firings"]:
            template = state.schedules[name].target if target is None else _TARGET(target)
            state._admit(OpenFiring(job_id, name, schedule_id, template, unwanted))
        state.groups = {group: tuple(names) for group, names in image["groups"]}
        state.tzdata = image["tzdata"]
        for name, job_ids in image.get("made_up", ()):
            state.schedules[name].made_up = tuple(int(job_id.rpartition(".")[2]) for job_id in job_ids)
        for name in state.schedules:
            state._touched(name)
        return state

    # -- questions -----------------------------------------------------------------------------------

    def open_jobs(self, schedule: Schedule) -> Mapping[str, None]:
        """Return the jobs of this incarnation that have not ended, oldest first."""
        return self.open.get(schedule.schedule_id, NONE_OPEN)

    def _made_up(self) -> list[tuple[str, list[str]]]:
        """Return the jobs of what was made up and is still to be served, by their ids: what is named here is kept."""
        return [
            (schedule.name, [schedule.job_id(at_us) for at_us in schedule.made_up])
            for schedule in self.schedules.values()
            if schedule.made_up
        ]

    def _has_present_target(self, firing: OpenFiring) -> bool:
        schedule = self.schedules.get(firing.name)
        return schedule is not None and schedule.target == firing.target

    # -- schedules -----------------------------------------------------------------------------------

    def _touched(self, name: str) -> None:
        """Have what follows from a schedule's state found anew: its next instant, whether a wait is over."""
        self.agenda.invalidate(name)
        schedule = self.schedules.get(name)
        if schedule is not None and schedule.made_up:
            schedule.made_up = schedule.still_to_come(schedule.made_up)
        self._release(name)

    def _release(self, name: str) -> None:
        schedule = self.schedules.get(name)
        if schedule is not None and schedule.waiting and schedule.schedule_id not in self.open:
            self.released[name] = None
        else:
            self.released.pop(name, None)

    def _on_put(self, event: SchedulePut) -> None:
        before = self.schedules.get(event.name)
        schedule = self.schedules[event.name] = Schedule(event)
        schedule.paused = before is not None and before.paused
        self._expect(schedule, event)
        self._touched(event.name)

    def _on_removed(self, event: ScheduleRemoved) -> None:
        del self.schedules[event.name]
        self._touched(event.name)

    def _on_paused(self, event: SchedulePaused) -> None:
        schedule = self.schedules[event.name]
        schedule.paused = True
        schedule.waiting.clear()
        self._touched(event.name)

    def _on_resumed(self, event: ScheduleResumed) -> None:
        schedule = self.schedules[event.name]
        schedule.paused = False
        schedule.cursor_us = event.cursor_us
        self._expect(schedule, event)
        self._touched(event.name)

    def _on_completed(self, event: ScheduleCompleted) -> None:
        self.schedules[event.name].completed = True
        self._touched(event.name)

    def _expect(
        self,
        schedule: Schedule,
        event: SchedulePut | ScheduleResumed | ScheduleFired | ScheduleDeferred | ScheduleSkipped,
    ) -> None:
        schedule.expected_us = event.next_us
        self.tzdata = event.tzdata or self.tzdata

    def _on_zone_rules_changed(self, event: ZoneRulesChanged) -> None:
        self.tzdata = event.after
        for moved in event.moved:
            self.schedules[moved.name].expected_us = moved.now_us or 0

    def _on_group_applied(self, event: ScheduleGroupApplied) -> None:
        if event.names:
            self.groups[event.group] = event.names
        else:
            self.groups.pop(event.group, None)

    # -- instants ------------------------------------------------------------------------------------

    def _on_fired(self, event: ScheduleFired) -> None:
        schedule = self.schedules[event.name]
        if schedule.waiting and schedule.waiting[0].scheduled_us == event.scheduled_us:
            schedule.waiting.popleft()
        schedule.cursor_us = max(schedule.cursor_us, event.scheduled_us)
        schedule.take_firing(event)
        self._expect(schedule, event)
        for job_id in event.replaces:
            self.firings[job_id].unwanted = True
        self._admit(OpenFiring(event.job_id, event.name, schedule.schedule_id, schedule.target))
        self._touched(event.name)

    def _on_deferred(self, event: ScheduleDeferred) -> None:
        schedule = self.schedules[event.name]
        schedule.cursor_us = event.scheduled_us
        self._expect(schedule, event)
        schedule.waiting.append(Waiting(event.scheduled_us, event.rule, event.missed))
        self._touched(event.name)

    def _on_skipped(self, event: ScheduleSkipped) -> None:
        schedule = self.schedules[event.name]
        if event.reason == DROPPED:  # the cursor had passed it when it began to wait
            schedule.waiting.popleft()
        else:
            schedule.cursor_us = event.upto_us
            self._expect(schedule, event)
        self._touched(event.name)

    def _on_triggered(self, event: ScheduleTriggered) -> None:
        schedule = self.schedules[event.name]
        self._admit(OpenFiring(event.job_id, event.name, schedule.schedule_id, schedule.target))
        self._release(event.name)

    def _on_backfilled(self, event: ScheduleBackfilled) -> None:
        schedule = self.schedules[event.name]
        for scheduled_us, _ in event.instants:
            job_id = schedule.job_id(scheduled_us)
            self._admit(OpenFiring(job_id, event.name, schedule.schedule_id, schedule.target))
        made_up = [scheduled_us for scheduled_us, _ in event.instants]
        schedule.made_up += schedule.still_to_come(made_up)
        self._release(event.name)

    # -- jobs ----------------------------------------------------------------------------------------

    def _admit(self, firing: OpenFiring) -> None:
        self.firings[firing.job_id] = firing
        self.open.setdefault(firing.schedule_id, {})[firing.job_id] = None

    def _on_closed(self, event: ScheduleClosed) -> None:
        firing = self.firings.pop(event.job_id)
        jobs = self.open[firing.schedule_id]
        del jobs[event.job_id]
        if not jobs:
            del self.open[firing.schedule_id]
        self._release(firing.name)
        self.retire(event.job_id, event)


def _plain(value: msgspec.Struct) -> Any:
    return msgspec.to_builtins(value, builtin_types=(bytes,))
