"""Every error that a user may want to catch. `LogisticsError` is above them all."""

from __future__ import annotations

from actors.clock.errors import TimezoneError
from actors.runtime.binding import BindingError
from actors.runtime.errors import (
    BusyError,
    ConflictingIdError,
    DuplicateJobError,
    EngineClosedError,
    ErasedError,
    ForgottenIdError,
    FunctionError,
    InputError,
    InternalError,
    PayloadError,
    QueueDrainingError,
    SubjectInUseError,
    UnknownIdError,
    UnresolvedFunctionError,
    WouldDeadlockError,
)
from actors.schedule.errors import CronError, CronWarning, ScheduleError
from eventstore.errors import (
    ArchiveError,
    CapReachedError,
    CompactedError,
    CorruptStoreError,
    DiskFullError,
    ForkedError,
    LogisticsError,
    NotAStoreError,
    OutcomeUnknownError,
    ReplayError,
    SafeModeError,
    StoreAccessError,
    StoreEmptyError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreLostError,
    StoreRolledBackError,
    StoreTruncatedError,
    UnknownEventError,
    UnsupportedPlatformError,
)


class JobNotFoundError(UnknownIdError):
    """No job on record has this id."""


class WorkflowNotFoundError(UnknownIdError):
    """No workflow has this name."""


class RunNotFoundError(UnknownIdError):
    """No run on record has this id."""


class WaitTimeoutError(LogisticsError, TimeoutError):
    """What was waited for did not come in time; it may still come."""


class JobFailedError(LogisticsError):
    """The job has failed: `error` is the text of its last exception, `traceback` where it came from."""

    def __init__(self, job_id: str, error: str, traceback: str = "") -> None:
        super().__init__(f"job {job_id} failed: {error}")
        self.job_id = job_id
        self.error = error
        self.traceback = traceback


class JobCancelledError(LogisticsError):
    """The job was cancelled."""


class JobExpiredError(LogisticsError):
    """The job was not started in time."""


class ResultExpiredError(LogisticsError, LookupError):
    """The job has completed, but its result was to be kept only for a time (`result_ttl`), and that is over."""


class LeaseLostError(LogisticsError):
    """The job taken by hand is no longer ours: its lease has run out, or it has been settled."""


class RunFailedError(LogisticsError):
    """A run did not succeed: the text says which step failed and why."""


class GraphError(InputError):
    """A workflow is no graph: `problems` names every cycle, self-dependency and unknown step."""

    def __init__(self, workflow: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"workflow {workflow!r}: " + "; ".join(problems))
        self.problems = problems


__all__ = [
    "ArchiveError",
    "BindingError",
    "BusyError",
    "CapReachedError",
    "CompactedError",
    "ConflictingIdError",
    "CorruptStoreError",
    "CronError",
    "CronWarning",
    "DiskFullError",
    "DuplicateJobError",
    "EngineClosedError",
    "ErasedError",
    "ForgottenIdError",
    "ForkedError",
    "FunctionError",
    "GraphError",
    "InputError",
    "InternalError",
    "JobCancelledError",
    "JobExpiredError",
    "JobFailedError",
    "JobNotFoundError",
    "LeaseLostError",
    "LogisticsError",
    "NotAStoreError",
    "OutcomeUnknownError",
    "PayloadError",
    "QueueDrainingError",
    "ReplayError",
    "ResultExpiredError",
    "RunFailedError",
    "RunNotFoundError",
    "SafeModeError",
    "ScheduleError",
    "StoreAccessError",
    "StoreEmptyError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreLostError",
    "StoreRolledBackError",
    "StoreTruncatedError",
    "SubjectInUseError",
    "TimezoneError",
    "UnknownEventError",
    "UnknownIdError",
    "UnresolvedFunctionError",
    "UnsupportedPlatformError",
    "WaitTimeoutError",
    "WorkflowNotFoundError",
    "WouldDeadlockError",
]

for _name in __all__:  # so that a traceback, and whoever pickles one, names what can be imported
    globals()[_name].__module__ = __name__
