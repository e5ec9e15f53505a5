"""What became of each instant of a schedule: between two events that tell of instants, none is unaccounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.schedule.messages import (
    ScheduleDeferred,
    ScheduleFired,
    SchedulePaused,
    SchedulePut,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSkipped,
)
from actors.schedule.spec import IntervalSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.messages import Event


class Accounts:
    """The instants of interval schedules in UTC, which can be counted without the rules that are judged."""

    def __init__(self) -> None:
        self._intervals_us: dict[str, int] = {}
        self._jitters_us: dict[str, int] = {}
        self._upto_us: dict[str, int] = {}
        self._paused: set[str] = set()
        self._waiting: dict[str, set[int]] = {}
        """Instants that wait for a job to end."""

    def take(self, event: Event) -> str:
        """Return what the event breaks, or nothing."""
        if isinstance(event, SchedulePut | SchedulePaused | ScheduleRemoved) and (
            self._waiting.get(event.name) or event.name in self.silent(event.at_us)
        ):
            return "instants of a schedule waited or were due, and nothing is told of what became of them"
        if isinstance(event, SchedulePut):
            assert isinstance(event.spec, IntervalSpec)
            self._intervals_us[event.name] = event.spec.interval_s * 1_000_000
            self._jitters_us[event.name] = event.policies.jitter_us
            self._upto_us[event.name] = event.at_us
        elif isinstance(event, SchedulePaused):
            self._paused.add(event.name)
        elif isinstance(event, ScheduleRemoved):
            self._paused.discard(event.name)
            del self._upto_us[event.name]
        elif isinstance(event, ScheduleResumed):
            self._paused.discard(event.name)
            self._upto_us[event.name] = event.cursor_us
        elif isinstance(event, ScheduleFired | ScheduleDeferred):
            return self._account(event, event.scheduled_us, event.missed + 1)
        elif isinstance(event, ScheduleSkipped):
            return self._account(event, event.upto_us, event.count)
        return ""

    def _account(self, event: Any, upto_us: int, told: int) -> str:
        before_us = self._upto_us[event.name]
        waiting = self._waiting.setdefault(event.name, set())
        if isinstance(event, ScheduleDeferred):
            waiting.add(upto_us)
        elif upto_us in waiting:
            waiting.remove(upto_us)
            return ""  # it was told of when it began to wait
        self._upto_us[event.name] = upto_us
        interval_us = self._intervals_us[event.name]
        passed = upto_us // interval_us - before_us // interval_us
        return "" if told == passed else f"{passed} instants of a schedule have passed, {told} are told of"

    def silent(self, now_us: int) -> Iterator[str]:
        """Name the schedules of which an instant is due, and nothing has been told."""
        for name, upto_us in self._upto_us.items():
            due_us = upto_us + self._intervals_us[name] + self._jitters_us[name]
            if name not in self._paused and due_us <= now_us:
                yield name
