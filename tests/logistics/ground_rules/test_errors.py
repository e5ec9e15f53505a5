"""Every error has one root, and is what people catch."""

from __future__ import annotations

import builtins
import enum
import inspect
import pickle
import re
from pathlib import Path

import pytest

import logistics
from actors.runtime.verdict import type_name
from logistics import errors
from logistics.errors import BusyError, LogisticsError


def test_every_error_is_one_of_ours_and_exported() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, LogisticsError | Warning), name
        assert getattr(logistics, name) is error, name


PUBLIC = {name: each for name in logistics.__all__ if inspect.isclass(each := getattr(logistics, name))}
ERRORS = {name: each for name, each in PUBLIC.items() if issubclass(each, BaseException)}
"""Those of `logistics.errors`, and those that stand beside what raises, or is raised for, them."""


def test_a_traceback_names_an_error_as_it_is_imported() -> None:
    for name, error in ERRORS.items():
        home = "logistics.errors" if name in errors.__all__ else "logistics"
        assert (error.__module__, error.__qualname__) == (home, name)
        assert pickle.loads(pickle.dumps(error)) is error


STORED = {
    "actors.clock.errors": "TimezoneError",
    "actors.runtime.binding": "BindingError",
    "actors.runtime.errors": (
        "BusyError ConflictingIdError DuplicateJobError EngineClosedError ErasedError ForgottenIdError InputError "
        "InternalError QueueDrainingError SubjectInUseError UnknownIdError WouldDeadlockError"
    ),
    "actors.runtime.functions": "FunctionError UnresolvedFunctionError",
    "actors.runtime.values": "PayloadError",
    "actors.runtime.verdict": "Retry Snooze",
    "actors.schedule.errors": "CronError ScheduleError",
    "actors.workflow.condition": "ConditionError",
    "eventstore.errors": (
        "ArchiveError CapReachedError CompactedError CorruptStoreError DiskFullError ForkedError LogisticsError "
        "NotAStoreError OutcomeUnknownError ReplayError SafeModeError StoreAccessError StoreEmptyError StoreError "
        "StoreFormatError StoreFullError StoreInUseError StoreLostError StoreRolledBackError StoreTruncatedError "
        "UnknownEventError UnsupportedPlatformError"
    ),
    "logistics.errors": (
        "CronWarning GraphError JobCancelledError JobExpiredError JobFailedError JobNotFoundError LeaseLostError "
        "ResultExpiredError RunFailedError RunNotFoundError WaitTimeoutError WorkflowNotFoundError"
    ),
    "logistics.following.projection": "ProjectionError",
    "logistics.orchestration.parsing": "ConfigError",
}
"""By which module's name each error is on record in `retry_on` and `give_up_on`, wherever it stands by now."""


def test_what_a_job_is_tried_again_on_is_stored_as_ever() -> None:
    stored = {f"{module}:{name}" for module, names in STORED.items() for name in names.split()}
    assert {type_name(error) for error in ERRORS.values()} == stored


def test_every_error_that_the_guide_names_can_be_imported() -> None:
    pages = [*Path("docs/guide").glob("*.md"), Path("README.md")]
    named = {name for page in pages for name in re.findall(r"`(\w+Error)`", page.read_text())}
    assert named
    assert {name for name in named if not hasattr(logistics, name) and not hasattr(builtins, name)} == set()


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (
            ValueError,
            "InputError ConflictingIdError PayloadError FunctionError GraphError TimezoneError CronError",
        ),
        (LookupError, "UnknownIdError JobNotFoundError WorkflowNotFoundError RunNotFoundError"),
        (TimeoutError, "BusyError WaitTimeoutError"),
    ],
)
def test_errors_are_also_what_people_catch(base: type[Exception], names: str) -> None:
    for name in names.split():
        assert issubclass(getattr(errors, name), base), name


def test_busy_is_no_bad_input() -> None:
    assert not issubclass(BusyError, ValueError)


def test_statuses_are_their_upper_case_names() -> None:
    expected = {
        "JobStatus": "PENDING SCHEDULED RUNNING RETRYING COMPLETED FAILED CANCELLED EXPIRED UNRESOLVED",
        "RunStatus": "PENDING RUNNING WAITING PAUSED COMPLETED FAILED CANCELLED PARKED",
        "StepStatus": "PENDING RUNNING WAITING RETRYING COMPLETED FAILED SKIPPED CANCELLED",
    }
    for name, values in expected.items():
        assert [str(each) for each in getattr(logistics, name)] == values.split()
    for name in logistics.__all__:
        kind = getattr(logistics, name)
        if inspect.isclass(kind) and issubclass(kind, enum.StrEnum):
            assert [each.value for each in kind] == [each.name for each in kind]
