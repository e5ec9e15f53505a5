"""What a log is read with: the events of all actors, and the rules that fold them. No actor is needed for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.clock.decider import ClockRules
from actors.clock.messages import CLOCK_EVENTS
from actors.queue.decider import QueueRules
from actors.queue.events import QUEUE_EVENTS
from actors.runtime.events import EngineClosed, EngineOpened, LogCompacted, SubjectErased
from actors.schedule.decider import SchedulerRules
from actors.schedule.messages import SCHEDULE_EVENTS
from actors.workflow.decider import SupervisorRules
from actors.workflow.events import WORKFLOW_EVENTS
from eventstore.codec import EventCodec

if TYPE_CHECKING:
    from actors.runtime.rules import Rules

RULES: tuple[Rules, ...] = tuple(
    rules() for rules in (SupervisorRules, QueueRules, SchedulerRules, ClockRules)
)
"""Those of the actors of an engine."""


def event_codec() -> EventCodec:
    """Return a codec for every event there is."""
    return EventCodec(
        (
            EngineOpened,
            EngineClosed,
            LogCompacted,
            SubjectErased,
            *CLOCK_EVENTS,
            *QUEUE_EVENTS,
            *SCHEDULE_EVENTS,
            *WORKFLOW_EVENTS,
        )
    )
