"""An engine whose clock only the test moves, and what its schedules did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from actors.queue.events import JobCompleted
from actors.runtime.clock import VirtualClock
from actors.runtime.messages import Event
from actors.schedule.messages import ScheduleFired, ScheduleTriggered
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.manager import ScheduleManager

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the clock begins."""
WAIT_S = 30.0


class Place:
    """An engine and the clock it lives by."""

    def __init__(self, path: str = ":memory:", **options: Any) -> None:
        self.clock = VirtualClock()
        self.path = path
        self.options = options
        self.engine = self._open()

    def _open(self) -> OrchestrationEngine:
        return OrchestrationEngine(self.path, clock=self.clock, **self.options)

    def reopen(self) -> None:
        self.engine.close()
        self.engine = self._open()

    def pass_time(self, by: timedelta) -> None:
        """Let time pass; whoever asks the scheduler next is answered after it has looked at the time."""
        self.clock.advance(by // timedelta(microseconds=1))
        self.engine.store.runtime.nudge("scheduler")

    def fired(self, name: str) -> list[datetime]:
        """The instants for which a schedule fired."""
        return [
            EPOCH + timedelta(microseconds=event.scheduled_us)
            for event in self.events(name)
            if isinstance(event, ScheduleFired)
        ]

    def events(self, name: str) -> list[Event]:
        """What is on record of a schedule, all that is due by now included."""
        ScheduleManager(engine=self.engine).get(name)
        return [event for _, event in self.engine.history(f"schedule:{name}")]

    def ended(self, name: str) -> list[JobCompleted]:
        """How the jobs of a schedule ended, once all of them have."""
        begun = (each for each in self.events(name) if isinstance(each, ScheduleFired | ScheduleTriggered))
        return [self._end(f"job:{event.job_id}") for event in begun]

    def _end(self, entity: str) -> JobCompleted:
        watched = self.engine.watch(entity)
        for _, event in self.engine.history(entity):
            if isinstance(event, JobCompleted):
                self.engine.unwatch(entity, watched)
                return event
        event = watched.get(WAIT_S)
        assert isinstance(event, JobCompleted)
        return event
