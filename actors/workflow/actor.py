"""The workflow supervisor."""

from __future__ import annotations

from typing import ClassVar

from actors.runtime.actor import EventSourcedActor
from actors.runtime.rules import Rules
from actors.workflow.decider import SupervisorRules


class SupervisorActor(EventSourcedActor):
    """Decides about workflows, runs, sessions and projects."""

    rules: ClassVar[Rules] = SupervisorRules()
