"""Runs and attempts as spans of OpenTelemetry, made of events once they are durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.queue.events import (
    AttemptInterrupted,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
)
from actors.runtime.errors import InputError
from actors.workflow.events import RunCancelled, RunCompleted, RunCreated, RunFailed
from logistics.orchestration.reading import first

try:
    from opentelemetry import context, trace
except ModuleNotFoundError:  # an extra
    context = trace = None

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from logistics.audit.past import RecordedEvent
    from logistics.orchestration.engine import OrchestrationEngine

NS: Final = 1_000
"""Nanoseconds of a microsecond."""
BEGUN: Final = (JobStarted, JobLeased)
ENDED: Final = (
    JobCompleted,
    JobFailed,
    JobRetrying,
    JobSnoozed,
    JobUnresolved,
    JobCancelled,
    JobExpired,
    AttemptInterrupted,
)
"""What ends an attempt."""
RUN_ENDED: Final = (RunCompleted, RunFailed, RunCancelled)


class OpenTelemetryTracing:
    """A span for each run and, below it, one for each attempt of each job, from now on.

    Times are those of the events. A run that goes on in another process has a span there only if that process
    heard of its beginning; `logistics.run_id` connects them.
    """

    def __init__(self, engine: OrchestrationEngine, *, tracer: Tracer | None = None) -> None:
        """Begin; with a tracer of your own, else with that of the global provider, named `logistics`.

        `InputError` if OpenTelemetry is not installed.
        """
        if trace is None:
            msg = "OpenTelemetry is not installed: pip install 'logistics[otel]'"
            raise InputError(msg)
        self._engine = engine
        self._tracer = tracer or trace.get_tracer("logistics")
        self._runs: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}
        self._subscription = engine.listen("*", self._hear)

    def __repr__(self) -> str:
        return f"OpenTelemetryTracing({self._engine!r})"

    def close(self) -> None:
        """Hear of nothing more; spans that have not ended are not exported."""
        self._subscription.cancel()

    def _hear(self, recorded: RecordedEvent) -> None:
        event: Any = recorded.event
        if isinstance(event, RunCreated):
            self._runs[event.run_id] = self._begin_run(event)
        elif isinstance(event, RUN_ENDED):
            self._end(self._runs.pop(event.run_id, None), event)
        elif isinstance(event, BEGUN):
            self._attempts[event.job_id] = self._begin_attempt(event, recorded.correlation)
        elif isinstance(event, ENDED):
            self._end(self._attempts.pop(event.job_id, None), event)

    def _begin_run(self, event: RunCreated) -> Span:
        about: dict[str, str | int] = {
            "logistics.run_id": event.run_id,
            "logistics.workflow": event.workflow,
        }
        return self._span(f"run {event.workflow}", event.at_us, f"run:{event.parent}", about)

    def _begin_attempt(self, event: JobStarted | JobLeased, correlation: str) -> Span:
        enqueued = first(self._engine, f"job:{event.job_id}")
        about: dict[str, str | int] = {"logistics.job_id": event.job_id, "logistics.attempt": event.attempt}
        name = event.job_id
        if isinstance(enqueued, JobEnqueued):
            name = enqueued.spec.name
            about |= {"logistics.queue": enqueued.spec.queue, "code.function.name": enqueued.spec.function}
        if correlation:
            about["logistics.correlation"] = correlation
        return self._span(f"job {name}", event.at_us, correlation, about)

    def _span(self, name: str, at_us: int, parent: str, about: dict[str, str | int]) -> Span:
        above = self._runs.get(parent.removeprefix("run:"))
        where = context.Context() if above is None else trace.set_span_in_context(above, context.Context())
        return self._tracer.start_span(name, where, attributes=about, start_time=at_us * NS)

    @staticmethod
    def _end(span: Span | None, event: Any) -> None:
        if span is None:
            return
        error = getattr(event, "error", "") or getattr(event, "reason", "")
        outcome = type(event).__struct_config__.tag
        span.set_attribute("logistics.outcome", outcome)
        if isinstance(event, JobCompleted | RunCompleted):
            span.set_status(trace.StatusCode.OK)
        elif not isinstance(event, JobSnoozed):
            span.set_status(trace.StatusCode.ERROR, error or outcome)
        span.end(event.at_us * NS)
