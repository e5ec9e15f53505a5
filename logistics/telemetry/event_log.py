"""Events as records of the standard logging, with their ids in fields of their own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logistics.audit.past import RecordedEvent
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.subscriptions import Subscription

EVENTS = logging.getLogger("logistics.events")
FAILURES = frozenset({"job.failed", "run.failed", "job.expired", "job.unresolved", "attempt.timed_out"})
"""Tags that are logged as warnings."""


def log_events(
    engine: OrchestrationEngine,
    pattern: str = "*",
    *,
    logger: logging.Logger | None = None,
    level: int = logging.INFO,
) -> Subscription:
    """Log every event from now on whose tag matches, once it is durable; failures as warnings.

    Under `logistics.events`, unless another logger is given.

    The record has `position tag entity cause correlation` as attributes (`extra`), for formatters and filters.
    """
    target = logger or EVENTS

    def log(event: RecordedEvent) -> None:
        ids = {
            "position": event.position,
            "tag": event.tag,
            "entity": event.entity,
            "cause": event.cause,
            "correlation": event.correlation,
        }
        severity = max(level, logging.WARNING) if event.tag in FAILURES else level
        error = getattr(event.event, "error", "")
        text = "%s %s: %s" if error else "%s %s%s"
        target.log(severity, text, event.tag, event.entity, error, extra=ids)

    return engine.listen(pattern, log)
