"""Durable orchestration: workflows, a job queue and schedules, in one folder on disk.

Begin with `OrchestrationEngine`, which opens a store, and with `WorkflowManager`, `Queue` and `JobScheduler`, or
`ScheduleManager`, which work on one. Functions are stored by name, so they stand at the top of a module. What goes
wrong is a `LogisticsError`. The command `logistics` looks into a store, in use or not. The guide is in `docs/guide`.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

try:
    from logistics.version import package_version
except ModuleNotFoundError as missing:
    if not str(missing.name).startswith("actors"):
        raise
    found = getattr(sys.modules.get("actors"), "__file__", None) or "nothing"
    text = f"logistics comes with a package 'actors', and Python found {found} by that name; rename that one"
    raise ImportError(text) from missing

if TYPE_CHECKING:
    from actors.queue.batch import BatchedJob
    from actors.queue.specs import JobStatus
    from actors.runtime.attempt import AttemptContext
    from actors.runtime.marks import Erased, Sealed
    from actors.runtime.signals import Progress
    from actors.runtime.verdict import Retry, Snooze
    from actors.schedule.messages import ScheduleChange
    from actors.workflow.condition import ConditionError
    from actors.workflow.specs import RunStatus, SessionStatus, StepStatus
    from logistics.audit.differences import Difference
    from logistics.audit.past import RecordedEvent
    from logistics.audit.rehearsal import Rehearsal, RehearsedEvent
    from logistics.audit.store_view import StoreView
    from logistics.audit.words import Reason, Why
    from logistics.errors import (
        ArchiveError,
        BindingError,
        BusyError,
        CapReachedError,
        CompactedError,
        ConflictingIdError,
        CorruptStoreError,
        CronError,
        CronWarning,
        DiskFullError,
        DuplicateJobError,
        EngineClosedError,
        ErasedError,
        ForgottenIdError,
        ForkedError,
        FunctionError,
        GraphError,
        InputError,
        InternalError,
        JobCancelledError,
        JobExpiredError,
        JobFailedError,
        JobNotFoundError,
        LeaseLostError,
        LogisticsError,
        NotAStoreError,
        OutcomeUnknownError,
        PayloadError,
        QueueDrainingError,
        ReplayError,
        ResultExpiredError,
        RunFailedError,
        RunNotFoundError,
        SafeModeError,
        ScheduleError,
        StoreAccessError,
        StoreEmptyError,
        StoreError,
        StoreFormatError,
        StoreFullError,
        StoreInUseError,
        StoreLostError,
        StoreRolledBackError,
        StoreTruncatedError,
        SubjectInUseError,
        TimezoneError,
        UnknownEventError,
        UnknownIdError,
        UnresolvedFunctionError,
        UnsupportedPlatformError,
        WaitTimeoutError,
        WorkflowNotFoundError,
        WouldDeadlockError,
    )
    from logistics.following.durable import DurableSubscription, ParkedEvent
    from logistics.following.projection import Projection, ProjectionError, RunningProjection, Table
    from logistics.orchestration.decorators import step, task, workflow
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.erasing import Erasure
    from logistics.orchestration.parsing import ConfigError
    from logistics.orchestration.project_manager import Project, ProjectManager
    from logistics.orchestration.resource_manager import (
        Allocation,
        ResourceManager,
        ResourcePreview,
        ResourceUsage,
    )
    from logistics.orchestration.result import StepResult, WorkflowResult
    from logistics.orchestration.run import WorkflowRun
    from logistics.orchestration.session import OrchestrationSession, SessionMode
    from logistics.orchestration.subscriptions import Subscription
    from logistics.orchestration.task_orchestrator import TaskOrchestrator, TaskResult
    from logistics.orchestration.timeline import RunEntry, StepAttempt, StepTimeline
    from logistics.orchestration.upgrades import UpgradeFinding
    from logistics.orchestration.workflow import Workflow
    from logistics.orchestration.workflow_manager import WorkflowManager
    from logistics.schedule.calendar import Calendar
    from logistics.schedule.cron_scheduler import CronScheduler
    from logistics.schedule.definition import ScheduleDefinition
    from logistics.schedule.expression import CronExpression
    from logistics.schedule.firings import FiredRun
    from logistics.schedule.manager import ScheduleManager
    from logistics.schedule.occurrences import CombinedSchedule
    from logistics.schedule.recurrence import RecurringSchedule
    from logistics.schedule.recurring_scheduler import RecurringScheduler
    from logistics.schedule.scheduled import BackfilledRun, Lateness, PlannedRun, ScheduledTask
    from logistics.schedule.timezone import ClockChange, TimezoneManager
    from logistics.task.attempts import JobAttempt
    from logistics.task.chain import group
    from logistics.task.job import Chain, Job
    from logistics.task.job_scheduler import JobScheduler, ProcessSummary
    from logistics.task.limits import Limits, Rate
    from logistics.task.listing import JobEntry
    from logistics.task.queue import Queue
    from logistics.telemetry.event_log import log_events
    from logistics.telemetry.prometheus import PrometheusMetrics
    from logistics.telemetry.server import MonitoringServer
    from logistics.telemetry.tracing import OpenTelemetryTracing

_HOMES = MappingProxyType(
    {
        "actors.queue.batch": "BatchedJob",
        "actors.queue.specs": "JobStatus",
        "actors.runtime.attempt": "AttemptContext",
        "actors.runtime.marks": "Erased Sealed",
        "actors.runtime.signals": "Progress",
        "actors.runtime.verdict": "Retry Snooze",
        "actors.schedule.messages": "ScheduleChange",
        "actors.workflow.condition": "ConditionError",
        "actors.workflow.specs": "RunStatus SessionStatus StepStatus",
        "logistics.audit.differences": "Difference",
        "logistics.audit.past": "RecordedEvent",
        "logistics.audit.rehearsal": "Rehearsal RehearsedEvent",
        "logistics.audit.store_view": "StoreView",
        "logistics.audit.words": "Reason Why",
        "logistics.following.durable": "DurableSubscription ParkedEvent",
        "logistics.following.projection": "Projection ProjectionError RunningProjection Table",
        "logistics.orchestration.decorators": "step task workflow",
        "logistics.orchestration.engine": "OrchestrationEngine",
        "logistics.orchestration.erasing": "Erasure",
        "logistics.orchestration.parsing": "ConfigError",
        "logistics.orchestration.project_manager": "Project ProjectManager",
        "logistics.orchestration.resource_manager": "Allocation ResourceManager ResourcePreview ResourceUsage",
        "logistics.orchestration.result": "StepResult WorkflowResult",
        "logistics.orchestration.run": "WorkflowRun",
        "logistics.orchestration.session": "OrchestrationSession SessionMode",
        "logistics.orchestration.subscriptions": "Subscription",
        "logistics.orchestration.task_orchestrator": "TaskOrchestrator TaskResult",
        "logistics.orchestration.timeline": "RunEntry StepAttempt StepTimeline",
        "logistics.orchestration.upgrades": "UpgradeFinding",
        "logistics.orchestration.workflow": "Workflow",
        "logistics.orchestration.workflow_manager": "WorkflowManager",
        "logistics.schedule.calendar": "Calendar",
        "logistics.schedule.cron_scheduler": "CronScheduler",
        "logistics.schedule.definition": "ScheduleDefinition",
        "logistics.schedule.expression": "CronExpression",
        "logistics.schedule.firings": "FiredRun",
        "logistics.schedule.manager": "ScheduleManager",
        "logistics.schedule.occurrences": "CombinedSchedule",
        "logistics.schedule.recurrence": "RecurringSchedule",
        "logistics.schedule.recurring_scheduler": "RecurringScheduler",
        "logistics.schedule.scheduled": "BackfilledRun Lateness PlannedRun ScheduledTask",
        "logistics.schedule.timezone": "ClockChange TimezoneManager",
        "logistics.task.attempts": "JobAttempt",
        "logistics.task.chain": "group",
        "logistics.task.job": "Chain Job",
        "logistics.task.job_scheduler": "JobScheduler ProcessSummary",
        "logistics.task.limits": "Limits Rate",
        "logistics.task.listing": "JobEntry",
        "logistics.task.queue": "Queue",
        "logistics.telemetry.event_log": "log_events",
        "logistics.telemetry.prometheus": "PrometheusMetrics",
        "logistics.telemetry.server": "MonitoringServer",
        "logistics.telemetry.tracing": "OpenTelemetryTracing",
    }
)
"""The public names by the module that is imported when one of them is asked for; errors have all the same."""
ERRORS = "logistics.errors"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return package_version()
    home = next((module for module, names in _HOMES.items() if name in names.split()), ERRORS)
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


# Nobody's public API, but the package takes the name of the decorator when it is imported: now, and not later.
import_module("logistics.task")
globals().pop("task", None)
logging.getLogger("logistics").addHandler(logging.NullHandler())

__all__ = [
    "Allocation",
    "ArchiveError",
    "AttemptContext",
    "BackfilledRun",
    "BatchedJob",
    "BindingError",
    "BusyError",
    "Calendar",
    "CapReachedError",
    "Chain",
    "ClockChange",
    "CombinedSchedule",
    "CompactedError",
    "ConditionError",
    "ConfigError",
    "ConflictingIdError",
    "CorruptStoreError",
    "CronError",
    "CronExpression",
    "CronScheduler",
    "CronWarning",
    "Difference",
    "DiskFullError",
    "DuplicateJobError",
    "DurableSubscription",
    "EngineClosedError",
    "Erased",
    "ErasedError",
    "Erasure",
    "FiredRun",
    "ForgottenIdError",
    "ForkedError",
    "FunctionError",
    "GraphError",
    "InputError",
    "InternalError",
    "Job",
    "JobAttempt",
    "JobCancelledError",
    "JobEntry",
    "JobExpiredError",
    "JobFailedError",
    "JobNotFoundError",
    "JobScheduler",
    "JobStatus",
    "Lateness",
    "LeaseLostError",
    "Limits",
    "LogisticsError",
    "MonitoringServer",
    "NotAStoreError",
    "OpenTelemetryTracing",
    "OrchestrationEngine",
    "OrchestrationSession",
    "OutcomeUnknownError",
    "ParkedEvent",
    "PayloadError",
    "PlannedRun",
    "ProcessSummary",
    "Progress",
    "Project",
    "ProjectManager",
    "Projection",
    "ProjectionError",
    "PrometheusMetrics",
    "Queue",
    "QueueDrainingError",
    "Rate",
    "Reason",
    "RecordedEvent",
    "RecurringSchedule",
    "RecurringScheduler",
    "Rehearsal",
    "RehearsedEvent",
    "ReplayError",
    "ResourceManager",
    "ResourcePreview",
    "ResourceUsage",
    "ResultExpiredError",
    "Retry",
    "RunEntry",
    "RunFailedError",
    "RunNotFoundError",
    "RunStatus",
    "RunningProjection",
    "SafeModeError",
    "ScheduleChange",
    "ScheduleDefinition",
    "ScheduleError",
    "ScheduleManager",
    "ScheduledTask",
    "Sealed",
    "SessionMode",
    "SessionStatus",
    "Snooze",
    "StepAttempt",
    "StepResult",
    "StepStatus",
    "StepTimeline",
    "StoreAccessError",
    "StoreEmptyError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreLostError",
    "StoreRolledBackError",
    "StoreTruncatedError",
    "StoreView",
    "SubjectInUseError",
    "Subscription",
    "Table",
    "TaskOrchestrator",
    "TaskResult",
    "TimezoneError",
    "TimezoneManager",
    "UnknownEventError",
    "UnknownIdError",
    "UnresolvedFunctionError",
    "UnsupportedPlatformError",
    "UpgradeFinding",
    "WaitTimeoutError",
    "Why",
    "Workflow",
    "WorkflowManager",
    "WorkflowNotFoundError",
    "WorkflowResult",
    "WorkflowRun",
    "WouldDeadlockError",
    "group",
    "log_events",
    "step",
    "task",
    "workflow",
]
