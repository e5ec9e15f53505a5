"""The scheduler actor."""

from __future__ import annotations

from typing import ClassVar

from actors.runtime.actor import EventSourcedActor
from actors.runtime.rules import Rules
from actors.schedule.decider import SchedulerRules


class SchedulerActor(EventSourcedActor):
    """Decides about schedules and their firings."""

    rules: ClassVar[Rules] = SchedulerRules()
