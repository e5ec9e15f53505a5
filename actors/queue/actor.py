"""The queue actor."""

from __future__ import annotations

from typing import ClassVar

from actors.queue.decider import QueueRules
from actors.runtime.actor import EventSourcedActor
from actors.runtime.rules import Rules


class QueueActor(EventSourcedActor):
    """Decides about queues, jobs, leases and resources."""

    rules: ClassVar[Rules] = QueueRules()
