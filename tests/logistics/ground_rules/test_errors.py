"""Every error has one root, and is what people catch."""

from __future__ import annotations

import enum
import inspect

import pytest

import logistics
from logistics import errors
from logistics.errors import (
    BusyError,
    LogisticsError,
)


def test_every_error_is_one_of_ours_and_exported() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, LogisticsError | Warning), name
        assert getattr(logistics, name) is error, name


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
